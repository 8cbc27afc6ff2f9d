package provider

import (
	"slices"

	"github.com/tidwall/gjson"

	"tollgate/internal/gateway"
)

// ToolCap is a cap on how often the provider runs tools of its own for a call that
// has none: what the worst case counts on must be in the body.
type ToolCap struct {
	Member string          // path of the member of the body that holds it
	Calls  int64           // its value
	Bills  []gateway.Class // what each of the calls is billed as
}

// looseToolCalls is the cap that is written where the caller has none, unless a
// budget has less room.
const looseToolCalls = 10

// runs takes in a tool that the provider runs itself: it feeds what the tool finds
// back to the model, and with it the whole input once more.
func (b *Bound) runs(calls int64, bills ...gateway.Class) {
	b.Opaque = true
	b.Turns += calls
	for _, class := range bills {
		b.Extra.Counts[class] += calls
	}
}

// AllowCalls lowers the caps that are written anyway to so many calls.
func (b *Bound) AllowCalls(n int64) {
	b.ToolCaps = slices.Clone(b.ToolCaps)
	for i := range b.ToolCaps {
		c := &b.ToolCaps[i]
		less := max(c.Calls-n, 0)
		c.Calls -= less
		b.Turns -= less
		for _, class := range c.Bills {
			b.Extra.Counts[class] -= less
		}
	}
}

// chatTool takes in a tool of a chat. Those of the caller's own cost nothing but their
// text; some vendors have others, which they run as often as they like.
func (b *Bound) chatTool(t gjson.Result) {
	kinds, own := 0, false
	t.ForEach(func(k, v gjson.Result) bool {
		switch k.String() {
		case "type":
			kinds++
			own = v.String() == "function" || v.String() == "custom"
		case "function":
			own = own || kinds == 0
		}
		return true
	})
	if !own || kinds > 1 { // readers differ in what it is
		b.Opaque, b.Unbounded = true, true
	}
}

// responsesTools takes in the tools of the responses API. obeyed says that the vendor
// is known to obey max_tool_calls, which then holds for all of its tools together.
func (b *Bound) responsesTools(tools, most gjson.Result, obeyed bool) {
	calls := amount(most)
	loose := !given(most)
	if loose {
		calls = looseToolCalls
	}
	var bills []gateway.Class
	looping := false
	tools.ForEach(func(_, t gjson.Result) bool {
		kinds := 0
		t.ForEach(func(k, v gjson.Result) bool {
			if k.String() == "type" {
				looping = b.tool(v.String(), &bills) || looping
				kinds++
			}
			return true
		})
		if kinds != 1 {
			b.tool("", &bills) // readers differ in what it is
		}
		return true
	})
	switch {
	case !looping:
		return
	case !obeyed || calls == 0:
		b.Unbounded = true
	}
	b.runs(calls, bills...)
	if loose && obeyed {
		b.ToolCaps = []ToolCap{{"max_tool_calls", calls, bills}}
	}
}
