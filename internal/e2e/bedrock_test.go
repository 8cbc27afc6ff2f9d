package e2e

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tollgate/internal/fakeai"
)

// What the setting for Bedrock signs with; the stand-in checks it.
const (
	bedrockKeyID  = "AKIAUPSTREAM"
	bedrockSecret = "sk-upstream-credential-of-aws"
)

// bedrockChecks are those of clients/python/bedrock.py.
var bedrockChecks = []string{"converse", "converse stream", "invoke", "invoke stream", "inference profile", "count tokens", "stream cut",
	"throttled upstream", "unknown key", "signed by the caller", "model not allowed", "rate limit", "cost limit",
	"claude", "claude stream", "claude, the peer's path"}

// startBedrock serves until the test ends, which then fails if a call was not signed
// with the setting's keys, or held what a provider must not see.
func startBedrock(t *testing.T) (base string) {
	t.Helper()
	up := &fakeai.Bedrock{Secrets: map[string]string{bedrockKeyID: bedrockSecret}}
	up.Override = func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		switch model := strings.Split(r.URL.Path, "/")[2]; model {
		case "throttled":
			fakeai.RefuseBedrock(w, http.StatusTooManyRequests, "ThrottlingException", "Too many tokens, please wait before trying again.")
		case "cut":
			delta := fakeai.Frame("event", "contentBlockDelta", `{"contentBlockIndex":0,"delta":{"text":"Hello "},"p":"a"}`)
			up.Stream(w, r, fakeai.Frame("event", "messageStart", `{"role":"assistant"}`), delta, delta[:30])
			panic(http.ErrAbortHandler)
		default:
			return false
		}
		return true
	}
	t.Cleanup(func() {
		for _, r := range up.Requests() {
			if r.Err != nil || r.Signed.AccessKeyID != bedrockKeyID || r.Signed.Region != "eu-central-1" || r.Signed.Service != "bedrock" {
				t.Errorf("%s: signed as %+v, %v", r.Path, r.Signed, r.Err)
			}
			for name, values := range r.Header {
				if strings.Contains(strings.Join(values, " "), keyPrefix) {
					t.Errorf("%s has a gateway key in header %s", r.Path, name)
				}
			}
		}
	})
	return serve(t, up)
}

// TestBedrock runs AWS's SDK and Anthropic's against `tollgate local` and the functions.
func TestBedrock(t *testing.T) {
	for _, way := range []struct {
		name  string
		start func(*testing.T) *running
	}{
		{"local", startLocal},
		{"lambda", func(t *testing.T) *running { return startLambda(t, shape{}) }},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			python := need(t, ".build/sdk/venv/bin/python")
			up := startBedrock(t)
			g := way.start(t)
			all, one := g.bedrockSetting(t, up), g.bedrockSetting(t, up, "another.model")
			open := g.admin.key(t, all)
			tls, ca := withTLS(t, g.proxy)
			runChecks(t, bedrockChecks, []string{"PYTHONDONTWRITEBYTECODE=1", "AWS_EC2_METADATA_DISABLED=true",
				"BASE_URL=" + g.proxy + "/api/providers/bedrock", "TLS_URL=" + tls + "/api/providers/bedrock", "CA=" + ca, "KEY=" + open.Secret,
				"KEY_FAR=" + g.admin.key(t, all, keyLimit{"requests", "mo", 1}).Secret,
				"KEY_QUOTA=" + g.admin.key(t, all, keyLimit{"cost", "lifetime", 0.00001}).Secret,
				"KEY_MODELS=" + g.admin.key(t, one).Secret,
			}, python, "clients/python/bedrock.py")
			g.checkBedrock(t, open)
		})
	}
}

// withTLS stands in front of a proxy that speaks plain HTTP, as API Gateway does.
func withTLS(t *testing.T, proxy string) (base, ca string) {
	t.Helper()
	server := httptest.NewTLSServer(forward(t, proxy))
	t.Cleanup(server.Close)
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return server.URL, fileOf(t, "ca.pem", cert)
}

func (g *running) bedrockSetting(t *testing.T, up string, models ...string) (id string) {
	t.Helper()
	body := map[string]any{"provider": "bedrock", "setting": map[string]string{
		"awsAccessKeyId": bedrockKeyID, "awsSecretAccessKey": bedrockSecret, "awsRegion": "eu-central-1", "url": up}}
	if len(models) > 0 {
		body["allowedModels"] = models
	}
	var stored struct{ ID string }
	g.admin.call(t, "PUT", "/api/provider-settings", body, &stored)
	return stored.ID
}

// checkBedrock looks at what was recorded: of each whole answer 10 tokens in, 4 read,
// 1 and 2 written for the shorter and the longer time, 20 out.
func (g *running) checkBedrock(t *testing.T, open key) {
	t.Helper()
	const whole = 10*4400 + 4*220 + 1*5500 + 2*8800 + 20*22_000
	const calls, charged = 13, 9
	if total := g.settled(t, open, calls); total != charged*whole {
		t.Errorf("the key spent %d nano-dollars, want %d", total, charged*whole)
	}
	truncated := 0
	for _, e := range g.admin.awaitEvents(t, open, calls) {
		if e.Truncated {
			truncated++
		}
	}
	if truncated != 1 {
		t.Errorf("%d events are of a stream that broke off, want 1", truncated)
	}
	g.checkHealth(t)
	if log := g.log.String(); strings.Contains(log, bedrockSecret) || strings.Contains(log, bedrockKeyID) {
		t.Error("the log has the credentials of the setting")
	}
}
