// Command generate writes the price table from published lists and rows kept by hand.
//
// A developer runs it when prices have changed, on the unpacked npm packages
// @earendil-works/pi-ai (chat models, limits, context tiers) and
// @pydantic/genai-prices (other kinds of models, aliases, dated prices):
//
//	go run ./internal/price/generate -version 2026-11-10 \
//		-pi-ai pi-ai/package -genai-prices genai-prices/package \
//		-rows internal/price/generate/rows.json > internal/price/prices.json.new
//	mv internal/price/prices.json.new internal/price/prices.json
//
// An operator runs it on a list that somebody else keeps up to date, to store the
// result with PUT /api/prices:
//
//	go run ./internal/price/generate -litellm model_prices_and_context_window.json \
//		-base internal/price/prices.json -o table.json
//	go run ./internal/price/generate -genai-prices data.json -o table.json
//
// Where lists disagree, rows by hand win over pi-ai, pi-ai over genai-prices,
// genai-prices over LiteLLM, and any of them over the rows of the base.
// Disagreements of the lists, and prices of theirs that a row cannot say, are
// printed to standard error. The output depends on the input only and has one row
// on each line, so that a diff shows what changed. Nothing is written unless
// price.Parse accepts it.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"tollgate/internal/price"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(args []string, out, log io.Writer) error {
	flags := flag.NewFlagSet("generate", flag.ContinueOnError)
	flags.SetOutput(log)
	version := flags.String("version", time.Now().UTC().Format(time.DateOnly), "date of the table, 2006-01-02")
	piAI := flags.String("pi-ai", "", "unpacked package @earendil-works/pi-ai; may be left out")
	genAI := flags.String("genai-prices", "", "unpacked package @pydantic/genai-prices, or the project's data.json; may be left out")
	lite := flags.String("litellm", "", "LiteLLM's model_prices_and_context_window.json; may be left out")
	base := flags.String("base", "", "table whose rows stay where the lists have none; may be left out")
	to := flags.String("o", "", "file to write; standard output if left out")
	hand := flags.String("rows", "", "file with patches and rows kept by hand")
	if err := flags.Parse(args); err != nil {
		return err
	}
	b := builder{log: log, rows: make(map[key]*price.Row), imports: *hand == ""}
	if *piAI != "" {
		if err := b.addPiAI(*piAI); err != nil {
			return err
		}
	}
	if *genAI != "" {
		if err := b.addGenAI(*genAI, *version); err != nil {
			return err
		}
	}
	if *lite != "" {
		if err := b.addLiteLLM(*lite); err != nil {
			return err
		}
	}
	file := price.File{Version: *version}
	if *base != "" {
		providers, err := b.addBase(*base)
		if err != nil {
			return err
		}
		file.Providers = providers
	}
	if *hand != "" {
		providers, err := b.addHand(*hand)
		if err != nil {
			return err
		}
		file.Providers = providers
	}
	if !b.imports {
		b.claudeOnBedrock()
	}
	file.Rows = b.grouped()
	if file.Providers == nil {
		file.Providers = b.fallbacks()
	}
	text, err := render(&file)
	if err != nil {
		return err
	}
	if _, err := price.Parse(text); err != nil {
		return err
	}
	if *to != "" {
		return os.WriteFile(*to, text, 0o644)
	}
	_, err = out.Write(text)
	return err
}

// addBase adds the rows of a table under names that no list has.
func (b *builder) addBase(path string) (map[string]price.Provider, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if _, err := price.Parse(data); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var file price.File
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, r := range file.Rows {
		add := func(names []string, prefix bool) {
			for _, name := range names {
				k := key{r.Provider, prefix, strings.ToLower(name), r.From}
				if b.rows[k] == nil {
					b.put(k, name, r)
				}
			}
		}
		add(r.Exact, false)
		add(r.Prefix, true)
	}
	return file.Providers, nil
}

// fallbacks are the providers that serve other providers' models, where the latter
// have rows.
func (b *builder) fallbacks() map[string]price.Provider {
	all := make(map[string]price.Provider)
	for name, target := range map[string]string{"azure": "openai", "gemini": "google"} {
		for k := range b.rows {
			if k.provider == target {
				all[name] = price.Provider{Fallback: target}
				break
			}
		}
	}
	return all
}
