package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/shared"
)

// Models with prices, so that keys with a cost limit may use them.
const (
	cheapModel = "gpt-6-luna"
	dearModel  = "gpt-6-sol"
)

// goSDK is the Go client with each of the keys.
type goSDK struct {
	open, far, near, quota, models, unknown openai.Client
}

func newGoSDK(g *running, k *keys) *goSDK {
	client := func(secret string) openai.Client {
		return openai.NewClient(option.WithBaseURL(g.openAI()), option.WithAPIKey(secret))
	}
	return &goSDK{
		open: client(k.open.Secret), far: client(k.far.Secret), near: client(k.near.Secret),
		quota: client(k.quota.Secret), models: client(k.models.Secret), unknown: client("nobody-knows-this-key"),
	}
}

// goChecks are the checks that clients/node and clients/python make too, under
// the same names.
var goChecks = []struct {
	name string
	run  func(*goSDK, context.Context) error
}{
	{"chat", (*goSDK).chat},
	{"chat stream", (*goSDK).chatStream},
	{"chat stream with usage", (*goSDK).chatStreamUsage},
	{"request id", (*goSDK).requestID},
	{"tools", (*goSDK).tools},
	{"tools stream", (*goSDK).toolsStream},
	{"structured output", (*goSDK).structured},
	{"embeddings", (*goSDK).embeddings},
	{"responses", (*goSDK).responses},
	{"responses stream", (*goSDK).responsesStream},
	{"files", (*goSDK).files},
	{"speech", (*goSDK).speech},
	{"transcription", (*goSDK).transcription},
	{"images", (*goSDK).images},
	{"image edit", (*goSDK).imageEdit},
	{"models", (*goSDK).listModels},
	{"upstream errors", (*goSDK).upstreamErrors},
	{"unknown key", (*goSDK).unknownKey},
	{"model not allowed", (*goSDK).modelNotAllowed},
	{"rate limit, far reset", (*goSDK).farLimit},
	{"rate limit, near reset", (*goSDK).nearLimit},
	{"cost limit", (*goSDK).costLimit},
	{"stream cut", (*goSDK).streamCut},
	{"stream error", (*goSDK).streamError},
	{"responses stream error", (*goSDK).responsesStreamError},
}

func runGoSDK(t *testing.T, g *running, k *keys) {
	s := newGoSDK(g, k)
	for _, c := range goChecks {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			if err := c.run(s, ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

// say is a chat of one message.
func say(text string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{
		Model: cheapModel, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(text)},
	}
}

// want reports a difference.
func want[T comparable](what string, got, want T) error {
	if got != want {
		return fmt.Errorf("%s: %v, want %v", what, got, want)
	}
	return nil
}

func (s *goSDK) chat(ctx context.Context) error {
	c, err := s.open.Chat.Completions.New(ctx, say("hi"))
	if err != nil {
		return err
	}
	return errors.Join(
		want("content", c.Choices[0].Message.Content, greeting),
		want("tokens", c.Usage.TotalTokens, promptTokens+completionTokens),
		want("cached", c.Usage.PromptTokensDetails.CachedTokens, 4))
}

// accumulated reads a stream to its end.
func accumulated(stream *ssestream.Stream[openai.ChatCompletionChunk]) (acc openai.ChatCompletionAccumulator, usages int, err error) {
	for stream.Next() {
		c := stream.Current()
		if c.JSON.Usage.Valid() {
			usages++
		}
		acc.AddChunk(c)
	}
	return acc, usages, stream.Err()
}

func (s *goSDK) chatStream(ctx context.Context) error {
	acc, usages, err := accumulated(s.open.Chat.Completions.NewStreaming(ctx, say("hi")))
	if err != nil {
		return err
	}
	return errors.Join(
		want("content", acc.Choices[0].Message.Content, greeting),
		want("finish reason", acc.Choices[0].FinishReason, "stop"),
		want("chunks with usage", usages, 0))
}

func (s *goSDK) chatStreamUsage(ctx context.Context) error {
	p := say("hi")
	p.StreamOptions.IncludeUsage = openai.Bool(true)
	acc, usages, err := accumulated(s.open.Chat.Completions.NewStreaming(ctx, p))
	if err != nil {
		return err
	}
	return errors.Join(
		want("content", acc.Choices[0].Message.Content, greeting),
		want("chunks with usage", usages, 1),
		want("tokens", acc.Usage.TotalTokens, promptTokens+completionTokens))
}

// requestID: ours under the name that SDKs look for, the provider's beside it.
func (s *goSDK) requestID(ctx context.Context) error {
	var res *http.Response
	if _, err := s.open.Chat.Completions.New(ctx, say("hi"), option.WithResponseInto(&res)); err != nil {
		return err
	}
	return errors.Join(
		want("length of x-request-id", len(res.Header.Get("X-Request-Id")), 36),
		want("x-upstream-request-id", res.Header.Get("X-Upstream-Request-Id"), upstreamID))
}

func withTool(p openai.ChatCompletionNewParams) openai.ChatCompletionNewParams {
	p.Tools = []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{
		Name: "weather", Parameters: shared.FunctionParameters{
			"type": "object", "properties": map[string]any{"city": map[string]string{"type": "string"}},
		},
	})}
	return p
}

func (s *goSDK) tools(ctx context.Context) error {
	p := withTool(say("tool"))
	c, err := s.open.Chat.Completions.New(ctx, p)
	if err != nil {
		return err
	}
	call := c.Choices[0].Message.ToolCalls[0]
	p.Messages = append(p.Messages, c.Choices[0].Message.ToParam(), openai.ToolMessage("sunny", call.ID))
	after, err := s.open.Chat.Completions.New(ctx, p)
	if err != nil {
		return err
	}
	return errors.Join(
		want("function", call.Function.Name, "weather"),
		want("arguments", call.Function.Arguments, `{"city":"Paris"}`),
		want("answer", after.Choices[0].Message.Content, "The tool says: sunny"))
}

func (s *goSDK) toolsStream(ctx context.Context) error {
	acc, _, err := accumulated(s.open.Chat.Completions.NewStreaming(ctx, withTool(say("tool"))))
	if err != nil {
		return err
	}
	call := acc.Choices[0].Message.ToolCalls[0]
	return errors.Join(
		want("function", call.Function.Name, "weather"),
		want("arguments", call.Function.Arguments, `{"city":"Paris"}`))
}

func (s *goSDK) structured(ctx context.Context) error {
	p := say("structured")
	p.ResponseFormat.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{
		JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{
			Name: "report", Strict: openai.Bool(true), Schema: map[string]any{
				"type": "object", "required": []string{"city", "celsius"}, "additionalProperties": false,
				"properties": map[string]any{"city": map[string]string{"type": "string"}, "celsius": map[string]string{"type": "integer"}},
			},
		},
	}
	c, err := s.open.Chat.Completions.New(ctx, p)
	if err != nil {
		return err
	}
	var report struct {
		City    string
		Celsius int
	}
	if err := json.Unmarshal([]byte(c.Choices[0].Message.Content), &report); err != nil {
		return err
	}
	return errors.Join(want("city", report.City, "Paris"), want("celsius", report.Celsius, 21))
}

func (s *goSDK) embeddings(ctx context.Context) error {
	e, err := s.open.Embeddings.New(ctx, openai.EmbeddingNewParams{
		Model: openai.EmbeddingModelTextEmbedding3Small,
		Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"a", "b"}},
	})
	if err != nil {
		return err
	}
	if got := e.Data[1].Embedding; len(e.Data) != 2 || !slices.Equal(got, []float64{0.25, -0.5, 1}) {
		return fmt.Errorf("%d embeddings, the second %v", len(e.Data), got)
	}
	return want("tokens", e.Usage.PromptTokens, promptTokens)
}

func ask(text string) responses.ResponseNewParams {
	return responses.ResponseNewParams{
		Model: cheapModel, Input: responses.ResponseNewParamsInputUnion{OfString: openai.String(text)},
	}
}

func (s *goSDK) responses(ctx context.Context) error {
	r, err := s.open.Responses.New(ctx, ask("hi"))
	if err != nil {
		return err
	}
	return errors.Join(
		want("text", r.OutputText(), greeting),
		want("tokens", r.Usage.TotalTokens, promptTokens+completionTokens))
}

func (s *goSDK) responsesStream(ctx context.Context) error {
	stream := s.open.Responses.NewStreaming(ctx, ask("hi"))
	var text strings.Builder
	var last responses.ResponseStreamEventUnion
	for stream.Next() {
		last = stream.Current()
		if last.Type == "response.output_text.delta" {
			text.WriteString(last.Delta)
		}
	}
	if err := stream.Err(); err != nil {
		return err
	}
	return errors.Join(
		want("text", text.String(), greeting),
		want("last event", last.Type, "response.completed"),
		want("tokens", last.Response.Usage.TotalTokens, promptTokens+completionTokens))
}
