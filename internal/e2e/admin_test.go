package e2e

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"tollgate/internal/secret"
)

// adminAPI is the operator.
type adminAPI struct{ base string }

func newAdminAPI(base string) *adminAPI { return &adminAPI{base} }

// call sends a body, if it is not nil, and decodes the answer.
func (a *adminAPI) call(t testing.TB, method, path string, body, answer any) {
	t.Helper()
	var payload io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		payload = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, a.base+path, payload)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=local")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s: %s", method, path, res.Status, text)
	}
	if err := json.Unmarshal(text, answer); err != nil {
		t.Fatalf("%s %s: %v: %s", method, path, err, text)
	}
}

// upstreamKey is the provider credential of every setting.
const upstreamKey = "sk-upstream-credential"

// setting stores a provider credential for an upstream and returns its id.
func (a *adminAPI) setting(t testing.TB, url string, models ...string) (id string) {
	t.Helper()
	return a.settingFor(t, "openai", url, models...)
}

// settingFor is setting for any provider that is known by a key and a url.
func (a *adminAPI) settingFor(t testing.TB, provider, url string, models ...string) (id string) {
	t.Helper()
	body := map[string]any{
		"provider": provider, "setting": map[string]string{"apikey": upstreamKey, "url": url},
	}
	if len(models) > 0 {
		body["allowedModels"] = models
	}
	var stored struct{ ID string }
	a.call(t, "PUT", "/api/provider-settings", body, &stored)
	return stored.ID
}

// keyPrefix begins every gateway key, so that one that leaks is recognised.
const keyPrefix = "gatekey-"

// key is a gateway key that was handed out.
type key struct{ ID, Secret string }

func (k key) hash() string { return secret.HashKey(k.Secret) }

// keyLimit is a limit as the admin API takes it.
type keyLimit struct {
	Measure string  `json:"measure"`
	Per     string  `json:"per,omitempty"`
	Max     float64 `json:"max"`
}

// key hands out a key for a setting.
func (a *adminAPI) key(t testing.TB, setting string, limits ...keyLimit) key {
	t.Helper()
	k := key{Secret: keyPrefix + rand.Text()}
	var created struct{ KeyID string }
	a.call(t, "PUT", "/api/key-management/keys", map[string]any{
		"name": t.Name(), "key": k.Secret, "tags": []string{"e2e"},
		"settingIds": []string{setting}, "limits": limits,
	}, &created)
	k.ID = created.KeyID
	return k
}

// event is what the admin API tells of a call, as far as it is looked at here.
type event struct {
	ID               string
	Status           int
	Path             string
	Basis            string
	Refused          string
	Expired          bool
	Truncated        bool
	CostInUSD        float64 `json:"cost_in_usd"`
	PromptTokens     int64   `json:"prompt_token_count"`
	CompletionTokens int64   `json:"completion_token_count"`
	Model            string
}

// events are a key's events of the last hour, oldest first where seconds tell.
func (a *adminAPI) events(t testing.TB, k key) []event {
	t.Helper()
	now := time.Now().Unix()
	var list []event
	a.call(t, "GET", fmt.Sprintf("/api/events?keyIds=%s&start=%d&end=%d", k.ID, now-3600, now+60), nil, &list)
	slices.Reverse(list)
	return list
}

// awaitEvents waits until there are n events: they are written after the answers.
func (a *adminAPI) awaitEvents(t testing.TB, k key, n int) []event {
	t.Helper()
	var list []event
	eventually(t, 5*time.Second, func() bool {
		list = a.events(t, k)
		return len(list) >= n
	})
	if len(list) != n {
		t.Errorf("%d events, want %d: %+v", len(list), n, list)
	}
	return list
}

// eventually waits until ok, or until the time is over.
func eventually(t testing.TB, most time.Duration, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(most); !ok() && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
}

// statuses are those of the events, sorted: "200 429".
func statuses(list []event) string {
	all := make([]string, len(list))
	for i, e := range list {
		all[i] = fmt.Sprint(e.Status)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// spent is what the admin API says the key has spent, in micro-dollars.
func (a *adminAPI) spent(t testing.TB, k key) int64 {
	t.Helper()
	var report struct{ CostInMicroDollars int64 }
	a.call(t, "GET", "/api/reporting/keys/"+k.ID, nil, &report)
	return report.CostInMicroDollars
}
