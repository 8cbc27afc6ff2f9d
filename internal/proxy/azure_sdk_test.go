package proxy_test

import (
	"errors"
	"testing"

	openaisdk "github.com/openai/openai-go/v3"
	sdkoption "github.com/openai/openai-go/v3/option"

	"tollgate/internal/gateway"
)

// The official Go SDK works in both forms of Azure's API with its base URL changed:
// the dated one as the SDK's Azure clients call it (deployment in the path, version
// in the query, key in api-key), and the new one as its plain client does.
func TestAzureClients(t *testing.T) {
	r := newRig(t)
	s := r.settingFor("azure", func(s *gateway.Setting) { s.AllowedModels = []string{"gpt-4o-mini"} })
	const prefix, version = "/api/providers/azure/openai", "2026-06-01"
	for _, test := range []struct {
		name string
		base func(model string) string
		key  func(secret string) sdkoption.RequestOption
		path string // of chat, as the provider sees it
	}{
		{"dated", func(model string) string { return prefix + "/deployments/" + model },
			func(secret string) sdkoption.RequestOption { return sdkoption.WithHeader("Api-Key", secret) },
			"/openai/deployments/gpt-4o-mini/chat/completions?api-version=" + version},
		{"v1", func(string) string { return prefix + "/v1" }, sdkoption.WithAPIKey, "/openai/v1/chat/completions?"},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := r.newKey(budget(gateway.OneUSD), func(k *gateway.Key) { k.SettingIDs = []string{s.ID} })
			client := func(model string) openaisdk.Client {
				options := []sdkoption.RequestOption{sdkoption.WithBaseURL(r.server.URL + test.base(model)), sdkoption.WithMaxRetries(0), test.key(k.secret)}
				if test.name == "dated" {
					options = append(options, sdkoption.WithQuery("api-version", version))
				}
				return openaisdk.NewClient(options...)
			}
			r.azureChat(t, k, client, test.path)
		})
	}
}

// azureChat makes a plain call, a stream and a call that is refused.
func (r *rig) azureChat(t *testing.T, k apiKey, clientFor func(model string) openaisdk.Client, path string) {
	ask := func(model string) openaisdk.ChatCompletionNewParams {
		return openaisdk.ChatCompletionNewParams{Model: model, MaxCompletionTokens: openaisdk.Int(20),
			Messages: []openaisdk.ChatCompletionMessageParamUnion{openaisdk.UserMessage("hi")}}
	}
	saw := func() {
		t.Helper()
		if got := r.fake.Last(); got.Path+"?"+got.Query != path || got.Header.Get("Api-Key") != upstreamKey {
			t.Errorf("the provider saw %s?%s, %v", got.Path, got.Query, got.Header)
		}
	}

	client := clientFor("gpt-4o-mini")
	answer, err := client.Chat.Completions.New(t.Context(), ask("gpt-4o-mini"))
	if err != nil || answer.Usage.CompletionTokens != 20 {
		t.Fatalf("%+v, %v", answer, err)
	}
	saw()

	stream := client.Chat.Completions.NewStreaming(t.Context(), ask("gpt-4o-mini"))
	words := 0
	for stream.Next() {
		if len(stream.Current().Choices) == 0 {
			t.Error("a chunk that was not asked for")
		}
		words++
	}
	if err := stream.Err(); err != nil || words != 21 {
		t.Errorf("%d chunks, %v", words, err)
	}
	saw()

	other := clientFor("gpt-4o")
	_, err = other.Chat.Completions.New(t.Context(), ask("gpt-4o"))
	var refusal *openaisdk.Error
	if !errors.As(err, &refusal) || refusal.StatusCode != 403 || refusal.Code != "model_not_allowed" {
		t.Errorf("got %v", err)
	}
	for i, e := range r.events(k) {
		if i < 2 && (e.Cost != 13_500 || e.Model != "gpt-4o-mini" || e.Basis != gateway.BasisReported) {
			t.Errorf("event %+v", e)
		}
	}
}
