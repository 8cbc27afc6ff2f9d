package e2e

import (
	"net/http"
	"testing"

	"tollgate/internal/fakeai"
)

// azureChecks are those that each Azure client has to make.
var azureChecks = []string{"chat", "stream", "embeddings", "unknown key", "model not allowed", "rate limit"}

// TestAzureSDKs runs the Azure clients of OpenAI's SDKs: only the endpoint is
// changed. (That of the Go SDK is tested beside the proxy.)
func TestAzureSDKs(t *testing.T) {
	t.Parallel()
	for _, way := range []struct {
		name  string
		start func(*testing.T) *running
	}{
		{"local", startLocal},
		{"lambda", func(t *testing.T) *running { return startLambda(t, shape{processes: 2}) }},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			modules, python := need(t, ".ci/tools/sdk/node_modules"), need(t, ".build/sdk/venv/bin/python")
			g := way.start(t)
			t.Run("node", func(t *testing.T) {
				g.checkAzure(t, []string{"NODE_PATH=" + modules}, needCommand(t, "node"), "clients/node/azure.js")
			})
			t.Run("python", func(t *testing.T) {
				g.checkAzure(t, []string{"PYTHONDONTWRITEBYTECODE=1"}, python, "clients/python/azure.py")
			})
		})
	}
}

func (g *running) checkAzure(t *testing.T, env []string, command ...string) {
	ai := &fakeai.Server{}
	up := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Api-Key") != upstreamKey || r.Header.Get("Authorization") != "" || r.URL.Query().Get("api-version") != "2026-06-01" {
			t.Errorf("%s came with %v", r.URL, r.Header)
		}
		ai.ServeHTTP(w, r)
	}))
	setting := func(models ...string) string {
		return g.admin.put(t, "PUT", "/api/provider-settings", object{"provider": "azure", "allowedModels": models,
			"setting": object{"resourceName": "resource", "apikey": upstreamKey, "url": up}})
	}
	all, one := setting(), setting("gpt-4o")
	open := g.admin.key(t, all, keyLimit{"cost", "lifetime", 10})
	far := g.admin.key(t, all, keyLimit{"requests", "mo", 1})
	models := g.admin.key(t, one)
	runChecks(t, azureChecks, append(env, "BASE_URL="+g.proxy+"/api/providers/azure",
		"KEY="+open.Secret, "KEY_FAR="+far.Secret, "KEY_MODELS="+models.Secret), command...)
	if got := statuses(g.admin.awaitEvents(t, open, 3)); got != "200 200 200" {
		t.Errorf("calls with status %s", got)
	}
	if got := statuses(g.admin.awaitEvents(t, far, 2)); got != "200 429" {
		t.Errorf("calls with status %s", got)
	}
}
