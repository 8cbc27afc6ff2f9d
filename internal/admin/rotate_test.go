package admin_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tollgate/internal/gateway"
)

// accepts reports whether the secret opens the key now, as it is stored.
func (r *rig) accepts(t *testing.T, id, secret string) bool {
	t.Helper()
	o := r.ok("GET", K+"/"+id, "")
	if o["keyId"] != id {
		t.Fatalf("read %v", o)
	}
	k, err := r.given.Key(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return k.Accepts(hashOf(secret), r.now)
}

// AK-46: a new secret beside the old one, shown once, and nothing else changed.
func TestRotateKey(t *testing.T) {
	onStores(t, func(t *testing.T, r *rig) {
		t.Run("AK-46", func(t *testing.T) { testRotateKey(t, r) })
	})
}

func testRotateKey(t *testing.T, r *rig) {
	before := r.key(`"key":"the first secret","tags":["a"],"costLimitInUsd":5`)
	id := before["keyId"].(string)
	path := K + "/" + id
	r.now = r.now.Add(time.Minute)
	got := r.ok("POST", path+"/rotate", `{"overlap":"1h"}`)
	second, _ := got["secret"].(string)
	if !strings.HasPrefix(second, "tg-") || len(second) != 46 {
		t.Fatalf("secret %q", second)
	}
	want := object{}
	for name, v := range before {
		want[name] = v
	}
	want["updatedAt"], want["key"], want["oldSecretsUntil"] = 1.70000006e9, hashOf(second), []any{1.70000366e9}
	read := r.ok("GET", path, "")
	if fmt.Sprint(read) != fmt.Sprint(want) {
		t.Errorf("read\n%v, want\n%v", read, want)
	}
	r.now = r.now.Add(time.Hour - time.Second)
	if !r.accepts(t, id, "the first secret") || !r.accepts(t, id, second) {
		t.Error("not both during the overlap")
	}
	r.now = r.now.Add(time.Second)
	if r.accepts(t, id, "the first secret") || !r.accepts(t, id, second) {
		t.Error("not the new one alone after the overlap")
	}

	same(t, r.ok("POST", path+"/rotate", `{"overlap":"0s","key":"the third secret"}`), object{"key": hashOf("the third secret"), "secret": nil})
	if r.accepts(t, id, second) || !r.accepts(t, id, "the third secret") {
		t.Error("an overlap of zero")
	}
	// What was read can be sent back, and a PATCH keeps the secrets.
	same(t, r.ok("PATCH", path, `{"oldSecretsUntil":[5],"name":"new"}`), object{"key": hashOf("the third secret"), "name": "new"})
	if !r.accepts(t, id, "the third secret") {
		t.Error("a PATCH took the secret")
	}
	// AK-69: with the key all of its secrets are free.
	r.refused(409, "a key with this secret exists already", "PUT", K, r.keyBody(`"key":"the first secret"`))
	r.refused(409, "a key with this secret exists already", "PUT", K, r.keyBody(`"key":"the third secret"`))
	r.call("DELETE", path, "")
	for _, text := range []string{"the first secret", second, "the third secret"} {
		if again := r.key(`"key":"` + text + `"`); again["keyId"] == id || again["oldSecretsUntil"] != nil {
			t.Errorf("AK-69 made again: %v", again)
		}
	}
}

func TestRotateKeyRefusals(t *testing.T) {
	onStores(t, func(t *testing.T, r *rig) {
		path := K + "/" + r.key(`"key":"mine"`)["keyId"].(string) + "/rotate"
		r.key(`"key":"taken"`)
		before := r.ok("GET", strings.TrimSuffix(path, "/rotate"), "")
		for _, tt := range []struct {
			status       int
			detail, body string
		}{
			{400, "overlap has to say", `{}`},
			{400, "overlap has to say", `{"overlap":""}`},
			{400, "fields [overlap] are invalid", `{"overlap":"-1h"}`},
			{400, "fields [overlap] are invalid", `{"overlap":"5ms"}`},
			{400, "fields [overlap, key] are invalid", `{"overlap":"soon","key":"a\nb"}`},
			{400, "overlap: expected a string, got number", `{"overlap":3600}`},
			{400, `no member "until" here`, `{"overlap":"1h","until":5}`},
			{409, "a key with this secret exists already", `{"overlap":"1h","key":"taken"}`},
			{409, "a key with this secret exists already", `{"overlap":"1h","key":"mine"}`},
		} {
			r.refused(tt.status, tt.detail, "POST", path, tt.body)
		}
		r.refused(404, "key is not found", "POST", K+"/nobody/rotate", `{"overlap":"1h"}`)
		if w := r.call("POST", path, `{"overlap":"1h"}`, `If-Match: "1"`); w.Code != 412 {
			t.Errorf("AG-33: %d %s", w.Code, w.Body)
		}
		if after := r.ok("GET", strings.TrimSuffix(path, "/rotate"), ""); fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("changed by what was refused: %v", after)
		}
		for range gateway.MaxSecrets - 1 {
			r.ok("POST", path, `{"overlap":"1h"}`)
		}
		r.refused(409, "the key has 10 secrets that still work", "POST", path, `{"overlap":"1h"}`)
		if got := r.ok("POST", path, `{"overlap":"0s"}`)["oldSecretsUntil"]; len(got.([]any)) != gateway.MaxSecrets-1 {
			t.Errorf("old secrets %v", got)
		}
	})
}

// A key whose secret is shown in part goes on so; a revoked one stays revoked.
func TestRotateOddKeys(t *testing.T) { eachStore(t, testRotateOddKeys) }

func testRotateOddKeys(t *testing.T) {
	r := newRig(t)
	path := K + "/" + r.key(`"key":"a-plain-secret-of-old","isKeyNotHashed":true`)["keyId"].(string)
	r.ok("PATCH", path, `{"revoked":true}`)
	same(t, r.ok("POST", path+"/rotate", `{"overlap":"0s","key":"a-plain-secret-of-new"}`),
		object{"key": "a-plain-secret-of-new", "revoked": true, "isKeyNotHashed": true})
	same(t, r.ok("GET", path, ""), object{"key": "************-new"})
}

// A repeated request with an idempotency key gets the first one's secret, and that of
// another key its own.
func TestRotateOnce(t *testing.T) {
	onStores(t, func(t *testing.T, r *rig) {
		var seen []string
		for range 2 {
			id := r.key("")["keyId"].(string)
			for range 2 {
				w := r.call("POST", K+"/"+id+"/rotate", `{"overlap":"1h"}`, "Idempotency-Key: same")
				var o object
				if err := json.Unmarshal(w.Body.Bytes(), &o); err != nil || w.Code != 200 || o["keyId"] != id {
					t.Fatalf("%d %s", w.Code, w.Body)
				}
				seen = append(seen, o["secret"].(string))
			}
			if got := r.ok("GET", K+"/"+id, "")["oldSecretsUntil"]; len(got.([]any)) != 1 {
				t.Errorf("rotated more than once: %v", got)
			}
		}
		if seen[0] != seen[1] || seen[2] != seen[3] || seen[0] == seen[2] {
			t.Errorf("secrets %q", seen)
		}
	})
}

// The audit tells of a rotation without a secret or the hash of one.
func TestRotateAudit(t *testing.T) { eachStore(t, testRotateAudit) }

func testRotateAudit(t *testing.T) {
	r := newRig(t)
	id := r.key(`"key":"the first secret"`)["keyId"].(string)
	second := r.ok("POST", K+"/"+id+"/rotate", `{"overlap":"1h"}`)["secret"].(string)
	r.ok("POST", K+"/"+id+"/rotate", `{"overlap":"1h","key":"the third secret"}`)
	w := r.call("GET", "/api/audit?kind=key&id="+id, "")
	for _, text := range []string{"the first secret", second, "the third secret"} {
		if strings.Contains(w.Body.String(), text) || strings.Contains(w.Body.String(), hashOf(text)) {
			t.Errorf("secret or hash in %s", w.Body)
		}
	}
	var page struct{ Entries []object }
	if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || len(page.Entries) != 3 {
		t.Fatalf("%v %s", err, w.Body)
	}
	rotations := slices.DeleteFunc(page.Entries, func(e object) bool { return e["method"] != "POST" })
	if len(rotations) != 2 {
		t.Fatalf("%v", page.Entries)
	}
	for _, e := range rotations {
		if after, _ := e["after"].(object); e["path"] != K+"/:id/rotate" || fmt.Sprint(e["secrets"]) != "[key]" || after["oldSecretsUntil"] == nil {
			t.Errorf("entry %v", e)
		}
	}
}
