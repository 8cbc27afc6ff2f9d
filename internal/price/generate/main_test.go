package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"tollgate/internal/price"
)

// unpack writes the files of an archive into a new folder and returns it and
// the contents by name.
func unpack(t *testing.T, path string) (string, map[string]string) {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := make(map[string]string)
	for _, f := range archive.Files {
		files[f.Name] = string(f.Data)
		name := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir, files
}

func arguments(dir string) []string {
	return []string{
		"-version", "2026-11-10", "-pi-ai", filepath.Join(dir, "pi"),
		"-genai-prices", filepath.Join(dir, "genai"), "-rows", filepath.Join(dir, "rows.json"),
	}
}

func TestRun(t *testing.T) {
	dir, files := unpack(t, "testdata/small.txtar")
	for range 5 { // maps are walked in another order each time
		var out, log bytes.Buffer
		if err := run(arguments(dir), &out, &log); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(files["want"], out.String()); diff != "" {
			t.Fatalf("table (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(files["log"], log.String()); diff != "" {
			t.Fatalf("log (-want +got):\n%s", diff)
		}
	}
}

func TestRunRefuses(t *testing.T) {
	for _, c := range []struct{ name, file, text, want string }{
		{"a pattern without a row", "rows.json", `{"patches": [{"provider": "openai", "match": ["gpt-9*"]}]}`, `"gpt-9*" fits no row`},
		{"a field that is not known", "rows.json", `{"row": []}`, `"row"`},
		{"a price that does not parse", "rows.json", `{"rows": [{"provider": "p", "exact": ["m"], "input": "x"}]}`, "(p m)"},
		{"a bundle without data", "genai/dist/index.cjs", `exports.x=1`, "no data"},
		{"a bundle with code in the data", "genai/dist/index.cjs", `const E=[{id:f()}]`, "literal"},
		{"a list that is no JSON", "pi/dist/providers/data/openai.json", `{`, "openai.json"},
		{"a package without manifest", "pi/package.json", ``, "package.json"},
	} {
		dir, _ := unpack(t, "testdata/small.txtar")
		if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		var out, log bytes.Buffer
		err := run(arguments(dir), &out, &log)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
		if out.Len() != 0 {
			t.Errorf("%s: a table was written", c.name)
		}
	}
}

// The table in the repository is what the command writes: nobody edited it, and
// nobody edited rows.json without running the command again.
func TestRepositoryTable(t *testing.T) {
	text, err := os.ReadFile("../prices.json")
	if err != nil {
		t.Fatal(err)
	}
	var file price.File
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	again, err := render(&file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, again) {
		t.Error("prices.json is not in the form that the command writes")
	}
	b := builder{rows: make(map[key]*price.Row)}
	hand, err := readHand("rows.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(hand.Providers, file.Providers); diff != "" {
		t.Errorf("providers (-rows.json +prices.json):\n%s", diff)
	}
	for _, r := range hand.Rows {
		b.addRow(r)
	}
	for k, row := range b.rows {
		at := slices.IndexFunc(file.Rows, func(r price.Row) bool {
			names := r.Exact
			if k.prefix {
				names = r.Prefix
			}
			return r.Provider == k.provider && r.From == k.from &&
				slices.ContainsFunc(names, func(name string) bool { return strings.ToLower(name) == k.name })
		})
		if at < 0 {
			t.Errorf("%s %s: not in prices.json", k.provider, k.name)
			continue
		}
		have, laid := file.Rows[at].TokenPrices, file.Rows[at]
		overlay(&laid, row, true)
		if laid.TokenPrices != have {
			t.Errorf("%s %s: rows.json says %+v, prices.json %+v", k.provider, k.name, row.TokenPrices, have)
		}
	}
}
