package price

import (
	"slices"

	"tollgate/internal/gateway"
)

// WithCostMap is the model at the operator's own prices. What the map holds for
// the name counts in this order:
//
//   - Models, each class for itself, see overlaid.
//   - Prompt and Completion, or for embeddings Embeddings: all text and image
//     tokens in at the prompt price, all tokens out at the completion price, no
//     context tiers and no service tiers. Audio tokens in keep the table's price
//     if it has one, and so does what is not billed by token. Both prices are
//     needed.
//
// ok is false when the map has nothing for the name, and m is to be used as it is.
// m may be nil: the operator may price a model that the table does not know.
func (m *Model) WithCostMap(c *gateway.CostMap, model string, embeddings bool) (priced *Model, ok bool) {
	if c == nil {
		return nil, false
	}
	prompt, hasPrompt := c.Prompt[model]
	completion, hasCompletion := c.Completion[model]
	if embeddings {
		prompt, hasPrompt = c.Embeddings[model]
		completion, hasCompletion = 0, true
	}
	priced = m
	if hasPrompt && hasCompletion && prompt >= 0 && completion >= 0 {
		priced, ok = m.atTokenPrices(model, Rate{prompt, true}, Rate{completion, true}), true
	}
	if classes := c.Models[model]; len(classes) > 0 {
		priced, ok = priced.overlaid(model, classes), true
	}
	if !ok {
		return nil, false
	}
	return priced, true
}

func (m *Model) atTokenPrices(model string, in, out Rate) *Model {
	own := &Model{Name: model, own: true}
	if m != nil {
		own.Provider, own.MaxOutput, own.Context = m.Provider, m.MaxOutput, m.Context
		own.Rates, own.images, own.request = m.Rates, m.images, m.request
		own.stated = m.stated
	}
	own.setTokens(in, out)
	return own
}

func (m *Model) setTokens(in, out Rate) {
	for c := gateway.Class(0); isToken(c); c++ {
		switch c {
		case gateway.Output, gateway.OutputAudio, gateway.OutputImage:
			m.Rates[c] = out
		case gateway.InputAudio, gateway.CachedAudio:
			if !m.Rates[c].Known {
				m.Rates[c] = in
			}
		default:
			m.Rates[c] = in
		}
		m.stated[c] = true
	}
}

// overlaid is the model with prices by class name in place of its own: at every
// length of the input, and before the multipliers of service tiers and regions,
// which stay. Classes that follow another one's price for want of their own follow
// its new one. Names that are no class, and negative prices, do not count.
func (m *Model) overlaid(model string, classes map[string]int64) *Model {
	own := &Model{Name: model}
	if m != nil {
		copied := *m
		own = &copied
		own.contexts = slices.Clone(m.contexts)
	}
	if nano, ok := classes[gateway.PerRequest]; ok && nano >= 0 {
		own.request = Rate{nano, true}
	}
	if nano, ok := classes[gateway.Images.String()]; ok && nano >= 0 {
		own.images = []imageFee{{rate: Rate{nano, true}}} // whatever the size
	}
	(*rates)(&own.Rates).overlay(&own.stated, classes)
	for i := range own.contexts {
		own.contexts[i].rates.overlay(&own.stated, classes)
	}
	for c := range own.stated {
		if nano, ok := classes[gateway.Class(c).String()]; ok && nano >= 0 {
			own.stated[c] = true
		}
	}
	return own
}

// overlay sets the prices that are given and fills in again what had none of its own.
func (r *rates) overlay(stated *[gateway.NumClasses]bool, classes map[string]int64) {
	for c := range r {
		if !stated[c] {
			r[c] = Rate{}
		}
		if nano, ok := classes[gateway.Class(c).String()]; ok && nano >= 0 {
			r[c] = Rate{nano, true}
		}
	}
	r.fill()
}
