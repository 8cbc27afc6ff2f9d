package price

import "tollgate/internal/gateway"

// perMillion is the number of units that a Rate is the price of.
const perMillion = 1_000_000

// Cost is the price of what a call consumed, rounded up. The whole request is
// priced at the context tier that all of its input falls in, and its tokens at
// the multiplier of the service tier that served it, as the answer names that
// ("flex", "priority"; "" is standard). A tier whose price is not known, see
// KnowsTier, costs as the dearest one that is.
//
// The second result lists the classes that were used and have no price; the
// amount contains the least that they cost, which mostly is nothing. A fee for the
// call is in it in any case.
func (m *Model) Cost(u gateway.Usage, tier string) (gateway.NanoUSD, []gateway.Class) {
	list := m.ratesFor(promptTokens(&u))
	var tokens, others wide
	var unpriced []gateway.Class
	for i, n := range u.Counts {
		c := gateway.Class(i)
		if n <= 0 {
			continue
		}
		if !list[c].Known {
			unpriced = append(unpriced, c)
		}
		if isToken(c) {
			tokens = tokens.plus(product(n, list[c].Nano))
		} else {
			others = others.plus(product(n, list[c].Nano))
		}
	}
	return total(tokens, others.plus(m.fee()), m.served(tier)), unpriced
}

// Parts tells Cost by class name, a fee for the call under gateway.PerRequest. Each part
// is what its class adds to the rounded sum of those before it, so that the parts
// add up to Cost.
func (m *Model) Parts(u gateway.Usage, tier string) map[string]gateway.NanoUSD {
	list := m.ratesFor(promptTokens(&u))
	f := m.served(tier)
	parts := make(map[string]gateway.NanoUSD, 4)
	var tokens, others wide
	var before gateway.NanoUSD
	add := func(name string) {
		after := total(tokens, others, f)
		if after != before {
			parts[name] = after - before
		}
		before = after
	}
	for i, n := range u.Counts {
		c := gateway.Class(i)
		if n <= 0 {
			continue
		}
		if isToken(c) {
			tokens = tokens.plus(product(n, list[c].Nano))
		} else {
			others = others.plus(product(n, list[c].Nano))
		}
		add(c.String())
	}
	others = others.plus(m.fee())
	add(gateway.PerRequest)
	return parts
}

// fee is what a call costs whatever it consumes.
func (m *Model) fee() wide { return product(1, m.request.Nano) }

// total is tokens×f + others, both given in nano-dollars per million.
func total(tokens, others wide, f factor) gateway.NanoUSD {
	return tokens.times(f.num).plus(others.times(f.den)).perCeil(f.den * perMillion)
}

// promptTokens is Usage.PromptTokens for counts that nobody checked.
func promptTokens(u *gateway.Usage) int64 {
	var n int64
	for _, c := range inputText {
		n = addCapped(n, u.Counts[c])
	}
	for _, c := range inputMedia {
		n = addCapped(n, u.Counts[c])
	}
	return n
}

// ratesFor is the price list of a request with so many tokens of input.
func (m *Model) ratesFor(input int64) *rates {
	list := (*rates)(&m.Rates)
	for i := range m.contexts {
		if input <= m.contexts[i].above {
			break
		}
		list = &m.contexts[i].rates
	}
	return list
}

// served is the multiplier of a service tier as an answer names it: the dearest one
// that the model has if that of the tier is not known.
func (m *Model) served(tier string) factor {
	f, ok := m.multiplier(tier)
	if !ok {
		return m.dearestTier()
	}
	return f
}

// KnowsTier reports whether the price of a service tier is known. An operator's own
// prices know no tiers: they hold for all of them.
func (m *Model) KnowsTier(tier string) bool {
	_, ok := m.multiplier(tier)
	return ok || m.own || m.row == nil
}

// AtLeast is the tier to charge where the answer does not say which one served a
// call that asked for tier: the one that was asked for, but nothing that is cheaper
// than standard, for the provider may have served that.
func (m *Model) AtLeast(tier string) string {
	if m.KnowsTier(tier) && !m.served(tier).above(standard) {
		return ""
	}
	return tier
}

// multiplier is that of a service tier, and whether it is known.
func (m *Model) multiplier(tier string) (factor, bool) {
	switch tier {
	case "", "default", "standard", "standard_only", "on_demand", "auto", "scale":
		return standard, true
	}
	if f, ok := m.service(tier); ok {
		return f, true
	}
	switch {
	case tier == "flex" || tier == "batch":
		return standard, true // never dearer, and where a row has no such price not cheaper
	case m.Provider != "openai" && m.Provider != "azure":
		// Elsewhere the two are not the same: Anthropic's "priority" is a commitment.
	case tier == "fast":
		return m.service("priority")
	case tier == "priority":
		return m.service("fast")
	}
	return standard, false
}

func (m *Model) service(name string) (factor, bool) {
	for i := range m.services {
		if m.services[i].name == name {
			return m.services[i].factor, true
		}
	}
	return factor{}, false
}

// dearestTier is the largest multiplier that is known, at least the standard one.
func (m *Model) dearestTier() factor {
	f := standard
	for i := range m.services {
		if m.services[i].factor.above(f) {
			f = m.services[i].factor
		}
	}
	return f
}

// allowed is the largest multiplier that a call may be served at which asked for
// the tier. Without a tier or with "auto" the provider takes that of the
// project, so it may be any. A provider may also serve a named tier as standard
// when it is short of the other, or does not know it.
func (m *Model) allowed(tier string) factor {
	switch tier {
	case "", "auto":
		return m.dearestTier()
	}
	if f := m.served(tier); f.above(standard) {
		return f
	}
	return standard
}
