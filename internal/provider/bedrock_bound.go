package provider

import (
	"maps"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// bedrockWanted are the members of request bodies that the gateway reads, of all
// forms together.
var bedrockWanted = func() map[string]bool {
	m := set("anthropic_version", "anthropic_beta",
		"inferenceConfig", "toolConfig", "guardrailConfig", "additionalModelRequestFields", "promptVariables", "performanceConfig", "serviceTier",
		"textGenerationConfig", "max_gen_len", "max_completion_tokens", "max_new_tokens", "maxTokens", "n", "best_of", "num_generations", "numResults",
		"service_tier", "amazon-bedrock-guardrailConfig")
	maps.Copy(m, anthropicWanted)
	return m
}()

// invokeCaps tells by the beginning of a model's name which members of its body
// cap its output, those that are obeyed first in front. What is not listed, or
// begins with a name of the account's own, is bounded by the model alone.
var invokeCaps = []struct {
	family string
	caps   []string
}{
	{"meta.", []string{"max_gen_len"}},
	{"mistral.", []string{"max_tokens"}},
	{"amazon.nova", []string{"inferenceConfig.maxTokens", "inferenceConfig.max_new_tokens"}},
	{"amazon.titan-text", []string{"textGenerationConfig.maxTokenCount"}},
	{"cohere.command", []string{"max_tokens"}},
	{"ai21.jamba", []string{"max_tokens"}},
	{"ai21.j2", []string{"maxTokens"}},
	{"deepseek.", []string{"max_tokens"}},
	{"writer.", []string{"max_tokens"}},
	{"openai.", []string{"max_completion_tokens", "max_tokens"}},
	{"qwen.", []string{"max_tokens", "max_completion_tokens"}},
}

// boundInvoke bounds a call in a model's own form.
func boundInvoke(c *Call, m map[string]gjson.Result) error {
	name := family(c.Model)
	b := &c.Bound
	switch {
	case strings.HasPrefix(name, "anthropic."), isAlias(c.Model) && given(m["anthropic_version"]):
		return boundClaude(c, m)
	case strings.Contains(name, "embed"):
		b.Input, b.Opaque = int64(len(c.Body)), hasMedia(gjson.ParseBytes(c.Body), 0)
	default:
		b.Input, b.Opaque, b.Uncountable = int64(len(c.Body)), hasMedia(gjson.ParseBytes(c.Body), 0), true
		b.MinOutput, b.FullOutput = 1, true
		for _, family := range invokeCaps {
			if strings.HasPrefix(name, family.family) {
				b.FullOutput = false
				if err := b.capByOne(m, family.caps); err != nil {
					return err
				}
				break
			}
		}
		for _, copies := range []string{"n", "best_of", "num_generations", "numResults"} {
			b.Copies = max(b.Copies, amount(m[copies]))
		}
	}
	tier, err := text(m, "service_tier")
	c.tier(tier)
	b.Unbounded = b.Unbounded || given(m["amazon-bedrock-guardrailConfig"])
	return err
}

// boundClaude bounds a call of Claude's in its own form: Anthropic's, whatever is
// known of the model.
func boundClaude(c *Call, m map[string]gjson.Result) error {
	b := &c.Bound
	if err := boundMessages(c, m); err != nil {
		return err
	}
	b.MinOutput, b.Uncountable, b.Tier = max(b.MinOutput, 1), true, ""
	if given(m["prompt"]) && !given(m["messages"]) { // the older API
		b.FullOutput = false
		b.capBy("max_tokens_to_sample", m["max_tokens_to_sample"])
	}
	for _, other := range []string{"max_gen_len", "max_new_tokens", "maxTokens", "max_completion_tokens", "inferenceConfig", "textGenerationConfig"} {
		if given(m[other]) { // no model of Anthropic's takes it: perhaps it is another's
			b.FullOutput, b.Output, b.CapMember = true, 0, ""
		}
	}
	b.Unbounded = b.Unbounded || given(m["amazon-bedrock-guardrailConfig"])
	return nil
}

// capByOne takes the output cap from the members that may hold it, each a name, or
// two with a dot between. If none does, the first may be written.
func (b *Bound) capByOne(m map[string]gjson.Result, names []string) error {
	b.CapMember = names[0]
	for _, name := range names {
		v, err := inside(m, name)
		if err != nil {
			return err
		}
		switch {
		case !given(v):
		case b.Output == 0:
			b.CapMember, b.Output = name, amount(v)
		default:
			b.CapAlso, b.Output = name, max(b.Output, amount(v))
		}
	}
	return nil
}

// inside is a number at the top of the body or in an object there.
func inside(m map[string]gjson.Result, name string) (gjson.Result, error) {
	parent, child, nested := strings.Cut(name, ".")
	v := m[parent]
	if nested {
		if given(v) && !v.IsObject() {
			return v, invalid("invalid_type", parent, "The member %q must be an object.", parent)
		}
		members, ok := only(v, child)
		if !ok {
			return v, invalid("invalid_json", name, "The member %q has %q more than once.", parent, child)
		}
		v = members[child]
	}
	if given(v) && v.Type != gjson.Number {
		return v, invalid("invalid_type", name, "The member %q must be a number.", name)
	}
	return v, nil
}

// mediaMembers are what the forms call pictures, sound and files.
var mediaMembers = set("image", "images", "inputImage", "image_url", "input_image", "video", "inputVideo", "audio", "inputAudio", "input_audio",
	"document", "documents", "file", "source", "bytes", "s3Location", "mediaSource")

// hasMedia reports whether a body may hold more than text.
func hasMedia(v gjson.Result, depth int) bool {
	if depth > surveyDepth {
		return true
	}
	found := false
	if v.IsObject() || v.IsArray() {
		v.ForEach(func(k, e gjson.Result) bool {
			found = k.Type == gjson.String && mediaMembers[k.String()] && given(e) || hasMedia(e, depth+1)
			return !found
		})
	}
	return found
}

// boundConverse bounds a call in the form that Bedrock has for all models.
func boundConverse(c *Call, m map[string]gjson.Result) error {
	var in converseInput
	in.messages(m["messages"])
	in.content(m["system"], 0)
	b := &c.Bound
	b.Input = int64(len(c.Body)) - in.data + in.images*tokensPerImage
	b.Images, b.Media, b.Opaque = in.images, in.images > 0, in.opaque || given(m["promptVariables"])
	b.Uncountable, b.MinOutput, b.LongLife = true, 1, longLived(c.Body)
	if err := b.capByOne(m, []string{"inferenceConfig.maxTokens"}); err != nil {
		return err
	}
	if isPrompt(c.Model) {
		b.Opaque, b.FullOutput, b.Output, b.CapMember = true, true, 0, ""
	}
	if given(m["toolConfig"]) {
		b.Input += anthropicPreamble
		c.systemTools(m["toolConfig"])
	}
	if err := c.modelFields(m["additionalModelRequestFields"]); err != nil {
		return err
	}
	tier, ok1 := only(m["serviceTier"], "type")
	speed, ok2 := only(m["performanceConfig"], "latency")
	if !ok1 || !ok2 {
		return invalid("invalid_json", "", "The body has a member of serviceTier or performanceConfig more than once.")
	}
	c.tier(tier["type"].String())
	fast := given(speed["latency"]) && speed["latency"].String() != "standard"
	b.Unbounded = b.Unbounded || fast || given(m["guardrailConfig"])
	return nil
}

// systemTools takes in the tools that Bedrock runs by itself.
func (c *Call) systemTools(config gjson.Result) {
	found, ok := only(config, "tools")
	plain := ok
	found["tools"].ForEach(func(_, tool gjson.Result) bool {
		tool.ForEach(func(k, _ gjson.Result) bool {
			plain = plain && slices.Contains([]string{"toolSpec", "cachePoint"}, k.String())
			return true
		})
		return plain
	})
	if !plain {
		c.Bound.Opaque, c.Bound.Unbounded = true, true
	}
}

// modelFields takes in what goes to a model past the common form.
func (c *Call) modelFields(v gjson.Result) error {
	if !given(v) {
		return nil
	}
	m, ok := only(v, "thinking", "tools", "reasoning_config", "max_tokens", "max_gen_len", "max_new_tokens", "maxTokens", "max_completion_tokens",
		"max_tokens_to_sample", "inferenceConfig", "textGenerationConfig", "n")
	if !ok {
		return invalid("invalid_json", "additionalModelRequestFields", "The member \"additionalModelRequestFields\" has a member more than once.")
	}
	b := &c.Bound
	for _, name := range []string{"thinking", "reasoning_config"} {
		b.keepThinking(m[name])
		delete(m, name)
	}
	c.claudeTools(m["tools"], "additionalModelRequestFields.tools")
	if delete(m, "tools"); len(m) > 0 { // whichever cap wins
		b.FullOutput, b.Output, b.CapMember, b.CapAlso = true, 0, "", ""
		b.Copies = max(b.Copies, amount(m["n"]))
	}
	return nil
}

// converseInput looks through the blocks of a conversation for what is not plain
// text. A block is an object with one member, whose name says what it is.
type converseInput struct {
	images int64
	data   int64 // base64 characters of the pictures, which are no text
	opaque bool  // has what the body does not show, or what is not known here
}

func (in *converseInput) messages(v gjson.Result) {
	v.ForEach(func(_, e gjson.Result) bool {
		m, ok := only(e, "content")
		in.opaque = in.opaque || !ok
		in.content(m["content"], 0)
		return true
	})
}

func (in *converseInput) content(v gjson.Result, depth int) {
	v.ForEach(func(_, block gjson.Result) bool {
		in.block(block, depth)
		return true
	})
}

// plainConverse are the blocks that are what they say in so many bytes.
var plainConverse = set("text", "toolUse", "reasoningContent", "cachePoint", "citationsContent", "searchResult", "json")

func (in *converseInput) block(v gjson.Result, depth int) {
	if depth > surveyDepth || !v.IsObject() {
		in.opaque = true
		return
	}
	v.ForEach(func(k, e gjson.Result) bool {
		switch kind := k.String(); {
		case plainConverse[kind]:
		case kind == "image":
			in.image(e)
		case kind == "guardContent":
			in.block(e, depth+1)
		case kind == "toolResult":
			m, ok := only(e, "content")
			in.opaque = in.opaque || !ok
			in.content(m["content"], depth+1)
		default: // documents, video, sound, what is yet to come
			in.opaque = true
		}
		return true
	})
}

// image counts a picture, wherever it comes from.
func (in *converseInput) image(v gjson.Result) {
	in.images++
	m, ok := only(v, "source")
	source, also := only(m["source"], "bytes")
	if in.opaque = in.opaque || !ok || !also; ok && also {
		in.data += int64(len(source["bytes"].String()))
	}
}
