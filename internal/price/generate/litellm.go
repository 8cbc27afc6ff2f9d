package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tollgate/internal/price"
)

// liteProviders are the providers of LiteLLM's list that are read, by our name.
var liteProviders = map[string]string{
	"anthropic":              "anthropic",
	"azure":                  "azure",
	"azure_text":             "azure",
	"bedrock":                "bedrock",
	"bedrock_converse":       "bedrock",
	"deepinfra":              "deepinfra",
	"deepseek":               "deepseek",
	"fireworks_ai":           "fireworks",
	"gemini":                 "google",
	"groq":                   "groq",
	"mistral":                "mistral",
	"openai":                 "openai",
	"openrouter":             "openrouter",
	"text-completion-openai": "openai",
	"together_ai":            "together",
	"xai":                    "xai",
}

// slashed are our providers whose models have a slash in their names. At all others
// LiteLLM writes a region, a size or a quality before it.
var slashed = []string{"deepinfra", "fireworks", "groq", "openrouter", "together"}

// liteTokens are LiteLLM's members for prices per token, without what may follow:
// _above_200k_tokens, then _flex, _priority, _batches or _ultrafast.
func liteTokens(p *price.TokenPrices) map[string]*string {
	return map[string]*string{
		"input_cost_per_token":                        &p.Input,
		"output_cost_per_token":                       &p.Output,
		"cache_read_input_token_cost":                 &p.CacheRead,
		"cache_creation_input_token_cost":             &p.CacheWrite,
		"cache_creation_input_token_cost_above_1hr":   &p.CacheWriteLong,
		"input_cost_per_audio_token":                  &p.InputAudio,
		"cache_read_input_audio_token_cost":           &p.CachedAudio,
		"cache_read_input_token_cost_per_audio_token": &p.CachedAudio,
		"output_cost_per_audio_token":                 &p.OutputAudio,
		"input_cost_per_image_token":                  &p.InputImage,
		"cache_read_input_image_token_cost":           &p.CachedImage,
		"output_cost_per_image_token":                 &p.OutputImage,
	}
}

// liteTiers are the service tiers by LiteLLM's ending.
var liteTiers = map[string]string{"flex": "flex", "priority": "priority", "batches": "batch", "ultrafast": "ultrafast"}

var (
	liteTier  = regexp.MustCompile(`_(flex|priority|batches|ultrafast)$`)
	liteAbove = regexp.MustCompile(`_above_(\d{1,6})k_tokens$`)
	// litePrice tells the members that have to do with money from all others.
	litePrice = regexp.MustCompile(`cost|price|pricing|multiplier|dbu`)
)

// addLiteLLM adds the models of model_prices_and_context_window.json. What it says of
// money and a row cannot is written to the log, model by model.
func (b *builder) addLiteLLM(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var models map[string]map[string]json.RawMessage
	if err := json.Unmarshal(data, &models); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	left := make(map[string]int)
	for _, name := range slices.Sorted(maps.Keys(models)) {
		m := liteModel{name: name, members: models[name], log: b.note}
		theirs := m.text("litellm_provider")
		provider, ok := liteProviders[theirs]
		switch short := strings.TrimPrefix(name, theirs+"/"); {
		case name == "sample_spec":
		case !ok:
			left[theirs]++
		case strings.Contains(short, "/") && !slices.Contains(slashed, provider):
			b.note("litellm: %s: left out, its price is that of a region, a size or a quality", name)
		default:
			row, ok := m.row()
			if !ok {
				b.note("litellm: %s: left out, it has no price that a row can say", name)
				continue
			}
			b.join(key{provider: provider, name: strings.ToLower(short)}, short, row)
		}
	}
	for _, theirs := range slices.Sorted(maps.Keys(left)) {
		b.note("litellm: provider %q: %d models left out, it is not one of ours", theirs, left[theirs])
	}
	return nil
}

// note writes a line to the log.
func (b *builder) note(format string, args ...any) { fmt.Fprintf(b.log, format+"\n", args...) }

// liteModel is an entry of the list while it is read.
type liteModel struct {
	name    string
	members map[string]json.RawMessage
	log     func(format string, args ...any)

	result price.Row
	// tiers holds the prices by context threshold (0 for none) and service tier
	// ("" for standard).
	tiers map[liteTerms]*price.TokenPrices
}

// liteTerms are the conditions of a price.
type liteTerms struct {
	above   int64 // tokens
	service string
}

func (m *liteModel) row() (price.Row, bool) {
	m.result = price.Row{Source: "LiteLLM"}
	m.tiers = map[liteTerms]*price.TokenPrices{{}: &m.result.TokenPrices}
	for _, member := range slices.Sorted(maps.Keys(m.members)) {
		if member == "provider_specific_entry" {
			m.log("litellm: %s: %s %s is not taken", m.name, member, m.members[member])
		}
		if !litePrice.MatchString(member) || m.token(member) || m.other(member) {
			continue
		}
		if value := strings.TrimSpace(string(m.members[member])); value != "null" && strings.Trim(value, "0.") != "" {
			m.log("litellm: %s: %s %s is not taken, a row has no member for it", m.name, member, value)
		}
	}
	r := &m.result
	r.Context, r.MaxOutput = m.whole("max_input_tokens"), m.whole("max_output_tokens")
	mode := m.text("mode")
	if mode == "embedding" && r.Input != "" {
		r.MaxOutput, r.Output = 0, "0" // it has a length of vectors there, or nothing
	}
	m.contexts()
	m.multipliers()
	free := r.Input == "0" && (r.Output == "0" || r.Output == "") && mode != "moderation"
	priced := r.TokenPrices != (price.TokenPrices{}) && !free || r.PerMinute != "" || r.PerMChars != "" || len(r.PerImage) > 0
	return *r, priced
}

// token reads a price of tokens and reports whether the member is one.
func (m *liteModel) token(member string) bool {
	base, terms := member, liteTerms{}
	if at := liteTier.FindStringSubmatchIndex(base); at != nil {
		terms.service, base = liteTiers[base[at[2]:at[3]]], base[:at[0]]
	}
	if at := liteAbove.FindStringSubmatchIndex(base); at != nil {
		thousands, _ := strconv.ParseInt(base[at[2]:at[3]], 10, 64) // digits only
		terms.above, base = thousands*1000, base[:at[0]]
	}
	if base == "output_cost_per_reasoning_token" {
		m.reasoning(member)
		return true
	}
	prices := m.tiers[terms]
	if prices == nil {
		prices = new(price.TokenPrices)
	}
	field, ok := liteTokens(prices)[base]
	if !ok {
		return false
	}
	if usd := m.dollars(member, 6); usd != "" {
		*field = usd
		m.tiers[terms] = prices
	}
	return true
}

// reasoning is billed as output everywhere that we know of; a price of its own is
// worth a look.
func (m *liteModel) reasoning(member string) {
	if usd := m.dollars(member, 6); usd != "" && usd != "0" && usd != m.dollars("output_cost_per_token", 6) {
		m.log("litellm: %s: %s is %s a million, another price than that of output, and is not taken", m.name, member, usd)
	}
}

// other reads a price of something else and reports whether the member is one that
// a row has.
func (m *liteModel) other(member string) bool {
	mode, r := m.text("mode"), &m.result
	switch member {
	case "input_cost_per_second", "output_cost_per_second", "input_cost_per_audio_per_second":
		if mode != "audio_transcription" {
			return false
		}
		r.PerMinute = dearer(r.PerMinute, product(m.dollars(member, 0), 60))
	case "input_cost_per_character":
		if mode != "audio_speech" {
			return false
		}
		r.PerMChars = m.dollars(member, 6)
	case "output_cost_per_image", "input_cost_per_image":
		if mode != "image_generation" && mode != "image_edit" {
			return false
		}
		usd := m.dollars(member, 0)
		if len(r.PerImage) > 0 {
			usd = dearer(usd, r.PerImage[0].Price)
		}
		if usd != "" && usd != "0" {
			r.PerImage = []price.ImagePrice{{Price: usd}}
		}
	case "file_search_cost_per_1k_calls":
		r.FileSearch = m.dollars(member, 0)
	case "input_cost_per_request", "input_cost_per_query":
		r.PerRequest = dearer(r.PerRequest, m.dollars(member, 0))
	case "search_context_cost_per_query":
		return m.searches(member)
	default:
		return false
	}
	return true
}

// searches reads the price of a web search, by how much it puts into the context.
// The dearest counts: what a call asked for is not told by its answer.
func (m *liteModel) searches(member string) bool {
	var sizes map[string]json.Number
	if json.Unmarshal(m.members[member], &sizes) != nil {
		return false
	}
	differ := false
	for _, size := range slices.Sorted(maps.Keys(sizes)) {
		usd := m.exact(member, sizes[size].String(), 3)
		differ = differ || m.result.WebSearch != "" && m.result.WebSearch != usd
		m.result.WebSearch = dearer(m.result.WebSearch, usd)
	}
	if differ {
		m.log("litellm: %s: %s depends on the size; the dearest is taken", m.name, member)
	}
	return true
}

// contexts turns prices above thresholds into context tiers. What a tier does not
// name costs what it costs below.
func (m *liteModel) contexts() {
	below := m.result.TokenPrices
	for _, terms := range slices.SortedFunc(maps.Keys(m.tiers), func(x, y liteTerms) int { return int(x.above - y.above) }) {
		if terms.above == 0 || terms.service != "" {
			continue
		}
		tier := *m.tiers[terms]
		have, stated := liteTokens(&below), liteTokens(&tier)
		for base, field := range stated {
			if *field == "" {
				*field = *have[base]
			}
		}
		m.result.ContextTiers = append(m.result.ContextTiers, price.ContextTier{Above: terms.above, TokenPrices: tier})
		below = tier
	}
}

// multipliers turns the prices of service tiers into multipliers. A row has one for
// all tokens, so of several the largest counts.
func (m *liteModel) multipliers() {
	largest := make(map[string]*big.Rat)
	differ := make(map[string]bool)
	for _, terms := range slices.SortedFunc(maps.Keys(m.tiers), func(x, y liteTerms) int { return int(x.above - y.above) }) {
		if terms.service == "" {
			continue
		}
		standard := m.tiers[liteTerms{above: terms.above}]
		if standard == nil {
			standard = &m.result.TokenPrices
		}
		have := liteTokens(standard)
		for base, field := range liteTokens(m.tiers[terms]) {
			if *field == "" {
				continue
			}
			above, ok := quotient(*field, *have[base])
			if !ok {
				m.log("litellm: %s: the %s price for %s is not taken, it has no standard price", m.name, terms.service, base)
				continue
			}
			if old := largest[terms.service]; old == nil {
				largest[terms.service] = above
			} else if c := above.Cmp(old); c != 0 {
				differ[terms.service] = true
				if c > 0 {
					largest[terms.service] = above
				}
			}
		}
	}
	for _, service := range slices.Sorted(maps.Keys(largest)) {
		if m.result.Multipliers == nil {
			m.result.Multipliers = make(map[string]string)
		}
		m.result.Multipliers[service] = ratioText(largest[service])
		if differ[service] {
			m.log("litellm: %s: %s prices are not all the same multiple; the largest, %s, is taken", m.name, service, ratioText(largest[service]))
		}
	}
}

// text is a member that is a string.
func (m *liteModel) text(member string) (s string) {
	_ = json.Unmarshal(m.members[member], &s) // else empty
	return s
}

// whole is a member that is a whole number, also written as a float or a string.
func (m *liteModel) whole(member string) int64 {
	f, err := strconv.ParseFloat(strings.Trim(string(m.members[member]), `"`), 64)
	if err != nil || f < 0 || f > 1e12 {
		return 0
	}
	return int64(f)
}

// dollars is a price in USD, its point moved by so many places; empty if it is not
// given.
func (m *liteModel) dollars(member string, places int) string {
	raw := strings.TrimSpace(string(m.members[member]))
	if raw == "" || raw == "null" {
		return ""
	}
	return m.exact(member, raw, places)
}

func (m *liteModel) exact(member, number string, places int) string {
	usd, err := price.Shift(number, places)
	if err != nil {
		m.log("litellm: %s: %s %s is not taken, it is no price", m.name, member, number)
		return ""
	}
	short := shortened(usd)
	if short != usd {
		m.log("litellm: %s: %s is %s, shortened to %s", m.name, member, usd, short)
	}
	return short
}
