package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tollgate/internal/price"
)

// piFiles are the data files of pi-ai that are read, by our provider name.
var piFiles = map[string]string{
	"anthropic": "anthropic",
	"bedrock":   "amazon-bedrock",
	"deepseek":  "deepseek",
	"google":    "google",
	"groq":      "groq",
	"mistral":   "mistral",
	"openai":    "openai",
	"xai":       "xai",
}

type piModel struct {
	ID   string `json:"id"`
	Cost struct {
		piCost
		Tiers []struct {
			Above int64 `json:"inputTokensAbove"`
			piCost
		} `json:"tiers"`
	} `json:"cost"`
	Context   int64 `json:"contextWindow"`
	MaxTokens int64 `json:"maxTokens"`
}

type piCost struct {
	Input      float64 `json:"input"`
	Output     float64 `json:"output"`
	CacheRead  float64 `json:"cacheRead"`
	CacheWrite float64 `json:"cacheWrite"`
}

func (c piCost) prices() price.TokenPrices {
	return price.TokenPrices{
		Input: usd(c.Input), Output: usd(c.Output),
		CacheRead: usdOrNone(c.CacheRead), CacheWrite: usdOrNone(c.CacheWrite),
	}
}

// addPiAI adds the chat models of pi-ai.
func (b *builder) addPiAI(dir string) error {
	source, err := packageName(dir)
	if err != nil {
		return err
	}
	for _, provider := range slices.Sorted(maps.Keys(piFiles)) {
		models, err := readPi(dir, piFiles[provider])
		if err != nil {
			return err
		}
		for _, m := range models {
			// Both zero is how the list writes that it has no price.
			if m.Cost.Input == 0 && m.Cost.Output == 0 {
				continue
			}
			b.put(key{provider: provider, name: strings.ToLower(m.ID)}, m.ID, m.row(source))
		}
	}
	return b.widenContexts(dir)
}

func (m *piModel) row(source string) price.Row {
	r := price.Row{
		TokenPrices: m.Cost.prices(), Source: source,
		MaxOutput: m.MaxTokens, Context: m.Context,
	}
	for _, t := range m.Cost.Tiers {
		r.ContextTiers = append(r.ContextTiers, price.ContextTier{Above: t.Above, TokenPrices: t.prices()})
	}
	return r
}

// widenContexts takes the larger context window where the list of Azure has
// one: for OpenAI itself the list stops at the end of the cheaper context tier.
func (b *builder) widenContexts(dir string) error {
	models, err := readPi(dir, "azure")
	if os.IsNotExist(err) {
		return nil
	}
	for _, m := range models {
		if r := b.rows[key{provider: "openai", name: strings.ToLower(m.ID)}]; r != nil {
			r.Context = max(r.Context, m.Context)
		}
	}
	return err
}

// readPi reads the chat models of one data file: an object of APIs, each an
// object of models under "chat:<id>" and other kinds.
func readPi(dir, name string) ([]piModel, error) {
	path := filepath.Join(dir, "dist", "providers", "data", name+".json")
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var apis map[string]map[string]piModel
	if err := json.Unmarshal(data, &apis); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var models []piModel
	for _, api := range slices.Sorted(maps.Keys(apis)) {
		for _, kind := range slices.Sorted(maps.Keys(apis[api])) {
			if strings.HasPrefix(kind, "chat:") {
				models = append(models, apis[api][kind])
			}
		}
	}
	return models, nil
}

// packageName is the name and version in a package's manifest, as a source.
func packageName(dir string) (string, error) {
	path := filepath.Join(dir, "package.json")
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var p struct{ Name, Version string }
	if err := json.Unmarshal(data, &p); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	_, short, _ := strings.Cut(p.Name, "/")
	return short + " " + p.Version, nil
}
