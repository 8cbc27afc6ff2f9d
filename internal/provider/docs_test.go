package provider_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/price"
	"tollgate/internal/provider"
)

var update = flag.Bool("update", false, "write the table of docs/providers.md")

const (
	providersPage = "../../docs/providers.md"
	tableBegin    = "<!-- The table is written by: go test ./internal/provider -run TestProvidersPage -update -->\n"
	tableEnd      = "<!-- end of the table -->\n"
)

// The page's table is the endpoint table.
func TestProvidersPage(t *testing.T) {
	page, err := os.ReadFile(providersPage)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, begun := bytes.Cut(page, []byte(tableBegin))
	_, tail, ended := bytes.Cut(rest, []byte(tableEnd))
	if !begun || !ended {
		t.Fatal("docs/providers.md has lost the marks around its table")
	}
	want := fmt.Sprintf("%s%s%s%s%s", head, tableBegin, matrix(), tableEnd, tail)
	if want == string(page) {
		return
	}
	if !*update {
		t.Fatal("docs/providers.md does not agree with the endpoint table; go test ./internal/provider -run TestProvidersPage -update writes it anew")
	}
	if err := os.WriteFile(providersPage, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// matrix has a line for every metered endpoint, and one for each family of those
// that cost nothing.
func matrix() string {
	vendors := provider.All()
	var names, lines []string
	cells := map[string]map[string]string{} // line, vendor
	for _, v := range vendors {
		if !slices.Contains(names, v.Name()) { // Gemini is there in two forms
			names = append(names, v.Name())
		}
		for _, e := range v.Endpoints() {
			line, cell := describe(v, &e)
			if cells[line] == nil {
				cells[line] = map[string]string{}
				lines = append(lines, line)
			}
			// Azure has most endpoints twice; what one form can, the page shows.
			if len(cell) > len(cells[line][v.Name()]) {
				cells[line][v.Name()] = cell
			}
		}
	}
	var b strings.Builder
	b.WriteString("\n| endpoint |")
	for _, name := range names {
		fmt.Fprintf(&b, " %s |", name)
	}
	b.WriteString("\n| --- |" + strings.Repeat(" --- |", len(names)) + "\n")
	for _, metered := range []bool{true, false} {
		for _, line := range lines {
			if metered == strings.HasSuffix(line, "…`") {
				continue
			}
			fmt.Fprintf(&b, "| %s |", line)
			for _, name := range names {
				fmt.Fprintf(&b, " %s |", cells[line][name])
			}
			b.WriteString("\n")
		}
	}
	b.WriteString("\n")
	return b.String()
}

// describe is the line of an endpoint and what it can.
func describe(v provider.Vendor, e *provider.Endpoint) (line, cell string) {
	path := strings.TrimPrefix(e.Pattern, "/api/providers/"+v.Name())
	for _, prefix := range []string{"/openai", "/anthropic", "/deployments/:deployment_id", "/v1beta", "/v1"} {
		path = strings.TrimPrefix(path, prefix)
	}
	if e.Metering == provider.Free {
		return "`/" + strings.SplitN(path, "/", 3)[1] + "…`", "R"
	}
	cell = "RM"
	if priced(v.Name(), e.Metering) {
		cell += "P"
	}
	switch e.Metering {
	case provider.Embeddings, provider.FileSearch:
	case provider.Unbounded:
		cell = "R"
	case provider.Invoke, provider.Converse:
		if strings.HasSuffix(e.Pattern, "-stream") {
			cell += "S"
		}
	default:
		cell += "S"
	}
	return "`" + e.Method + " " + path + "`", cell
}

// priced reports whether the price table has models of the vendor for such calls.
func priced(vendor string, by provider.Metering) bool {
	table := price.Embedded()
	for _, m := range table.Models() {
		if m, ok := table.Lookup(vendor, m.Name, time.Now()); ok && pricesCalls(m, by) {
			return true
		}
	}
	return false
}

func pricesCalls(m *price.Model, by provider.Metering) bool {
	known := func(classes ...gateway.Class) bool {
		for _, c := range classes {
			if m.Rates[c].Known && m.Rates[c].Nano > 0 {
				return true
			}
		}
		return false
	}
	switch by {
	case provider.Embeddings:
		return known(gateway.Input) && !known(gateway.Output)
	case provider.Image:
		return known(gateway.Images, gateway.OutputImage)
	case provider.Speech:
		return known(gateway.Characters, gateway.OutputAudio)
	case provider.Transcription:
		return known(gateway.AudioMillis, gateway.InputAudio)
	case provider.FileSearch:
		return known(gateway.FileSearches)
	}
	return known(gateway.Output)
}
