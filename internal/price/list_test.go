package price_test

import (
	"encoding/csv"
	"os"
	"strconv"
	"testing"

	"tollgate/internal/gateway"
	"tollgate/internal/price"
)

// testdata/facts.csv holds the list prices of November 2026 of all providers, in
// dollars per million tokens, collected apart from the table. An empty figure is one
// that the collection does not have. What has no column here is in furtherFactsFile.
const factsFile = "testdata/facts.csv"

// readFacts returns each line by the names of its columns.
func readFacts(t *testing.T) (facts []map[string]string) {
	t.Helper()
	f, err := os.Open(factsFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines[1:] {
		fact := make(map[string]string)
		for i, name := range lines[0] {
			fact[name] = line[i]
		}
		facts = append(facts, fact)
	}
	return facts
}

// differing are figures in which the table knows better than the collection, and why.
var differing = map[string]string{
	"deepseek deepseek-v4-flash input":      byHour,
	"deepseek deepseek-v4-flash output":     byHour,
	"deepseek deepseek-v4-flash cache_read": byHour,
}

const byHour = "it costs twice as much at some hours of the day; the table has the dearest, the collection the cheapest"

func TestEmbeddedFollowsLists(t *testing.T) {
	facts, compared := readFacts(t), 0
	for _, fact := range facts {
		name := fact["provider"] + " " + fact["model"]
		m, ok := price.Embedded().Lookup(fact["provider"], fact["model"], november)
		if !ok {
			t.Errorf("%s: no row", name)
			continue
		}
		check := func(column string, got price.Rate) {
			if fact[column] == "" {
				return
			}
			compared++
			want, err := price.ParseUSD(fact[column])
			if err != nil {
				t.Fatal(err)
			}
			same := got == (price.Rate{Nano: want, Known: true})
			switch why := differing[name+" "+column]; {
			case why == "" && !same:
				t.Errorf("%s: %s is %+v, want %d", name, column, got, want)
			case why != "" && same:
				t.Errorf("%s: %s does not differ any more (%s)", name, column, why)
			}
		}
		check("input", m.Rates[gateway.Input])
		check("output", m.Rates[gateway.Output])
		check("cache_read", m.Rates[gateway.CacheRead])
		check("cache_write", m.Rates[gateway.CacheWrite])
		check("cache_write_long", m.Rates[gateway.CacheWriteLong])
		if most := fact["max_output"]; most != "" && strconv.FormatInt(m.MaxOutput, 10) != most {
			t.Errorf("%s: at most %d tokens out, want %s", name, m.MaxOutput, most)
		}
		row, _ := m.Row()
		if fact["above"] != "" {
			checkTier(t, name, fact, row)
		}
		if fact["priority"] != "" && row.Multipliers["priority"] != fact["priority"] && row.Multipliers["fast"] != fact["priority"] {
			t.Errorf("%s: priority is %v, want %s", name, row.Multipliers, fact["priority"])
		}
	}
	if len(facts) < 140 || compared < 400 {
		t.Errorf("only %d figures of %d models compared", compared, len(facts))
	}
}

// checkTier compares the context tier of a line, which is the only one.
func checkTier(t *testing.T, name string, fact map[string]string, row price.Row) {
	t.Helper()
	if len(row.ContextTiers) != 1 || strconv.FormatInt(row.ContextTiers[0].Above, 10) != fact["above"] {
		t.Errorf("%s: tiers %+v, want one above %s", name, row.ContextTiers, fact["above"])
		return
	}
	tier := row.ContextTiers[0]
	for column, got := range map[string]string{
		"input_above": tier.Input, "output_above": tier.Output,
		"cache_read_above": tier.CacheRead, "cache_write_above": tier.CacheWrite,
	} {
		if fact[column] != "" && fact[column] != got {
			t.Errorf("%s: %s is %q, want %s", name, column, got, fact[column])
		}
	}
}
