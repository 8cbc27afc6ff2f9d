package proxy_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"tollgate/internal/awsauth"
	"tollgate/internal/gateway"
	"tollgate/internal/proxy"
)

// The credential that the provider is shown, up to the name of the setting's vendor.
const (
	nowhere   = ""
	asBearer  = "Authorization: Bearer sk-"
	asAPIKey  = "Api-Key: sk-"
	asXAPIKey = "X-Api-Key: sk-"
	signed    = "Authorization: AWS4-HMAC-SHA256 Credential=" + awsID + "/"
)

const (
	az      = "/api/providers/azure/openai/deployments/:deployment_id"
	oai     = "https://api.openai.com/v1"
	ofAzure = "https://acme.openai.azure.com/openai/deployments/prod"
	ofAWS   = "https://bedrock-runtime.eu-central-1.amazonaws.com/model/"
)

// peerEndpoints are the endpoints of BricksLLM, each under the number it has in the
// acceptance tests. The list is written out, and does not come from the program: what
// the program stops serving is missed here. Patterns are API, since keys name them in
// allowedPaths.
var peerEndpoints = []struct {
	id, method, pattern string
	url                 string // that the provider must see called; empty: no call
	status              int    // that the caller gets, where the provider answers 202
	credential          string
}{
	{"R-01", "GET", "/api/health", "", 200, nowhere},
	{"R-02", "POST", "/api/health", "", 200, nowhere},
	{"R-03", "POST", openai + "/audio/speech", oai + "/audio/speech", 202, asBearer},
	{"R-04", "POST", openai + "/audio/transcriptions", oai + "/audio/transcriptions", 202, asBearer},
	{"R-05", "POST", openai + "/audio/translations", oai + "/audio/translations", 202, asBearer},
	{"R-06", "POST", openai + "/chat/completions", oai + "/chat/completions", 202, asBearer},
	{"R-07", "POST", openai + "/embeddings", oai + "/embeddings", 202, asBearer},
	{"R-08", "POST", openai + "/moderations", oai + "/moderations", 202, asBearer},
	{"R-09", "GET", openai + "/models", oai + "/models", 202, asBearer},
	{"R-10", "GET", openai + "/models/:model", oai + "/models/gpt-4o-mini", 202, asBearer},
	{"R-11", "DELETE", openai + "/models/:model", oai + "/models/gpt-4o-mini", 202, asBearer},
	{"R-12", "POST", openai + "/assistants", oai + "/assistants", 202, asBearer},
	{"R-13", "GET", openai + "/assistants/:assistant_id", oai + "/assistants/asst_1", 202, asBearer},
	{"R-14", "POST", openai + "/assistants/:assistant_id", oai + "/assistants/asst_1", 202, asBearer},
	{"R-15", "DELETE", openai + "/assistants/:assistant_id", oai + "/assistants/asst_1", 202, asBearer},
	{"R-16", "GET", openai + "/assistants", oai + "/assistants", 202, asBearer},
	{"R-17", "POST", openai + "/assistants/:assistant_id/files", oai + "/assistants/asst_1/files", 202, asBearer},
	{"R-18", "GET", openai + "/assistants/:assistant_id/files/:file_id", oai + "/assistants/asst_1/files/file-1", 202, asBearer},
	{"R-19", "DELETE", openai + "/assistants/:assistant_id/files/:file_id", oai + "/assistants/asst_1/files/file-1", 202, asBearer},
	{"R-20", "GET", openai + "/assistants/:assistant_id/files", oai + "/assistants/asst_1/files", 202, asBearer},
	{"R-21", "POST", openai + "/threads", oai + "/threads", 202, asBearer},
	{"R-22", "GET", openai + "/threads/:thread_id", oai + "/threads/thread_1", 202, asBearer},
	{"R-23", "POST", openai + "/threads/:thread_id", oai + "/threads/thread_1", 202, asBearer},
	{"R-24", "DELETE", openai + "/threads/:thread_id", oai + "/threads/thread_1", 202, asBearer},
	{"R-25", "POST", openai + "/threads/:thread_id/messages", oai + "/threads/thread_1/messages", 202, asBearer},
	{"R-26", "GET", openai + "/threads/:thread_id/messages/:message_id", oai + "/threads/thread_1/messages/msg_1", 202, asBearer},
	{"R-27", "POST", openai + "/threads/:thread_id/messages/:message_id", oai + "/threads/thread_1/messages/msg_1", 202, asBearer},
	{"R-28", "GET", openai + "/threads/:thread_id/messages", oai + "/threads/thread_1/messages", 202, asBearer},
	{"R-29", "GET", openai + "/threads/:thread_id/messages/:message_id/files/:file_id", oai + "/threads/thread_1/messages/msg_1/files/file-1", 202, asBearer},
	{"R-30", "GET", openai + "/threads/:thread_id/messages/:message_id/files", oai + "/threads/thread_1/messages/msg_1/files", 202, asBearer},
	{"R-31", "POST", openai + "/threads/:thread_id/runs", oai + "/threads/thread_1/runs", 202, asBearer},
	{"R-32", "GET", openai + "/threads/:thread_id/runs/:run_id", oai + "/threads/thread_1/runs/run_1", 202, asBearer},
	{"R-33", "POST", openai + "/threads/:thread_id/runs/:run_id", oai + "/threads/thread_1/runs/run_1", 202, asBearer},
	{"R-34", "GET", openai + "/threads/:thread_id/runs", oai + "/threads/thread_1/runs", 202, asBearer},
	{"R-35", "POST", openai + "/threads/:thread_id/runs/:run_id/submit_tool_outputs", oai + "/threads/thread_1/runs/run_1/submit_tool_outputs", 202, asBearer},
	{"R-36", "POST", openai + "/threads/:thread_id/runs/:run_id/cancel", oai + "/threads/thread_1/runs/run_1/cancel", 202, asBearer},
	{"R-37", "POST", openai + "/threads/runs", oai + "/threads/runs", 202, asBearer},
	{"R-38", "GET", openai + "/threads/:thread_id/runs/:run_id/steps/:step_id", oai + "/threads/thread_1/runs/run_1/steps/step_1", 202, asBearer},
	{"R-39", "GET", openai + "/threads/:thread_id/runs/:run_id/steps", oai + "/threads/thread_1/runs/run_1/steps", 202, asBearer},
	{"R-40", "GET", openai + "/files", oai + "/files", 202, asBearer},
	{"R-41", "POST", openai + "/files", oai + "/files", 202, asBearer},
	{"R-42", "DELETE", openai + "/files/:file_id", oai + "/files/file-1", 202, asBearer},
	{"R-43", "GET", openai + "/files/:file_id", oai + "/files/file-1", 202, asBearer},
	{"R-44", "GET", openai + "/files/:file_id/content", oai + "/files/file-1/content", 202, asBearer},
	{"R-45", "POST", openai + "/batches", oai + "/batches", 202, asBearer},
	{"R-46", "GET", openai + "/batches/:batch_id", oai + "/batches/batch_1", 202, asBearer},
	{"R-47", "POST", openai + "/batches/:batch_id/cancel", oai + "/batches/batch_1/cancel", 202, asBearer},
	{"R-48", "GET", openai + "/batches", oai + "/batches", 202, asBearer},
	{"R-49", "POST", openai + "/images/generations", oai + "/images/generations", 202, asBearer},
	{"R-50", "POST", openai + "/images/edits", oai + "/images/edits", 202, asBearer},
	{"R-51", "POST", openai + "/images/variations", oai + "/images/variations", 202, asBearer},
	{"R-52", "POST", az + "/chat/completions", ofAzure + "/chat/completions?api-version=2024-10-21", 202, asAPIKey},
	{"R-53", "POST", az + "/embeddings", ofAzure + "/embeddings?api-version=2024-10-21", 202, asAPIKey},
	{"R-54", "POST", az + "/completions", ofAzure + "/completions?api-version=2024-10-21", 202, asAPIKey},
	{"R-55", "POST", claude + "/complete", "https://api.anthropic.com/v1/complete", 202, asXAPIKey},
	{"R-56", "POST", claude + "/messages", "https://api.anthropic.com/v1/messages", 202, asXAPIKey},
	{"R-57", "POST", bedrockComplete, ofAWS + opus + "/invoke", 202, signed},
	{"R-58", "POST", bedrockMessages, ofAWS + opus + "/invoke", 202, signed},
	{"R-59", "POST", "/api/providers/vllm/v1/chat/completions", "http://vllm.example:8000/v1/chat/completions", 202, asBearer},
	{"R-60", "POST", "/api/providers/vllm/v1/completions", "http://vllm.example:8000/v1/completions", 202, asBearer},
	{"R-61", "POST", "/api/providers/deepinfra/v1/chat/completions", "https://api.deepinfra.com/v1/openai/chat/completions", 202, asBearer},
	{"R-62", "POST", "/api/providers/deepinfra/v1/completions", "https://api.deepinfra.com/v1/openai/completions", 202, asBearer},
	{"R-63", "POST", "/api/providers/deepinfra/v1/embeddings", "https://api.deepinfra.com/v1/openai/embeddings", 202, asBearer},
	{"R-64", "POST", "/api/custom/providers/:provider/*wildcard", "https://acme.example/v2/generate", 202, asBearer},
	{"R-65", "POST", "/api/routes/*route", "", 404, nowhere},
	{"R-66", "POST", openai + "/vector_stores", oai + "/vector_stores", 202, asBearer},
	{"R-67", "GET", openai + "/vector_stores", oai + "/vector_stores", 202, asBearer},
	{"R-68", "GET", openai + "/vector_stores/:vector_store_id", oai + "/vector_stores/vs_1", 202, asBearer},
	{"R-69", "POST", openai + "/vector_stores/:vector_store_id", oai + "/vector_stores/vs_1", 202, asBearer},
	{"R-70", "DELETE", openai + "/vector_stores/:vector_store_id", oai + "/vector_stores/vs_1", 202, asBearer},
	{"R-71", "POST", openai + "/vector_stores/:vector_store_id/files", oai + "/vector_stores/vs_1/files", 202, asBearer},
	{"R-72", "GET", openai + "/vector_stores/:vector_store_id/files", oai + "/vector_stores/vs_1/files", 202, asBearer},
	{"R-73", "GET", openai + "/vector_stores/:vector_store_id/files/:file_id", oai + "/vector_stores/vs_1/files/file-1", 202, asBearer},
	{"R-74", "DELETE", openai + "/vector_stores/:vector_store_id/files/:file_id", oai + "/vector_stores/vs_1/files/file-1", 202, asBearer},
	{"R-75", "POST", openai + "/vector_stores/:vector_store_id/file_batches", oai + "/vector_stores/vs_1/file_batches", 202, asBearer},
	{"R-76", "GET", openai + "/vector_stores/:vector_store_id/file_batches/:batch_id", oai + "/vector_stores/vs_1/file_batches/batch_1", 202, asBearer},
	{"R-77", "POST", openai + "/vector_stores/:vector_store_id/file_batches/:batch_id/cancel", oai + "/vector_stores/vs_1/file_batches/batch_1/cancel", 202, asBearer},
	{"R-78", "GET", openai + "/vector_stores/:vector_store_id/file_batches/:batch_id/files", oai + "/vector_stores/vs_1/file_batches/batch_1/files", 202, asBearer},
}

// peerIDs stand in a call where the patterns have parameters.
var peerIDs = strings.NewReplacer(
	":assistant_id", "asst_1", ":thread_id", "thread_1", ":message_id", "msg_1", ":run_id", "run_1", ":step_id", "step_1",
	":file_id", "file-1", ":model", "gpt-4o-mini", ":batch_id", "batch_1", ":vector_store_id", "vs_1", ":deployment_id", "prod",
	":provider/*wildcard", "acme/generate", "*route", "fast",
)

// wide is a transport that leads every host to the fake provider and knows which ones
// were called, and whether over TLS. So a test sees the addresses that calls have in
// production.
func wide(hosts *sync.Map) option {
	return func(r *rig) {
		dial := func(scheme string) func(context.Context, string, string) (net.Conn, error) {
			return func(ctx context.Context, network, address string) (net.Conn, error) {
				address = strings.TrimSuffix(address, map[string]string{"https": ":443", "http": ":80"}[scheme])
				hosts.Store(address, scheme)
				return new(net.Dialer).DialContext(ctx, network, r.upstream.Listener.Addr().String())
			}
		}
		t := proxy.NewTransport()
		t.Proxy, t.DialContext, t.DialTLSContext = nil, dial("http"), dial("https")
		r.config.Upstream, r.config.Signer = t, awsauth.New(awsauth.Options{})
	}
}

//
func TestPeerEndpoints(t *testing.T) {
	const reply = "{\"id\" : \"x\",\n \"n\":1.0}"
	var hosts sync.Map
	r := newRig(t, wide(&hosts))
	called := ""
	r.fake.Override = func(w http.ResponseWriter, req *http.Request, _ []byte) bool {
		scheme, _ := hosts.Load(req.Host)
		called = scheme.(string) + "://" + req.Host + req.URL.RequestURI()
		w.Header().Set("Content-Type", "application/json; odd=1")
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, reply)
		return true
	}
	r.newAcme(func(p *gateway.CustomProvider) { p.Routes[0].TargetURL = "https://acme.example/v2/generate" })
	settings := r.peerSettings()
	for _, row := range peerEndpoints {
		t.Run(row.id+" "+row.method+" "+row.pattern, func(t *testing.T) {
			called = ""
			k := r.newKey(func(k *gateway.Key) {
				k.SettingIDs, k.AllowedPaths = settings, []gateway.AllowedPath{{Method: row.method, Path: row.pattern}}
			})
			body, contentType := peerBody(t, row.method, row.pattern)
			path := peerIDs.Replace(row.pattern)
			if strings.HasPrefix(row.pattern, az) {
				path += "?api-version=2024-10-21"
			}
			req := r.request(k.secret, row.method, path, body)
			if contentType != "" {
				req.Header.Set("Content-Type", contentType)
			}
			a := r.do(req)
			if called != row.url || a.status != row.status {
				t.Fatalf("got %d %s and the provider was called at %q; want %d and %q", a.status, a.body, called, row.status, row.url)
			}
			switch row.status {
			case http.StatusOK:
				if a.body != "" {
					t.Errorf("got %q", a.body)
				}
				return
			case http.StatusNotFound:
				r.refused(a, 404, "routes_not_served")
				return
			}
			if a.body != reply || a.header.Get("Content-Type") != "application/json; odd=1" {
				t.Errorf("got %q %q", a.header.Get("Content-Type"), a.body)
			}
			got := r.fake.Last()
			if row.credential != signed && string(got.Body) != body || got.Method != row.method || got.Header.Get("Content-Type") != contentType {
				t.Errorf("the provider saw %s %q, %v", got.Method, got.Body, got.Header)
			}
			var shown []string
			for _, name := range []string{"Authorization", "Api-Key", "X-Api-Key"} {
				if value := got.Header.Get(name); value != "" {
					shown = append(shown, name+": "+value)
				}
			}
			want := row.credential
			if want != signed {
				want += strings.Split(row.pattern, "/")[3]
			}
			if len(shown) != 1 || shown[0] != want && (want != signed || !strings.HasPrefix(shown[0], signed)) {
				t.Errorf("the provider was shown %q, want %q", shown, want)
			}
		})
	}
}

// peerSettings stores a setting as the peer has it for each of its vendors.
func (r *rig) peerSettings() []string {
	r.Helper()
	var ids []string
	for vendor, params := range map[string]map[string]string{
		"openai": {}, "anthropic": {}, "deepinfra": {}, "azure": {"resourceName": "acme"},
		"vllm": {"url": "http://vllm.example:8000"}, "bedrock": {"awsRegion": "eu-central-1"}, "acme": {},
	} {
		s := gateway.Setting{ID: uuid.NewString(), Provider: vendor, CreatedAt: r.now(), Params: params}
		secrets := map[string]string{"apikey": "sk-" + vendor}
		switch vendor {
		case "acme":
			secrets = map[string]string{"token": "sk-providers"} // by the third part of its paths
		case "bedrock":
			secrets = map[string]string{"awsAccessKeyId": awsID, "awsSecretAccessKey": awsSecret}
		}
		plain, _ := json.Marshal(secrets)
		var err error
		s.Sealed, err = r.box.Seal(r.Context(), plain, s.SealContext())
		r.must(err)
		r.must(r.db.CreateSetting(r.Context(), s))
		ids = append(ids, s.ID)
	}
	return ids
}

// peerBody is a body that the endpoint takes, and its Content-Type.
func peerBody(t *testing.T, method, pattern string) (body, contentType string) {
	t.Helper()
	endpoint := strings.TrimPrefix(pattern, openai)
	switch {
	case method != "POST", pattern == "/api/health":
		return "", ""
	case endpoint == "/files", strings.HasPrefix(endpoint, "/images/") && endpoint != "/images/generations",
		strings.HasPrefix(endpoint, "/audio/trans"):
		return multipartForm(t, map[string]string{"model": "whisper-1", "purpose": "assistants"}, "file", "a.bin", "\x00\x01bytes")
	case strings.HasPrefix(pattern, onBedrock):
		return `{"model":"` + opus + `","max_tokens":20,"max_tokens_to_sample":20,"prompt":"hi","messages":[]}`, "application/json"
	}
	return `{"model":"gpt-4o-mini", "input" : "é", "x":[1.0]}`, "application/json"
}
