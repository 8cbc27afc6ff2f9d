package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/openai/openai-go/v3/responses"
)

// refused reports whether err is the SDK's typed error with this status and code.
func refused(err error, status int, code string) error {
	var e *openai.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("error %v (%T) is none of the SDK's, want status %d", err, err, status)
	}
	return errors.Join(
		want("status", e.StatusCode, status), want("code", e.Code, code),
		want("length of x-request-id", len(e.Response.Header.Get("X-Request-Id")), 36))
}

// upstreamErrors reach the caller as the provider words them.
func (s *goSDK) upstreamErrors(ctx context.Context) error {
	var faults []error
	for _, status := range []int{400, 401, 404, 429, 500} {
		_, err := s.open.Chat.Completions.New(ctx, say(fmt.Sprint("fail ", status)), option.WithMaxRetries(0))
		var e *openai.Error
		if errors.As(err, &e) {
			faults = append(faults, want("message", e.Message, "The upstream refuses this on purpose."),
				want("param", e.Param, "messages"), want("type", e.Type, "upstream_error"))
		}
		faults = append(faults, refused(err, status, fmt.Sprintf("upstream_%d", status)))
	}
	return errors.Join(faults...)
}

func (s *goSDK) unknownKey(ctx context.Context) error {
	_, err := s.unknown.Chat.Completions.New(ctx, say("hi"))
	return refused(err, http.StatusUnauthorized, "invalid_api_key")
}

func (s *goSDK) modelNotAllowed(ctx context.Context) error {
	_, err := s.models.Chat.Completions.New(ctx, say("hi"))
	return refused(err, http.StatusForbidden, "model_not_allowed")
}

func (s *goSDK) farLimit(ctx context.Context) error {
	if _, err := s.far.Chat.Completions.New(ctx, say("hi")); err != nil {
		return err
	}
	_, err := s.far.Chat.Completions.New(ctx, say("hi"))
	return refused(err, http.StatusTooManyRequests, "rate_limit_exceeded")
}

// nearLimit: the SDK waits as long as it is told to, and then gets through.
func (s *goSDK) nearLimit(ctx context.Context) error {
	for range 3 {
		if _, err := s.near.Chat.Completions.New(ctx, say("hi")); err != nil {
			return err
		}
	}
	return nil
}

// costLimit: the first call gets what the key can pay for, the second nothing.
func (s *goSDK) costLimit(ctx context.Context) error {
	p := say("spend")
	p.Model, p.MaxCompletionTokens = dearModel, openai.Int(1000)
	p.ServiceTier = openai.ChatCompletionNewParamsServiceTierDefault // not the dearer ones, which "auto" allows
	var res *http.Response
	c, err := s.quota.Chat.Completions.New(ctx, p, option.WithResponseInto(&res))
	if err != nil {
		return err
	}
	capped := fmt.Sprint(c.Usage.CompletionTokens)
	_, err = s.quota.Chat.Completions.New(ctx, p)
	return errors.Join(
		want("x-tollgate-max-output-tokens", res.Header.Get("X-Tollgate-Max-Output-Tokens"), capped),
		want("cap was lowered", c.Usage.CompletionTokens < 1000, true),
		refused(err, http.StatusTooManyRequests, "insufficient_quota"))
}

func (s *goSDK) streamCut(ctx context.Context) error {
	return brokenStream(s.open.Chat.Completions.NewStreaming(ctx, say("cut")), "upstream_interrupted")
}

func (s *goSDK) streamError(ctx context.Context) error {
	return brokenStream(s.open.Chat.Completions.NewStreaming(ctx, say("error")), "upstream_500")
}

func brokenStream(stream *ssestream.Stream[openai.ChatCompletionChunk], code string) error {
	acc, _, err := accumulated(stream)
	var e *ssestream.StreamError
	if !errors.As(err, &e) {
		return fmt.Errorf("error %v (%T), want a *StreamError", err, err)
	}
	return errors.Join(
		want("content", acc.Choices[0].Message.Content, "Hel"),
		want("code in the event", strings.Contains(string(e.Event.Data), code), true))
}

func (s *goSDK) responsesStreamError(ctx context.Context) error {
	stream := s.open.Responses.NewStreaming(ctx, ask("error"))
	var last responses.ResponseStreamEventUnion
	for stream.Next() {
		last = stream.Current()
	}
	var e *ssestream.StreamError
	if errors.As(stream.Err(), &e) {
		return want("code in the event", strings.Contains(string(e.Event.Data), "upstream_500"), true)
	}
	return errors.Join(stream.Err(), want("last event", last.Type, "error"), want("code", last.Code, "upstream_500"))
}
