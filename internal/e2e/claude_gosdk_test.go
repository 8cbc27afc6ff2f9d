package e2e

import (
	"context"
	"errors"

	claude1 "github.com/anthropics/anthropic-sdk-go"
	option1 "github.com/anthropics/anthropic-sdk-go/option"
	claude2 "github.com/anthropics/anthropic-sdk-go/v2"
	option2 "github.com/anthropics/anthropic-sdk-go/v2/option"
)

// Models with prices, so that keys with a cost limit may use them.
const (
	smallClaude = "claude-haiku-5-5"
	largeClaude = "claude-opus-5-5"
)

// claudeReply is what a message says, whichever SDK has read it.
type claudeReply struct {
	text, tool, input, stop string
	in, read, out           int64
}

// claudeRefusal is an SDK's typed error.
type claudeRefusal struct {
	status          int
	kind, requestID string
}

// claudeSDK is one major version of the Go SDK, with one key.
type claudeSDK interface {
	say(ctx context.Context, text string) (claudeReply, error)
	stream(ctx context.Context, text string) (claudeReply, error)
	count(ctx context.Context, text string) (int64, error)
	// refusal is what the SDK makes of an error; false if it is none of its own.
	refusal(err error) (claudeRefusal, bool)
}

type claudeV1 struct{ claude1.Client }

func newClaudeV1(base, secret string, retries int) claudeSDK {
	return claudeV1{claude1.NewClient(option1.WithBaseURL(base), option1.WithAPIKey(secret), option1.WithMaxRetries(retries))}
}

func (claudeV1) params(text string) claude1.MessageNewParams {
	return claude1.MessageNewParams{
		Model: smallClaude, MaxTokens: 50,
		Messages: []claude1.MessageParam{claude1.NewUserMessage(claude1.NewTextBlock(text))},
		Tools:    []claude1.ToolUnionParam{claude1.ToolUnionParamOfTool(claude1.ToolInputSchemaParam{}, "weather")},
	}
}

func (s claudeV1) say(ctx context.Context, text string) (claudeReply, error) {
	m, err := s.Messages.New(ctx, s.params(text))
	if err != nil {
		return claudeReply{}, err
	}
	return s.read(m), nil
}

func (s claudeV1) stream(ctx context.Context, text string) (claudeReply, error) {
	stream := s.Messages.NewStreaming(ctx, s.params(text))
	var m claude1.Message
	for stream.Next() {
		if err := m.Accumulate(stream.Current()); err != nil {
			return claudeReply{}, err
		}
	}
	return s.read(&m), stream.Err()
}

func (claudeV1) read(m *claude1.Message) claudeReply {
	r := claudeReply{stop: string(m.StopReason), in: m.Usage.InputTokens, read: m.Usage.CacheReadInputTokens, out: m.Usage.OutputTokens}
	for _, b := range m.Content {
		r.text, r.tool, r.input = r.text+b.Text, b.Name, string(b.Input)
	}
	return r
}

func (s claudeV1) count(ctx context.Context, text string) (int64, error) {
	p := s.params(text)
	n, err := s.Messages.CountTokens(ctx, claude1.MessageCountTokensParams{Model: p.Model, Messages: p.Messages})
	if err != nil {
		return 0, err
	}
	return n.InputTokens, nil
}

func (claudeV1) refusal(err error) (claudeRefusal, bool) {
	var e *claude1.Error
	if !errors.As(err, &e) {
		return claudeRefusal{}, false
	}
	return claudeRefusal{e.StatusCode, string(e.Type()), e.RequestID}, true
}

type claudeV2 struct{ claude2.Client }

func newClaudeV2(base, secret string, retries int) claudeSDK {
	return claudeV2{claude2.NewClient(option2.WithBaseURL(base), option2.WithAPIKey(secret), option2.WithMaxRetries(retries))}
}

func (claudeV2) params(text string) claude2.MessageNewParams {
	return claude2.MessageNewParams{
		Model: smallClaude, MaxTokens: 50,
		Messages: []claude2.MessageParam{claude2.NewUserMessage(claude2.NewTextBlock(text))},
		Tools:    []claude2.ToolUnionParam{claude2.ToolUnionParamOfTool(claude2.ToolInputSchemaParam{}, "weather")},
	}
}

func (s claudeV2) say(ctx context.Context, text string) (claudeReply, error) {
	m, err := s.Messages.New(ctx, s.params(text))
	if err != nil {
		return claudeReply{}, err
	}
	return s.read(m), nil
}

func (s claudeV2) stream(ctx context.Context, text string) (claudeReply, error) {
	stream := s.Messages.NewStreaming(ctx, s.params(text))
	var m claude2.Message
	for stream.Next() {
		if err := m.Accumulate(stream.Current()); err != nil {
			return claudeReply{}, err
		}
	}
	return s.read(&m), stream.Err()
}

func (claudeV2) read(m *claude2.Message) claudeReply {
	r := claudeReply{stop: string(m.StopReason), in: m.Usage.InputTokens, read: m.Usage.CacheReadInputTokens, out: m.Usage.OutputTokens}
	for _, b := range m.Content {
		r.text, r.tool = r.text+b.Text, b.Name
		if b.Type == "tool_use" {
			r.input = string(b.AsToolUse().Input)
		}
	}
	return r
}

func (s claudeV2) count(ctx context.Context, text string) (int64, error) {
	p := s.params(text)
	n, err := s.Messages.CountTokens(ctx, claude2.MessageCountTokensParams{Model: p.Model, Messages: p.Messages})
	if err != nil {
		return 0, err
	}
	return n.InputTokens, nil
}

func (claudeV2) refusal(err error) (claudeRefusal, bool) {
	var e *claude2.Error
	if !errors.As(err, &e) {
		return claudeRefusal{}, false
	}
	return claudeRefusal{e.StatusCode, string(e.Type()), e.RequestID}, true
}
