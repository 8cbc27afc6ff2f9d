package provider

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/internal/gateway"
)

// Tokens that Anthropic adds to an input by itself, at most. Its documentation
// gives 313 to 804 for a request with tools, and up to 735 for each tool of its
// own making; a toolset is a list of such tools.
const (
	anthropicPreamble = 1_000
	anthropicOwnTool  = 2_000
	anthropicToolset  = 20_000
)

// tokensPerClaudeImage is what a picture counts as at most: the newest models
// scale it down to 4,784 tokens.
const tokensPerClaudeImage = 5_000

// boundAnthropic fills c.Bound from the members of a JSON body.
func boundAnthropic(c *Call, m map[string]gjson.Result) error {
	b := &c.Bound
	b.MinOutput = 1
	// The tokenizer is not public. Like every byte-level one it makes at most one
	// token of a byte; a count by another tokenizer would be no bound.
	b.Uncountable = true
	switch c.Endpoint.Metering {
	case Chat:
		return boundMessages(c, m)
	case Completion:
		b.Input = int64(len(c.Body))
		b.capBy("max_tokens_to_sample", m["max_tokens_to_sample"])
	case Unbounded:
		b.Unbounded = true
	}
	return nil
}

func boundMessages(c *Call, m map[string]gjson.Result) error {
	b := &c.Bound
	var in claudeInput
	in.messages(m["messages"])
	in.content(m["system"], 0)
	b.Input = int64(len(c.Body)) - in.data + in.images*tokensPerClaudeImage
	b.Images, b.Media, b.Opaque = in.images, in.images > 0, in.opaque
	b.LongLife = longLived(c.Body)
	for _, name := range []string{"tools", "mcp_servers", "output_config", "output_format", "context_management"} {
		if given(m[name]) {
			b.Input += anthropicPreamble
			break
		}
	}
	b.capBy("max_tokens", m["max_tokens"])
	b.keepThinking(m["thinking"])
	c.serverSide(m)
	return b.prices(m)
}

// given reports whether a member is there and says something.
func given(v gjson.Result) bool { return v.Exists() && v.Type != gjson.Null }

// capBy takes the output cap from the member that must hold it. A cap of zero
// only fills the prompt cache. A missing one is for the provider to refuse.
func (b *Bound) capBy(name string, v gjson.Result) {
	switch b.Output = amount(v); {
	case b.Output > 0:
		b.CapMember = name
	case v.Type != gjson.Number || v.Num < 0:
		b.FullOutput = true
	}
}

// keepThinking keeps a cap above the thinking that was asked for: the provider
// refuses less. Thinking is part of the output, so it needs no room of its own.
func (b *Bound) keepThinking(thinking gjson.Result) {
	thinking.ForEach(func(k, v gjson.Result) bool {
		if n := amount(v); k.String() == "budget_tokens" && n < b.Output {
			b.MinOutput = max(b.MinOutput, n+1)
		}
		return true
	})
}

// prices takes in what a call may be charged beside or instead of list prices.
func (b *Bound) prices(m map[string]gjson.Result) error {
	speed, err := text(m, "speed")
	if err != nil {
		return err
	}
	geo, err := text(m, "inference_geo")
	if err != nil {
		return err
	}
	// The tiers that service_tier names cost the same; speed does not.
	b.Tier = "standard"
	if speed != "" {
		b.Tier = speed
	}
	model, _ := text(m, "model")
	if geo != "global" && pricedByRegion(model) { // without one it is the workspace's
		b.Percent = regionPercent
	}
	return nil
}

// regionPercent is the price of inference in a region, in percent of the list.
const regionPercent = 110

// allRegionsAlike are the beginnings of the names of models that cost the same
// wherever they run: those before version 4.6.
var allRegionsAlike = []string{"claude-1", "claude-2", "claude-3", "claude-instant", "claude-v1",
	"claude-opus-4-0", "claude-opus-4-1", "claude-opus-4-2025", "claude-opus-4-5",
	"claude-sonnet-4-0", "claude-sonnet-4-2025", "claude-sonnet-4-5", "claude-haiku-4-5"}

func pricedByRegion(model string) bool {
	for _, prefix := range allRegionsAlike {
		if strings.HasPrefix(model, prefix) {
			return false
		}
	}
	return true
}

// serverSide takes in what the provider does on its own account during a call:
// tools that it runs, state that it keeps, other models that it asks.
func (c *Call) serverSide(m map[string]gjson.Result) {
	b := &c.Bound
	if given(m["mcp_servers"]) { // whose tools are called as often as the model likes
		b.Opaque, b.Unbounded = true, true
	}
	c.claudeTools(m["tools"], "tools")
	if thread, ok := only(m["thread"], "type"); given(m["thread"]) && (!ok || thread["type"].String() != "create") {
		b.Opaque, b.Unbounded = true, true // it may hold tools as well
	}
	if given(m["container"]) || given(m["compaction"]) || compacts(m["context_management"]) {
		b.Opaque, b.Unbounded = true, true
	}
	if v := m["fallbacks"]; given(v) && !(v.IsArray() && len(v.Array()) == 0) {
		b.Unbounded = true
		c.mayAsk(v)
	}
}

// compacts reports whether context management may do more than leave things out.
func compacts(v gjson.Result) bool {
	m, ok := only(v, "edits")
	if !ok {
		return true
	}
	more := false
	m["edits"].ForEach(func(_, edit gjson.Result) bool {
		kind, ok := only(edit, "type")
		more = more || !ok || !strings.HasPrefix(kind["type"].String(), "clear_")
		return true
	})
	return more
}

// mayAsk notes the other models that may answer; "" stands for one that only the
// provider knows.
func (c *Call) mayAsk(v gjson.Result) {
	if !v.IsArray() {
		c.Fallbacks = append(c.Fallbacks, "")
		return
	}
	v.ForEach(func(_, e gjson.Result) bool {
		m, ok := only(e, "model")
		if !ok {
			m = nil
		}
		c.Fallbacks = append(c.Fallbacks, m["model"].String())
		return true
	})
}

// claudeTools takes in the tools that stand at a path of the body.
func (c *Call) claudeTools(tools gjson.Result, path string) {
	n := 0
	tools.ForEach(func(_, t gjson.Result) bool {
		c.claudeTool(t, path+"."+strconv.Itoa(n)+".max_uses")
		n++
		return true
	})
	// Each turn of a loop may take the whole cap.
	c.Bound.CapPerTurn = c.Bound.Turns > 0
}

// claudeTool takes in what a tool may cost beside the tokens of one turn. capped is
// where the body may cap how often the provider runs it.
func (c *Call) claudeTool(t gjson.Result, capped string) {
	b := &c.Bound
	m, ok := only(t, "type", "max_uses", "model")
	kind := m["type"].String()
	switch {
	case !ok:
		b.Opaque, b.Unbounded = true, true
	case !given(m["type"]) || kind == "custom":
	case hasPrefix(kind, "bash_", "text_editor_", "memory_", "computer_", "browser_"): // run by the caller
		b.Input += anthropicOwnTool
		if strings.Contains(kind, "_toolset_") {
			b.Input += anthropicToolset
		}
	case hasPrefix(kind, "web_search_"):
		b.runsClaude(m["max_uses"], capped, gateway.WebSearches)
	case hasPrefix(kind, "web_fetch_"):
		b.runsClaude(m["max_uses"], capped)
	default: // what has no cap: searches for tools, other servers, containers, advisors and what is yet to come
		b.Opaque, b.Unbounded = true, true
		if given(m["model"]) {
			c.Fallbacks = append(c.Fallbacks, m["model"].String())
		}
	}
}

// runsClaude takes in a tool of Anthropic's own with its cap, or the one that it is
// to get.
func (b *Bound) runsClaude(uses gjson.Result, capped string, bills ...gateway.Class) {
	calls := amount(uses)
	switch {
	case !given(uses):
		calls = looseToolCalls
		b.ToolCaps = append(b.ToolCaps, ToolCap{capped, calls, bills})
	case calls == 0:
		b.Unbounded = true // it makes no sense, and must not be raised
	}
	b.runs(calls, bills...)
}

func hasPrefix(s string, prefixes ...string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}
