package admin_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tollgate/internal/admin"
	"tollgate/internal/secret"
)

// rig is a control plane over a store, with a clock that stands still.
type rig struct {
	t     *testing.T
	store *memory // whose faults a test chooses; nil if the store is a real one
	given admin.Store
	box   *glassBox
	now   time.Time
	log   strings.Builder
	http.Handler
}

func newRig(t *testing.T) *rig { return newGuardedRig(t, "") }

func newGuardedRig(t *testing.T, password string) *rig {
	return newRigWith(t, func(c *admin.Config) { c.Password = secret.NewText(password) })
}

// newRigWith is a rig whose configuration was changed. Its store is the one that the
// test runs on, or the one in memory.
func newRigWith(t *testing.T, change func(*admin.Config)) *rig {
	r := &rig{t: t, box: &glassBox{}, now: time.Unix(1_700_000_000, 0)}
	c := admin.Config{
		Box: r.box, Now: func() time.Time { return r.now },
		Log: slog.New(slog.NewTextHandler(&r.log, nil)),
	}
	if open := storeOf(t); open != nil {
		c.Store = open(t, c.Now)
	} else {
		r.store = newMemory()
		r.store.now = c.Now
		c.Store = r.store
	}
	change(&c)
	r.given = c.Store
	r.Handler = admin.New(c)
	return r
}

// call sends a request, with header lines "Name: value", and returns the answer.
func (r *rig) call(method, path, body string, header ...string) *httptest.ResponseRecorder {
	r.t.Helper()
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	if w.Header().Get("X-Request-Id") == "" {
		r.t.Errorf("%s %s: answer without a request id", method, path)
	}
	checkDocument(r.t, req, w)
	return w
}

// Run runs a part of a test under a name of its own.
func (r *rig) Run(name string, part func(t *testing.T)) {
	outer := r.t
	defer func() { r.t = outer }()
	outer.Run(name, func(t *testing.T) {
		r.t = t
		part(t)
	})
}

type object = map[string]any

// ok sends a request that must succeed and returns the object answered.
func (r *rig) ok(method, path, body string) object {
	r.t.Helper()
	w := r.call(method, path, body)
	if w.Code != http.StatusOK {
		r.t.Fatalf("%s %s %s: %d %s\n%s", method, path, body, w.Code, w.Body, &r.log)
	}
	var o object
	if err := json.Unmarshal(w.Body.Bytes(), &o); err != nil {
		r.t.Fatalf("%s %s: %v in %s", method, path, err, w.Body)
	}
	return o
}

// list is ok for calls that answer a list.
func (r *rig) list(path string) []object {
	r.t.Helper()
	w := r.call("GET", path, "")
	if w.Code != http.StatusOK {
		r.t.Fatalf("GET %s: %d %s", path, w.Code, w.Body)
	}
	var l []object
	if err := json.Unmarshal(w.Body.Bytes(), &l); err != nil || l == nil {
		r.t.Fatalf("GET %s: not a list (%v): %s", path, err, w.Body)
	}
	return l
}

// refused sends a request that must fail with the status and a detail that holds
// the text, in the peer's error body.
func (r *rig) refused(status int, detail, method, path, body string) object {
	r.t.Helper()
	w := r.call(method, path, body)
	var p object
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		r.t.Fatalf("%s %s %s: %d %v in %s", method, path, body, w.Code, err, w.Body)
	}
	got, _ := p["detail"].(string)
	if w.Code != status || p["status"] != float64(status) || !strings.Contains(got, detail) {
		r.t.Errorf("%s %s %.200s:\n got %d %s\nwant %d with %q", method, path, body, w.Code, w.Body, status, detail)
	}
	if len(p) != 5 || p["type"] == "" || p["title"] == "" || p["instance"] == "" {
		r.t.Errorf("%s %s: not the error body: %s", method, path, w.Body)
	}
	return p
}

const (
	K  = "/api/key-management/keys"
	V2 = "/api/v2/key-management/keys"
	S  = "/api/provider-settings"
	CP = "/api/custom/providers"
	US = "/api/users"
	TG = "/api/tags/"
	PO = "/api/policies"
	RO = "/api/routes"
)

// setting makes a provider setting and returns its id.
func (r *rig) setting() string {
	r.t.Helper()
	return r.ok("PUT", S, `{"provider":"openai","setting":{"apikey":"sk-secret-1"}}`)["id"].(string)
}

// key makes a key with the members given, and what else a key needs.
func (r *rig) key(members string) object {
	r.t.Helper()
	return r.ok("PUT", K, r.keyBody(members))
}

func (r *rig) keyBody(members string) string {
	ids := r.list(S + "?all=true")
	if len(ids) == 0 {
		r.setting()
		ids = r.list(S + "?all=true")
	}
	body := `{"settingIds":["` + ids[0]["id"].(string) + `"]`
	if !strings.Contains(members, `"name"`) {
		body += `,"name":"n"`
	}
	if members != "" {
		body += "," + members
	}
	return body + "}"
}
