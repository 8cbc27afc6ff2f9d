package proxy_test

import (
	"errors"
	"testing"

	openaisdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/azure"
	sdk "github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"

	"tollgate/internal/gateway"
)

// The official Go SDK's Azure client works with the endpoint changed, in a plain
// call, in a stream, in what has no deployment in its path and in a refusal.
func TestAzureClient(t *testing.T) {
	r := newRig(t)
	s := r.settingFor("azure", func(s *gateway.Setting) { s.AllowedModels = []string{"gpt-4o-mini"} })
	k := r.newKey(budget(gateway.OneUSD), func(k *gateway.Key) { k.SettingIDs = []string{s.ID} })
	client := openaisdk.NewClient(azure.WithEndpoint(r.server.URL+"/api/providers/azure", "2026-06-01"),
		azure.WithAPIKey(k.secret), azure.WithUnsafeAllowHTTP(), sdk.WithMaxRetries(0))
	ask := func(model string) openaisdk.ChatCompletionNewParams {
		return openaisdk.ChatCompletionNewParams{Model: model, MaxCompletionTokens: openaisdk.Int(20),
			Messages: []openaisdk.ChatCompletionMessageParamUnion{openaisdk.UserMessage("hi")}}
	}
	saw := func(want string) {
		t.Helper()
		if got := r.fake.Last(); got.Path+"?"+got.Query != want || got.Header.Get("Api-Key") != upstreamKey {
			t.Errorf("the provider saw %s?%s, %v", got.Path, got.Query, got.Header)
		}
	}

	answer, err := client.Chat.Completions.New(t.Context(), ask("gpt-4o-mini"))
	if err != nil || answer.Usage.CompletionTokens != 20 {
		t.Fatalf("%+v, %v", answer, err)
	}
	saw("/openai/deployments/gpt-4o-mini/chat/completions?api-version=2026-06-01")

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
	saw("/openai/deployments/gpt-4o-mini/chat/completions?api-version=2026-06-01")

	if _, err := client.Responses.New(t.Context(), responses.ResponseNewParams{Model: "gpt-4o-mini"}); err != nil {
		t.Error(err)
	}
	saw("/openai/responses?api-version=2026-06-01")

	_, err = client.Chat.Completions.New(t.Context(), ask("gpt-4o"))
	var refusal *openaisdk.Error
	if !errors.As(err, &refusal) || refusal.StatusCode != 403 || refusal.Code != "model_not_allowed" {
		t.Errorf("got %v", err)
	}
	for _, e := range r.events(k)[:2] {
		if e.Cost != 13_500 || e.Model != "gpt-4o-mini" || e.Basis != gateway.BasisReported {
			t.Errorf("event %+v", e)
		}
	}
}
