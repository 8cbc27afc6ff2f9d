package price

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

//go:embed prices.json
var embedded []byte

// EmbeddedFile is the table that the program was built with, as it is written down.
func EmbeddedFile() []byte { return slices.Clone(embedded) }

// Embedded is the table that the program was built with. It is parsed at the
// first call and shared.
func Embedded() *Table { return parseEmbedded() }

var parseEmbedded = sync.OnceValue(func() *Table {
	t, err := Parse(embedded)
	if err != nil {
		panic(err) // a broken build, which this package's tests do not let pass
	}
	return t
})

// Table is one version of the price list. It is immutable and safe for
// concurrent use.
type Table struct {
	version   string
	date      time.Time
	providers map[string]*provider
}

// provider holds the rows of one provider by name in lower case.
type provider struct {
	exact, prefix map[string]*history
	prefixes      []string // keys of prefix, longest first
	fallback      *provider
}

// history is the sequence of rows under one name, the latest first.
type history struct{ versions []version }

type version struct {
	from  time.Time // zero: since ever
	model *Model
}

// at is the row in force at t.
func (h *history) at(t time.Time) (*Model, bool) {
	if h == nil {
		return nil, false
	}
	for _, v := range h.versions {
		if !v.from.After(t) {
			return v.model, true
		}
	}
	return nil, false
}

// Version is the date of the table, for example "2026-11-10".
func (t *Table) Version() string { return t.version }

// Age is the whole days since the table's date, 0 for a date to come.
func (t *Table) Age(now time.Time) int {
	return int(max(now.Sub(t.date), 0) / (24 * time.Hour))
}

// Providers are the providers that have rows of their own, in alphabetical order.
func (t *Table) Providers() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(t.providers)), func(name string) bool {
		return t.providers[name].exact == nil
	})
}

// Names counts the names and beginnings of names that are priced.
func (t *Table) Names() int {
	n := 0
	for _, p := range t.providers {
		n += len(p.exact) + len(p.prefix)
	}
	return n
}

// Models returns every row, in no order. Rows that are not in force yet are included.
func (t *Table) Models() []*Model {
	var all []*Model
	seen := make(map[*Model]bool)
	for _, p := range t.providers {
		for _, index := range []map[string]*history{p.exact, p.prefix} {
			for _, h := range index {
				for _, v := range h.versions {
					if !seen[v.model] {
						seen[v.model] = true
						all = append(all, v.model)
					}
				}
			}
		}
	}
	return all
}

// Lookup finds the prices of a model at a time. The name's own row counts, else
// that of the name without "-latest" or the date at its end, else the longest
// prefix. A fine-tuned model "ft:<base>:…" has the row "ft:<base>" or none: it
// never costs what its base costs. Names are compared without regard to case.
// An unknown model is not an error but false, and never free.
func (t *Table) Lookup(provider, model string, at time.Time) (*Model, bool) {
	name := strings.ToLower(model)
	for p := t.providers[provider]; p != nil; p = p.fallback {
		if m, ok := p.find(name, at); ok {
			return m, true
		}
	}
	return nil, false
}

func (p *provider) find(name string, at time.Time) (*Model, bool) {
	tuned := strings.HasPrefix(name, "ft:")
	if tuned {
		if end := strings.IndexByte(name[len("ft:"):], ':'); end >= 0 {
			name = name[:len("ft:")+end]
		}
	}
	if m, ok := p.exact[name].at(at); ok {
		return m, true
	}
	if base := undated(name); base != name {
		if m, ok := p.exact[base].at(at); ok {
			return m, true
		}
	}
	if tuned {
		return nil, false
	}
	for _, prefix := range p.prefixes {
		if strings.HasPrefix(name, prefix) {
			if m, ok := p.prefix[prefix].at(at); ok {
				return m, true
			}
		}
	}
	return nil, false
}

// undated is the name without "-latest", "-2024-08-06", "-20240806" or "-0613"
// at its end; the name itself if there is nothing of the kind.
func undated(name string) string {
	if base, ok := strings.CutSuffix(name, "-latest"); ok {
		return base
	}
	for _, shape := range [...]string{"-9999-19-39", "-99991939", "-1939"} {
		at := len(name) - len(shape)
		if at > 0 && shaped(name[at:], shape) {
			return name[:at]
		}
	}
	return name
}

// shaped compares s with a shape in which a digit stands for itself or a lower
// one. The shapes of undated keep "-2512", a year and a month, from passing as a day.
func shaped(s, shape string) bool {
	for i := range len(shape) {
		if shape[i] == '-' && s[i] != '-' {
			return false
		}
		if shape[i] != '-' && (s[i] < '0' || s[i] > shape[i]) {
			return false
		}
	}
	return true
}

// link resolves fallbacks. They are one step deep, so that no look-up can loop.
func (t *Table) link(defaults map[string]Provider) error {
	for name, d := range defaults {
		if d.Fallback == "" {
			if t.providers[name] == nil {
				return fmt.Errorf("providers: %s: has no rows", name)
			}
			continue
		}
		target := t.providers[d.Fallback]
		if target == nil {
			return fmt.Errorf("providers: %s: fallback: %q has no rows", name, d.Fallback)
		}
		if d.Fallback == name || defaults[d.Fallback].Fallback != "" {
			return fmt.Errorf("providers: %s: fallback: %q falls back itself", name, d.Fallback)
		}
		if t.providers[name] == nil {
			t.providers[name] = new(provider)
		}
		t.providers[name].fallback = target
	}
	return nil
}

// sort puts versions and prefixes in the order in which they are looked at.
func (t *Table) sort() {
	for _, p := range t.providers {
		for _, index := range []map[string]*history{p.exact, p.prefix} {
			for _, h := range index {
				slices.SortFunc(h.versions, func(a, b version) int { return b.from.Compare(a.from) })
			}
		}
		for prefix := range p.prefix {
			p.prefixes = append(p.prefixes, prefix)
		}
		slices.SortFunc(p.prefixes, func(a, b string) int {
			if len(a) != len(b) {
				return len(b) - len(a)
			}
			return strings.Compare(a, b)
		})
	}
}
