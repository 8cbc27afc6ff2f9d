package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
)

// What testdata/aimock.json says.
const (
	aimockGreeting = "Hello from aimock."
	aimockPrompt   = 21
	aimockAnswer   = 34
)

// TestAimock has an upstream that nobody here wrote judge what the gateway sends
// and be relayed. It takes the provider's credential only.
func TestAimock(t *testing.T) {
	t.Parallel()
	mock := startAimock(t)
	g := startLambda(t, shape{})
	k := g.admin.key(t, g.admin.setting(t, mock+"/v1"), keyLimit{"cost", "lifetime", 10})
	client := openai.NewClient(option.WithBaseURL(g.openAI()), option.WithAPIKey(k.Secret))
	for _, c := range []struct {
		name string
		run  func(context.Context, openai.Client) error
	}{
		{"chat", aimockChat}, {"chat stream", aimockChatStream},
		{"responses", aimockResponses}, {"responses stream", aimockResponsesStream},
		{"embeddings", aimockEmbeddings}, {"error", aimockError},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.run(t.Context(), client); err != nil {
				t.Error(err)
			}
		})
	}
	g.checkAimockBooks(t, k)
	checkJournal(t, mock, 6)
	g.checkHealth(t)
}

// startAimock runs it until the test ends.
func startAimock(t *testing.T) (url string) {
	t.Helper()
	script := need(t, ".ci/tools/sdk/node_modules/@copilotkit/aimock/dist/cli.js")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close() // for aimock, which cannot choose a port by itself
	_, port, _ := net.SplitHostPort(address)
	log := &output{}
	cmd := exec.Command(needCommand(t, "node"), script, "-p", port, "-f", "testdata/aimock.json", "--strict", "--log-level", "warn")
	cmd.Env = []string{"AIMOCK_API_KEYS=" + upstreamKey, "HOME=" + t.TempDir()}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait() // killed
	})
	url = "http://" + address
	ready := false
	eventually(t, 20*time.Second, func() bool {
		res, err := http.Get(url + "/health")
		if err == nil {
			res.Body.Close()
			ready = true
		}
		return ready
	})
	if !ready {
		t.Fatalf("aimock does not answer:\n%s", log)
	}
	return url
}

func aimockChat(ctx context.Context, client openai.Client) error {
	c, err := client.Chat.Completions.New(ctx, say("hello"))
	if err != nil {
		return err
	}
	return errors.Join(
		want("content", c.Choices[0].Message.Content, aimockGreeting),
		want("tokens", c.Usage.TotalTokens, aimockPrompt+aimockAnswer))
}

func aimockChatStream(ctx context.Context, client openai.Client) error {
	acc, usages, err := accumulated(client.Chat.Completions.NewStreaming(ctx, say("hello")))
	if err != nil {
		return err
	}
	return errors.Join(
		want("content", acc.Choices[0].Message.Content, aimockGreeting),
		want("chunks with usage", usages, 0))
}

func aimockResponses(ctx context.Context, client openai.Client) error {
	r, err := client.Responses.New(ctx, ask("hello"))
	if err != nil {
		return err
	}
	return want("text", r.OutputText(), aimockGreeting)
}

func aimockResponsesStream(ctx context.Context, client openai.Client) error {
	stream := client.Responses.NewStreaming(ctx, ask("hello"))
	var text strings.Builder
	var last responses.ResponseStreamEventUnion
	for stream.Next() {
		last = stream.Current()
		if last.Type == "response.output_text.delta" {
			text.WriteString(last.Delta)
		}
	}
	return errors.Join(stream.Err(),
		want("text", text.String(), aimockGreeting),
		want("last event", last.Type, "response.completed"))
}

func aimockEmbeddings(ctx context.Context, client openai.Client) error {
	e, err := client.Embeddings.New(ctx, openai.EmbeddingNewParams{
		Model: openai.EmbeddingModelTextEmbedding3Small,
		Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String("vector")},
	})
	if err != nil {
		return err
	}
	return errors.Join(
		want("embeddings", len(e.Data), 1), want("dimensions", len(e.Data[0].Embedding), 4),
		want("first value", e.Data[0].Embedding[0], 0.5))
}

func aimockError(ctx context.Context, client openai.Client) error {
	_, err := client.Chat.Completions.New(ctx, say("overloaded"), option.WithMaxRetries(0))
	return refused(err, http.StatusServiceUnavailable, "overloaded")
}

// checkAimockBooks: chats and responses at the usage that the fixture gives.
func (g *running) checkAimockBooks(t *testing.T, k key) {
	t.Helper()
	g.settled(t, k, 6)
	exact := 0
	for _, e := range g.admin.awaitEvents(t, k, 6) {
		if e.Basis == "reported" && e.PromptTokens == aimockPrompt && e.CompletionTokens == aimockAnswer {
			exact++
		}
	}
	if exact != 4 {
		t.Errorf("%d events with the usage of the fixture, want 4", exact)
	}
}

// checkJournal looks at what aimock has seen. It hides credentials; that they were
// right is clear from its having answered.
func checkJournal(t *testing.T, mock string, calls int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", mock+"/__aimock/journal", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+upstreamKey)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var journal []struct {
		Method, Path string
		Headers      map[string]string
		Response     struct{ Status int }
	}
	if err := json.Unmarshal(text, &journal); err != nil {
		t.Fatalf("%v: %.300s", err, text)
	}
	if strings.Contains(string(text), keyPrefix) {
		t.Error("aimock saw a gateway key")
	}
	if len(journal) != calls {
		t.Errorf("aimock saw %d calls, want %d", len(journal), calls)
	}
	for _, call := range journal {
		for name := range call.Headers {
			if strings.HasPrefix(name, "x-amz") || strings.HasPrefix(name, "x-forwarded") || name == "x-api-key" {
				t.Errorf("%s %s came with the header %s", call.Method, call.Path, name)
			}
		}
	}
}
