package price_test

import (
	"encoding/csv"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/price"
)

// testdata/further_facts.csv holds what testdata/facts.csv has no columns for: prices of
// audio and pictures in dollars per million tokens, per hour or minute, per million
// characters and per picture; of tools in dollars per 1,000 calls; and factors of tiers
// and regions. A line for "every model" is about the provider. An empty value is one that
// the collection names but does not have.
const furtherFactsFile = "testdata/further_facts.csv"

// unproved are figures of the collection that the table cannot have, and why.
var unproved = map[string]string{
	"google gemini-embedding-2 input_video":   "tokens of video have no class of their own: they count as those of pictures",
	"mistral mistral-ocr-4-1 pages":           "pages have no class, and the model no row: its price is unknown, not zero",
	"mistral mistral-ocr-4-1 annotated pages": "pages have no class, and the model no row: its price is unknown, not zero",
	"openai every model region":               "the host decides, not the model: TestRegionalHosts of the proxy",
	"anthropic every model region":            "the answer decides, not the model: TestAnthropicCost of the proxy",
	"bedrock every model batch":               "batches of Bedrock are jobs on S3 and pass no gateway",
	"openai gpt-6-astra ultrafast":            noFigure,
	"openai gpt-6.1-sol ultrafast":            noFigure,
	"openai gpt-6-astra 12h cache write":      noFigure,
	"bedrock every model flex":                noFigure,
	"bedrock every model priority":            noFigure,
	"azure every model data zone":             noFigure,
}

const noFigure = "the collection has no figure"

func TestEmbeddedFollowsFurtherFacts(t *testing.T) {
	f, err := os.Open(furtherFactsFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil || len(lines) < 115 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	left := make(map[string]bool)
	for name := range unproved {
		left[name] = true
	}
	for _, line := range lines[1:] {
		provider, model, figure, value := line[0], line[1], line[2], line[3]
		name := provider + " " + model + " " + figure
		t.Run(name, func(t *testing.T) {
			why := unproved[name]
			if delete(left, name); (value == "") != (why == noFigure) {
				t.Fatalf("the figure is %q; the reason not to have it: %q", value, why)
			}
			switch {
			case why != "":
			case model == "every model":
				checkProvider(t, provider, figure, value)
			default:
				checkFigure(t, provider, model, figure, value)
			}
		})
	}
	for name := range left {
		t.Errorf("%s is not in the collection", name)
	}
	if _, ok := price.Embedded().Lookup("mistral", "mistral-ocr-4-1", november); ok {
		t.Error("mistral-ocr-4-1 has a row")
	}
}

// times is value, in dollars, as nano-dollars, times factor and over per; what is no
// whole number is rounded up, as all prices are.
func times(t *testing.T, value string, factor, per int64) price.Rate {
	t.Helper()
	usd, err := gateway.ParseUSD(value)
	if err != nil {
		t.Fatal(err)
	}
	return price.Rate{Nano: (int64(usd)*factor + per - 1) / per, Known: true}
}

const (
	million     = 1_000_000
	hourMillis  = 3_600_000
	perThousand = million / 1000
)

func checkFigure(t *testing.T, provider, model, figure, value string) {
	t.Helper()
	at := november
	if rest, from, ok := strings.Cut(figure, " from "); ok {
		day, err := time.Parse(time.DateOnly, from)
		if err != nil {
			t.Fatal(err)
		}
		figure, at = rest, day
	}
	m, ok := price.Embedded().Lookup(provider, model, at)
	if !ok {
		t.Fatal("no row")
	}
	row, _ := m.Row()
	same := func(got, want price.Rate) {
		t.Helper()
		if got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	kind, arg, _ := strings.Cut(figure, " ")
	switch {
	case kind == "image":
		size, quality, _ := strings.Cut(arg, " ")
		same(m.ImagePrice(size, quality), times(t, value, million, 1))
		same(m.ForImage(size, quality).Rates[gateway.Images], times(t, value, million, 1))
	case figure == "audio hour":
		same(m.Rates[gateway.AudioMillis], times(t, value, million, hourMillis))
	case figure == "audio minute":
		same(m.Rates[gateway.AudioMillis], times(t, value, million, hourMillis/60))
	case kind == "input" && strings.HasPrefix(arg, "above "), kind == "output" && strings.HasPrefix(arg, "above "):
		above, _ := strconv.ParseInt(strings.TrimPrefix(arg, "above "), 10, 64)
		got := ""
		for _, tier := range row.ContextTiers {
			if tier.Above == above {
				got = map[string]string{"input": tier.Input, "output": tier.Output}[kind]
			}
		}
		if got != value {
			t.Errorf("%q, want %s", got, value)
		}
	case figure == "flex", figure == "batch", figure == "fast":
		if got := row.Multipliers[figure]; got != value {
			t.Errorf("%q, want %s", got, value)
		}
	default:
		same(m.Rates[classNamed(t, figure)], times(t, value, 1, 1))
	}
}

func classNamed(t *testing.T, name string) gateway.Class {
	t.Helper()
	for c, have := range gateway.ClassNames {
		if have == name {
			return gateway.Class(c)
		}
	}
	t.Fatalf("there is no class %s", name)
	return 0
}

// checkProvider compares a figure for all models of a provider in testdata/facts.csv
// that it is about.
func checkProvider(t *testing.T, provider, figure, value string) {
	t.Helper()
	compared := 0
	for _, fact := range readFacts(t) {
		if fact["provider"] != provider {
			continue
		}
		m, ok := price.Embedded().Lookup(provider, fact["model"], november)
		if !ok {
			t.Errorf("%s: no row", fact["model"])
			continue
		}
		row, _ := m.Row()
		got, want := any(nil), any(nil)
		switch figure {
		case "web_search":
			got, want = m.Rates[gateway.WebSearches], times(t, value, perThousand, 1)
		case "file_search":
			got, want = m.Rates[gateway.FileSearches], times(t, value, perThousand, 1)
		case "regional":
			global, ok := strings.CutPrefix(fact["model"], "us.")
			if !ok {
				continue
			}
			list, ok := price.Embedded().Lookup(provider, "global."+global, november)
			if !ok {
				continue
			}
			if listed, _ := list.Row(); !slices.Contains(listed.Exact, "global."+global) {
				continue // priced by a row of another name
			}
			got, want = m.Rates[gateway.Input].Nano*10, list.Rates[gateway.Input].Nano*11
		default: // the factor of a tier, where the model is offered in it
			if row.Multipliers[figure] == "" {
				continue
			}
			got, want = row.Multipliers[figure], value
		}
		compared++
		if got != want {
			t.Errorf("%s: %v, want %v", fact["model"], got, want)
		}
	}
	if compared == 0 {
		t.Error("nothing to compare")
	}
}
