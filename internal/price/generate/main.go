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
// Where lists disagree, rows by hand win over pi-ai and pi-ai over genai-prices;
// disagreements of the lists are printed to standard error. The output depends
// on the input only and has one row on each line, so that a diff shows what
// changed. Nothing is written unless price.Parse accepts it.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

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
	version := flags.String("version", "", "date of the table, 2006-01-02")
	piAI := flags.String("pi-ai", "", "unpacked package @earendil-works/pi-ai; may be left out")
	genAI := flags.String("genai-prices", "", "unpacked package @pydantic/genai-prices; may be left out")
	hand := flags.String("rows", "", "file with patches and rows kept by hand")
	if err := flags.Parse(args); err != nil {
		return err
	}
	b := builder{log: log, rows: make(map[key]*price.Row)}
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
	file := price.File{Version: *version}
	if *hand != "" {
		providers, err := b.addHand(*hand)
		if err != nil {
			return err
		}
		file.Providers = providers
	}
	file.Rows = b.grouped()
	text, err := render(&file)
	if err != nil {
		return err
	}
	if _, err := price.Parse(text); err != nil {
		return err
	}
	_, err = out.Write(text)
	return err
}
