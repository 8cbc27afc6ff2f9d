package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// anthropic is the base URL that an Anthropic SDK is given.
func (g *running) anthropic() string { return g.proxy + "/api/providers/anthropic" }

// claudeKeys are the keys that one SDK is tested with.
type claudeKeys struct {
	open   key // limits that are not reached
	far    key // one request a month
	quota  key // a thousandth of a cent
	models key // may use largeClaude only
}

// TestAnthropicSDKs runs the same checks with every SDK and with both versions of
// the API, against `tollgate local` and the functions.
func TestAnthropicSDKs(t *testing.T) {
	for _, way := range []struct {
		name  string
		start func(*testing.T) *running
	}{
		{"local", startLocal},
		{"lambda", func(t *testing.T) *running { return startLambda(t, shape{processes: 2}) }},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			up := newClaude(t)
			g := way.start(t)
			all := g.admin.settingFor(t, "anthropic", up.url)
			one := g.admin.settingFor(t, "anthropic", up.url, largeClaude)
			for _, client := range []struct {
				name    string
				version string // of the API
				run     func(*testing.T, *running, *claudeKeys)
			}{
				{"go 1", "2023-06-01", func(t *testing.T, g *running, k *claudeKeys) { runClaudeGo(t, g, k, newClaudeV1) }},
				{"go 2", "2026-10-21", func(t *testing.T, g *running, k *claudeKeys) { runClaudeGo(t, g, k, newClaudeV2) }},
				{"node", "2026-10-21", runClaudeNode},
				{"python", "2026-10-21", runClaudePython},
			} {
				t.Run(client.name, func(t *testing.T) {
					k := &claudeKeys{
						open:   g.admin.key(t, all, keyLimit{"cost", "lifetime", 10}, keyLimit{"requests", "m", 10_000}),
						far:    g.admin.key(t, all, keyLimit{"requests", "mo", 1}),
						quota:  g.admin.key(t, all, keyLimit{"cost", "lifetime", 0.00001}),
						models: g.admin.key(t, one),
					}
					client.run(t, g, k)
					if !slices.Contains(up.seen(), client.version) {
						t.Errorf("the provider was called with versions %v, not with %s", up.seen(), client.version)
					}
					k.checkBooks(t, g)
				})
			}
			g.checkHealth(t)
		})
	}
}

// checkBooks looks at what was recorded: one attempt for each refusal that another
// would not change, and the price of each call.
func (k *claudeKeys) checkBooks(t *testing.T, g *running) {
	t.Helper()
	for _, c := range []struct {
		name     string
		key      key
		statuses string
	}{{"far limit", k.far, "200 429"}, {"cost limit", k.quota, "402"}, {"model", k.models, "403"}} {
		list := g.admin.awaitEvents(t, c.key, strings.Count(c.statuses, " ")+1)
		if got := statuses(list); got != c.statuses {
			t.Errorf("%s: attempts with status %s, want %s", c.name, got, c.statuses)
		}
	}
	// Four messages: 12 tokens in, 4 read, 5 out, at 100, 10 and 500 nano-dollars.
	// The broken stream: 12 in, 4 read, and the 50 out that it may have thought unseen.
	const whole, broken = 12*100 + 4*10 + 5*500, 12*100 + 4*10 + 50*500
	if total := g.settled(t, k.open, len(openClaudeCalls)); total != 4*whole+broken {
		t.Errorf("the key spent %d nano-dollars, want %d", total, 4*whole+broken)
	}
	if got := statuses(g.admin.awaitEvents(t, k.open, len(openClaudeCalls))); got != strings.Join(openClaudeCalls, " ") {
		t.Errorf("calls with status %s", got)
	}
}

// openClaudeCalls are the statuses of the calls that the checks make with the open
// key: four messages, a count, a broken stream, a refusal and an overload.
var openClaudeCalls = []string{"200", "200", "200", "200", "200", "200", "404", "529"}

// claudeChecks are the checks that clients/node and clients/python make too, under
// the same names.
var claudeChecks = []struct {
	name string
	run  func(*claudeClients, context.Context) error
}{
	{"message", (*claudeClients).message},
	{"stream", (*claudeClients).streamed},
	{"tool", (*claudeClients).tool},
	{"tool stream", (*claudeClients).toolStream},
	{"count tokens", (*claudeClients).countTokens},
	{"stream cut", (*claudeClients).streamCut},
	{"not found", (*claudeClients).notFound},
	{"overloaded", (*claudeClients).overloaded},
	{"unknown key", (*claudeClients).unknownKey},
	{"model not allowed", (*claudeClients).modelNotAllowed},
	{"rate limit", (*claudeClients).rateLimit},
	{"cost limit", (*claudeClients).costLimit},
}

// claudeClients is one SDK with each of the keys.
//
// once is open without retries: an overload would be tried again.
type claudeClients struct{ open, once, far, quota, models, unknown claudeSDK }

func runClaudeGo(t *testing.T, g *running, k *claudeKeys, sdk func(base, secret string, retries int) claudeSDK) {
	client := func(k key) claudeSDK { return sdk(g.anthropic(), k.Secret, 1) }
	c := &claudeClients{open: client(k.open), once: sdk(g.anthropic(), k.open.Secret, 0), far: client(k.far), quota: client(k.quota), models: client(k.models),
		unknown: sdk(g.anthropic(), "nobody-knows-this-key", 1)}
	for _, check := range claudeChecks {
		t.Run(check.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			if err := check.run(c, ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

func runClaudeNode(t *testing.T, g *running, k *claudeKeys) {
	modules := need(t, ".ci/tools/sdk/node_modules")
	runClaudeScript(t, g, k, "NODE_PATH="+modules, needCommand(t, "node"), "clients/node/claude.js")
}

func runClaudePython(t *testing.T, g *running, k *claudeKeys) {
	python := need(t, ".build/sdk/venv/bin/python")
	runClaudeScript(t, g, k, "PYTHONDONTWRITEBYTECODE=1", python, "clients/python/claude.py")
}

func runClaudeScript(t *testing.T, g *running, k *claudeKeys, env string, command ...string) {
	var names []string
	for _, c := range claudeChecks {
		names = append(names, c.name)
	}
	runChecks(t, names, []string{env, "BASE_URL=" + g.anthropic(), "KEY=" + k.open.Secret, "KEY_FAR=" + k.far.Secret,
		"KEY_QUOTA=" + k.quota.Secret, "KEY_MODELS=" + k.models.Secret}, command...)
}

// says compares what a message says.
func says(got claudeReply, err error, text string) error {
	if err != nil {
		return err
	}
	return want("reply", got, claudeReply{text: text, stop: "end_turn", in: claudeInput, read: claudeRead, out: claudeOutput})
}

func usesTool(got claudeReply, err error) error {
	if err != nil {
		return err
	}
	return want("reply", got, claudeReply{tool: "weather", input: `{"city":"Paris"}`, stop: "tool_use", in: claudeInput, read: claudeRead, out: claudeOutput})
}

func (c *claudeClients) message(ctx context.Context) error {
	got, err := c.open.say(ctx, "hi")
	return says(got, err, greeting)
}

func (c *claudeClients) streamed(ctx context.Context) error {
	got, err := c.open.stream(ctx, "hi")
	return says(got, err, greeting)
}

func (c *claudeClients) tool(ctx context.Context) error { return usesTool(c.open.say(ctx, "tool")) }

func (c *claudeClients) toolStream(ctx context.Context) error {
	return usesTool(c.open.stream(ctx, "tool"))
}

func (c *claudeClients) countTokens(ctx context.Context) error {
	n, err := c.open.count(ctx, "hi")
	return errors.Join(err, want("tokens", n, countedInput))
}

// streamCut: what had come is there, and the error has the type of the API.
func (c *claudeClients) streamCut(ctx context.Context) error {
	got, err := c.open.stream(ctx, "cut")
	r, ok := c.open.refusal(err)
	if !ok {
		return fmt.Errorf("error %v (%T) is none of the SDK's", err, err)
	}
	return errors.Join(want("text", got.text, "Hello "), want("type", r.kind, "api_error"))
}

func (c *claudeClients) notFound(ctx context.Context) error {
	_, err := c.open.say(ctx, "fail 404")
	return claudeRefused(c.open, err, 404, "not_found_error")
}

func (c *claudeClients) overloaded(ctx context.Context) error {
	_, err := c.once.say(ctx, "fail 529")
	return claudeRefused(c.once, err, 529, "overloaded_error")
}

func (c *claudeClients) unknownKey(ctx context.Context) error {
	_, err := c.unknown.say(ctx, "hi")
	return claudeRefused(c.unknown, err, 401, "authentication_error")
}

func (c *claudeClients) modelNotAllowed(ctx context.Context) error {
	_, err := c.models.stream(ctx, "hi")
	return claudeRefused(c.models, err, 403, "permission_error")
}

func (c *claudeClients) rateLimit(ctx context.Context) error {
	if _, err := c.far.say(ctx, "hi"); err != nil {
		return err
	}
	_, err := c.far.say(ctx, "hi")
	return claudeRefused(c.far, err, 429, "rate_limit_error")
}

func (c *claudeClients) costLimit(ctx context.Context) error {
	_, err := c.quota.say(ctx, "hi")
	return claudeRefused(c.quota, err, 402, "billing_error")
}

// claudeRefused reports whether err is the SDK's typed error with this status and type.
func claudeRefused(sdk claudeSDK, err error, status int, kind string) error {
	got, ok := sdk.refusal(err)
	if !ok {
		return fmt.Errorf("error %v (%T) is none of the SDK's, want status %d", err, err, status)
	}
	return errors.Join(want("status", got.status, status), want("type", got.kind, kind), want("length of request-id", len(got.requestID), 36))
}
