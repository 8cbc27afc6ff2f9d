package main

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"tollgate/internal/price"
)

// importing writes to the log what matters to who imports a list as it is, and not
// to who keeps our own table: there rows.json makes up for it.
func (b *builder) importing(format string, args ...any) {
	if b.imports {
		b.note(format, args...)
	}
}

// noteGenModel tells which prices and which names of a model a row cannot say.
func (b *builder) noteGenModel(provider string, m *genModel) {
	if !b.imports {
		return
	}
	known := tokenKeys(new(price.TokenPrices))
	unknown := make(map[string]bool)
	for _, prices := range m.allPrices() {
		for name := range prices {
			switch name {
			case "audio_hours", "web_searches_kcount", "requests_kcount":
			default:
				if known[name] == nil {
					unknown[name] = true
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(unknown)) {
		b.note("genai-prices: %s %s: %s is not taken, a row has no member for it", provider, m.ID, name)
	}
	if !m.Match.writable() {
		b.note("genai-prices: %s %s: some of its names are matched in a way that a row cannot say", provider, m.ID)
	}
}

// allPrices are the price lists of a model, whenever they hold.
func (m *genModel) allPrices() (all []genPrices) {
	var one genPrices
	if json.Unmarshal(m.Prices, &one) == nil {
		return []genPrices{one}
	}
	var several []struct{ Prices genPrices }
	_ = json.Unmarshal(m.Prices, &several) // what is neither is refused when it is read
	for _, s := range several {
		all = append(all, s.Prices)
	}
	return all
}

// fees adds what is billed by the call.
func (m *genModel) fees(prices genPrices, r *price.Row) {
	if raw, ok := prices["web_searches_kcount"]; ok {
		r.WebSearch = usd(number(raw))
	}
	if raw, ok := prices["requests_kcount"]; ok {
		if each, err := price.Shift(usd(number(raw)), -3); err == nil {
			r.PerRequest = each
		}
	}
}

// accepts reports whether the match is known to take the name.
func (m *genMatch) accepts(name string) bool {
	for i := range m.Or {
		if m.Or[i].accepts(name) {
			return true
		}
	}
	return m.Equals == name && name != "" ||
		m.StartsWith != "" && strings.HasPrefix(name, m.StartsWith) ||
		m.Contains != "" && strings.Contains(name, m.Contains)
}

// writable reports whether names and beginnings of names say all that it takes.
func (m *genMatch) writable() bool {
	for i := range m.Or {
		if !m.Or[i].writable() {
			return false
		}
	}
	return len(m.Or) > 0 || m.Equals != "" || m.StartsWith != ""
}
