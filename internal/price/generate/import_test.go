package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/internal/price"
)

func TestImport(t *testing.T) {
	for _, c := range []struct{ archive, flag, file string }{
		{"testdata/litellm.txtar", "-litellm", "litellm.json"},
		{"testdata/genai.txtar", "-genai-prices", "data.json"},
	} {
		dir, files := unpack(t, c.archive)
		table := filepath.Join(dir, "table.json")
		for range 3 { // maps are walked in another order each time
			var out, log bytes.Buffer
			if err := run([]string{"-version", "2026-11-10", c.flag, filepath.Join(dir, c.file), "-o", table}, &out, &log); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(table)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(files["want"], string(got)); diff != "" || out.Len() > 0 {
				t.Fatalf("%s: table (-want +got):\n%s%s", c.flag, diff, &out)
			}
			if diff := cmp.Diff(files["log"], log.String()); diff != "" {
				t.Fatalf("%s: log (-want +got):\n%s", c.flag, diff)
			}
		}
	}
}

// Where a list has no row, that of the base stays.
func TestImportOverBase(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	base := write("base.json", `{"version": "2026-01-01", "providers": {"openai": {"web_search": "10"}}, "rows": [
		{"provider": "openai", "exact": ["both", "old"], "prefix": ["old-"], "input": "1", "output": "1"}]}`)
	list := write("list.json", `{"both": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 2e-06, "output_cost_per_token": 3e-06}}`)
	var out, log bytes.Buffer
	if err := run([]string{"-version", "2026-11-10", "-litellm", list, "-base", base}, &out, &log); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"providers": {"openai":{"web_search":"10"}}`,
		`{"provider":"openai","exact":["both"],"input":"2","output":"3","source":"LiteLLM"}`,
		`{"provider":"openai","exact":["old"],"prefix":["old-"],"input":"1","output":"1"}`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s\nis not in\n%s", want, &out)
		}
	}
	if err := run([]string{"-litellm", list, "-base", list}, &out, &log); err == nil {
		t.Error("a base that is no table was taken")
	}
}

// What a fault leaves behind is the file as it was.
func TestImportRefuses(t *testing.T) {
	dir := t.TempDir()
	table := filepath.Join(dir, "table.json")
	for _, text := range []string{`{`, `[]`, `{"m": []}`, `{}`} {
		list := filepath.Join(dir, "list.json")
		if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := run([]string{"-litellm", list, "-o", table}, &bytes.Buffer{}, &bytes.Buffer{}); err == nil {
			t.Errorf("%s was taken", text)
		}
		if _, err := os.Stat(table); err == nil {
			t.Errorf("%s made a file", text)
		}
	}
}

func FuzzImportLiteLLM(f *testing.F) {
	f.Add([]byte(`{"m": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 2e-06, "output_cost_per_token_priority": 3e-06, "input_cost_per_token_above_1k_tokens": 1e400}}`))
	f.Add([]byte(`{"m": {"litellm_provider": "openai", "mode": "audio_transcription", "input_cost_per_second": 1e-99, "search_context_cost_per_query": {"a": 1}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list := filepath.Join(t.TempDir(), "list.json")
		if err := os.WriteFile(list, data, 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := run([]string{"-litellm", list}, &out, &bytes.Buffer{}); err != nil {
			return
		}
		if _, err := price.Parse(out.Bytes()); err != nil {
			t.Fatalf("wrote a table that does not parse: %v", err)
		}
	})
}
