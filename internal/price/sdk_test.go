package price_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tollgate/internal/price"
)

// sdks are the pinned SDKs and the types of their constants that name models.
var sdks = []struct {
	module, provider string
	types            []string
}{
	{"github.com/openai/openai-go/v3", "openai", []string{"AllModels", "AudioModel", "ChatModel", "CompletionNewParamsModel",
		"EmbeddingModel", "ImageModel", "ModerationModel", "ResponsesModel", "SpeechModel", "VideoModel"}},
	{"github.com/anthropics/anthropic-sdk-go", "anthropic", []string{"Model"}},
	{"github.com/anthropics/anthropic-sdk-go/v2", "anthropic", []string{"Model"}},
}

// withoutPrice are models of the SDKs that the table has no row for, and why. A call
// for one is refused to a key with a cost limit.
var withoutPrice = map[string]string{
	"openai chatgpt-image-latest":     unlisted,
	"openai gpt-6-cyber":              onRequest,
	"openai gpt-6-rosalind":           onRequest,
	"openai gpt-rosalind-research":    onRequest,
	"openai sora-2":                   video,
	"openai sora-2-2025-10-06":        video,
	"openai sora-2-2025-12-08":        video,
	"openai sora-2-pro":               video,
	"openai sora-2-pro-2025-10-06":    video,
	"anthropic claude-mythos-5":       onRequest,
	"anthropic claude-mythos-5-1":     onRequest,
	"anthropic claude-mythos-5-2":     onRequest,
	"anthropic claude-mythos-preview": onRequest,
}

const (
	unlisted  = "none of the lists that the table is made from names it"
	onRequest = "for selected customers, and in none of the lists that the table is made from"
	video     = "billed by the second of video, and no endpoint that is metered makes any"
)

// The table has a price for every model that the SDKs name: a new SDK with new
// models fails here until the table, or the list of exceptions, is brought up to date.
func TestSDKModelsHavePrices(t *testing.T) {
	unused := maps.Clone(withoutPrice)
	for _, sdk := range sdks {
		models := sdkModels(t, sdk.module, sdk.types)
		if len(models) < 20 {
			t.Errorf("%s: only %d models found; have its types been renamed?", sdk.module, len(models))
		}
		for _, model := range models {
			name := sdk.provider + " " + model
			_, ok := price.Embedded().Lookup(sdk.provider, model, november)
			switch {
			case !ok && withoutPrice[name] == "":
				t.Errorf("%s: %s has no price", sdk.module, name)
			case ok && withoutPrice[name] != "":
				t.Errorf("%s has a price, and is listed as if it had none", name)
			}
			delete(unused, name)
		}
	}
	for name := range unused {
		t.Errorf("%s is in no SDK any more", name)
	}
}

// sdkModels are the values of a module's constants of the types.
func sdkModels(t *testing.T, module string, types []string) []string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", module)
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list -m %s: %v", module, err)
	}
	dir := strings.TrimSpace(string(out))
	found := make(map[string]bool)
	for _, folder := range []string{dir, filepath.Join(dir, "shared"), filepath.Join(dir, "responses")} {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range parsed.Decls {
				if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST {
					constants(g, types, found)
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// constants collects the texts of a declaration's constants of the types.
func constants(g *ast.GenDecl, types []string, found map[string]bool) {
	for _, s := range g.Specs {
		v := s.(*ast.ValueSpec)
		of, ok := v.Type.(*ast.Ident)
		if !ok || !slices.Contains(types, of.Name) {
			continue
		}
		for _, value := range v.Values {
			if literal, ok := value.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				if text, err := strconv.Unquote(literal.Value); err == nil {
					found[text] = true
				}
			}
		}
	}
}
