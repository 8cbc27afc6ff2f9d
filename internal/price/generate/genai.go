package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tollgate/internal/price"
)

// genProviders are the providers of genai-prices that are read, by our name.
var genProviders = map[string]string{
	"anthropic": "anthropic",
	"aws":       "bedrock",
	"azure":     "azure",
	"deepseek":  "deepseek",
	"google":    "google",
	"groq":      "groq",
	"mistral":   "mistral",
	"openai":    "openai",
	"x-ai":      "xai",
}

type genProvider struct {
	ID     string     `json:"id"`
	Models []genModel `json:"models"`
}

type genModel struct {
	ID      string          `json:"id"`
	Match   genMatch        `json:"match"`
	Context float64         `json:"context_window"`
	Prices  json.RawMessage `json:"prices"` // one list, or several under conditions
}

type genMatch struct {
	Or         []genMatch `json:"or"`
	Equals     string     `json:"equals"`
	StartsWith string     `json:"starts_with"`
	Contains   string     `json:"contains"`
}

// genPrices maps price keys to a number or to a base with context tiers.
type genPrices map[string]json.RawMessage

type genTiered struct {
	Base  float64 `json:"base"`
	Tiers []struct {
		Start int64   `json:"start"`
		Price float64 `json:"price"`
	} `json:"tiers"`
}

// addGenAI adds what genai-prices knows beside what is there already.
func (b *builder) addGenAI(path, version string) error {
	providers, source, err := readGenAI(path)
	if err != nil {
		return err
	}
	for _, p := range providers {
		name, ok := genProviders[p.ID]
		if !ok {
			b.importing("genai-prices: provider %q: %d models left out, it is not one of ours", p.ID, len(p.Models))
			continue
		}
		for i := range p.Models {
			b.noteGenModel(p.ID, &p.Models[i])
			if err := b.addGenModel(name, source, version, &p.Models[i]); err != nil {
				return fmt.Errorf("genai-prices: %s: %s: %w", p.ID, p.Models[i].ID, err)
			}
		}
	}
	return nil
}

// readGenAI reads the unpacked package, or the project's own data file.
func readGenAI(path string) (providers []genProvider, source string, err error) {
	if info, err := os.Stat(path); err != nil {
		return nil, "", err
	} else if !info.IsDir() {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, "", err
		}
		if err := json.Unmarshal(data, &providers); err != nil {
			return nil, "", fmt.Errorf("%s: %w", path, err)
		}
		return providers, "genai-prices", nil
	}
	if source, err = packageName(path); err != nil {
		return nil, "", err
	}
	text, err := os.ReadFile(filepath.Join(path, "dist", "index.cjs"))
	if err != nil {
		return nil, "", err
	}
	providers, err = genProvidersIn(string(text))
	return providers, source, err
}

// genProvidersIn finds the data in the bundled program: it is the first array
// of objects that begin with an id.
func genProvidersIn(text string) ([]genProvider, error) {
	at := strings.Index(text, "=[{id:")
	if at < 0 {
		return nil, fmt.Errorf("genai-prices: no data found in the bundle")
	}
	value, err := parseLiteral(text[at+1:])
	if err != nil {
		return nil, fmt.Errorf("genai-prices: %w", err)
	}
	plain, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("genai-prices: %w", err)
	}
	var providers []genProvider
	if err := json.Unmarshal(plain, &providers); err != nil {
		return nil, fmt.Errorf("genai-prices: %w", err)
	}
	return providers, nil
}

func (b *builder) addGenModel(provider, source, version string, m *genModel) error {
	dated, err := m.inForce(version)
	if err != nil {
		return err
	}
	equals, starts := m.Match.names()
	if b.imports && m.Match.accepts(m.ID) && !slices.Contains(equals, m.ID) && !slices.ContainsFunc(starts, func(s string) bool { return strings.HasPrefix(m.ID, s) }) {
		equals = append(equals, m.ID) // what it is matched by cannot be written as a row
	}
	if len(equals)+len(starts) == 0 {
		b.importing("genai-prices: %s %s: left out, a row can say none of its names", provider, m.ID)
	}
	own := b.rows[key{provider: provider, name: strings.ToLower(m.ID)}]
	if own != nil && !slices.Contains(equals, m.ID) {
		equals = append(equals, m.ID)
	}
	for _, d := range dated {
		row := m.row(d.prices, source)
		if b.imports {
			m.fees(d.prices, &row)
		}
		if row.TokenPrices == (price.TokenPrices{}) && row.PerHour == "" {
			continue
		}
		if own != nil {
			row = ofModel(own, row)
		}
		for _, name := range equals {
			b.join(key{provider, false, strings.ToLower(name), d.from}, name, row)
		}
		for _, name := range starts {
			if strings.HasPrefix(name, "ft:") {
				continue // a look-up never takes a fine-tune by its prefix
			}
			b.join(key{provider, true, strings.ToLower(name), d.from}, name, row)
			b.fillCovered(provider, name, d.from, row)
		}
	}
	return nil
}

// ofModel is the row of an alias or a prefix of a model that the other list has:
// its prices if both lists agree on them, its limits in any case.
func ofModel(own *price.Row, row price.Row) price.Row {
	if samePrices(own, &row) {
		both := *own
		fill(&both, &row)
		return both
	}
	row.Context = max(row.Context, own.Context)
	row.MaxOutput = own.MaxOutput
	return row
}

// join adds the row, or completes the one that is there.
func (b *builder) join(k key, name string, row price.Row) {
	have := b.rows[k]
	if have == nil {
		b.put(k, name, row)
		return
	}
	if !samePrices(have, &row) {
		fmt.Fprintf(b.log, "%s %s: %s has %s/%s, %s has %s/%s\n", k.provider, name,
			have.Source, have.Input, have.Output, row.Source, row.Input, row.Output)
	}
	fill(have, &row)
}

// fillCovered completes rows under whole names that the prefix covers, such as
// dated names of the same model.
func (b *builder) fillCovered(provider, prefix, from string, row price.Row) {
	for k, have := range b.rows {
		if k.provider == provider && !k.prefix && k.from == from &&
			strings.HasPrefix(k.name, strings.ToLower(prefix)) && samePrices(have, &row) {
			fill(have, &row)
		}
	}
}

// names are the whole names and the prefixes that a match accepts. What it
// accepts by other means cannot be written as a row.
func (m *genMatch) names() (equals, starts []string) {
	for i := range m.Or {
		e, s := m.Or[i].names()
		equals, starts = append(equals, e...), append(starts, s...)
	}
	if m.Equals != "" {
		equals = append(equals, m.Equals)
	}
	if m.StartsWith != "" {
		starts = append(starts, m.StartsWith)
	}
	return equals, starts
}

type genDated struct {
	from   string // empty for the list in force at the table's date
	prices genPrices
}

// inForce is the list in force at the date, and those announced for later. Of
// lists by hour of day the dearest counts: a table cannot know when a call ends.
func (m *genModel) inForce(date string) ([]genDated, error) {
	if len(m.Prices) == 0 || m.Prices[0] != '[' {
		var one genPrices
		if err := json.Unmarshal(m.Prices, &one); err != nil {
			return nil, err
		}
		return []genDated{{"", one}}, nil
	}
	var all []struct {
		Constraint struct {
			Type  string `json:"type"`
			Start string `json:"start_date"`
			Hour  string `json:"start_time"`
		} `json:"constraint"`
		Prices genPrices `json:"prices"`
	}
	if err := json.Unmarshal(m.Prices, &all); err != nil {
		return nil, err
	}
	var now genDated
	var later []genDated
	byHour := false
	for _, p := range all {
		switch {
		case p.Constraint.Type == "time_of_date" || p.Constraint.Hour != "":
			byHour = true
			if now.prices == nil || number(p.Prices["input_mtok"]) > number(now.prices["input_mtok"]) {
				now.prices = p.Prices
			}
		case p.Constraint.Start > date:
			later = append(later, genDated{p.Constraint.Start, p.Prices})
		case !byHour || number(p.Prices["input_mtok"]) > number(now.prices["input_mtok"]):
			now.prices = p.Prices
		}
	}
	return append([]genDated{now}, later...), nil
}

func number(raw json.RawMessage) float64 {
	var f float64
	if json.Unmarshal(raw, &f) != nil {
		var t genTiered
		if json.Unmarshal(raw, &t) == nil {
			f = t.Base
		}
	}
	return f
}

// tokenKeys are the price keys of genai-prices for token classes.
func tokenKeys(p *price.TokenPrices) map[string]*string {
	return map[string]*string{
		"input_mtok":            &p.Input,
		"output_mtok":           &p.Output,
		"cache_read_mtok":       &p.CacheRead,
		"cache_write_mtok":      &p.CacheWrite,
		"cache_write_1h_mtok":   &p.CacheWriteLong,
		"input_audio_mtok":      &p.InputAudio,
		"cache_audio_read_mtok": &p.CachedAudio,
		"output_audio_mtok":     &p.OutputAudio,
		"input_image_mtok":      &p.InputImage,
		"cache_image_read_mtok": &p.CachedImage,
		"input_video_mtok":      &p.InputVideo,
		"output_image_mtok":     &p.OutputImage,
	}
}

// row is a price list in our form. Tool calls are left to rows.json: they cost the
// same for all models of a provider.
func (m *genModel) row(prices genPrices, source string) price.Row {
	r := price.Row{Context: int64(m.Context), Source: source}
	if raw, ok := prices["audio_hours"]; ok {
		r.PerHour = usd(number(raw))
	}
	starts := make(map[int64]bool)
	for name, field := range tokenKeys(&r.TokenPrices) {
		raw, ok := prices[name]
		if !ok {
			continue
		}
		*field = usd(number(raw))
		var t genTiered
		if json.Unmarshal(raw, &t) == nil {
			for _, tier := range t.Tiers {
				starts[tier.Start] = true
			}
		}
	}
	for start := range starts {
		r.ContextTiers = append(r.ContextTiers, tierFrom(start, prices))
	}
	slices.SortFunc(r.ContextTiers, func(a, b price.ContextTier) int { return int(a.Above - b.Above) })
	// A list without an output price is one of embeddings.
	if r.Input != "" && r.Output == "" {
		r.Output = "0"
	}
	return r
}

// tierFrom is the context tier that begins at start tokens. A start written as
// one token less than a round number is how the list says "from", where the
// vendors say "above"; it becomes the round number.
func tierFrom(start int64, prices genPrices) price.ContextTier {
	t := price.ContextTier{Above: start}
	if start%1000 == 999 {
		t.Above++
	}
	for name, field := range tokenKeys(&t.TokenPrices) {
		raw, ok := prices[name]
		if !ok {
			continue
		}
		*field = usd(number(raw))
		var tiered genTiered
		if json.Unmarshal(raw, &tiered) == nil {
			for _, step := range tiered.Tiers {
				if step.Start <= start {
					*field = usd(step.Price)
				}
			}
		}
	}
	return t
}
