package admin_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tollgate/internal/gateway"
)

func TestCreateKeyAnswer(t *testing.T) { eachStore(t, testCreateKeyAnswer) }

func testCreateKeyAnswer(t *testing.T) {
	members := []string{"name", "createdAt", "updatedAt", "tags", "keyId", "revoked", "key", "revokedReason",
		"costLimitInUsd", "costLimitInUsdOverTime", "costLimitInUsdUnit", "rateLimitOverTime", "rateLimitUnit", "ttl",
		"settingId", "allowedPaths", "settingIds", "shouldLogRequest", "shouldLogResponse", "rotationEnabled",
		"policyId", "isKeyNotHashed"}
	t.Run("AK-02 the peer's members, and no other", func(t *testing.T) {
		r := newRig(t)
		setting := r.setting()
		w := r.call("PUT", K, `{"name":"n","key":"abc","settingId":"`+setting+`"}`)
		var got []string
		for _, m := range regexp.MustCompile(`"(\w+)":`).FindAllStringSubmatch(w.Body.String(), -1) {
			got = append(got, m[1])
		}
		if !slices.Equal(got, members) {
			t.Errorf("members %v\nwant %v", got, members)
		}
	})
	r := newRig(t)
	t.Run("AK-03 hash", func(t *testing.T) {
		sum := sha256.Sum256([]byte("s3cret"))
		same(t, r.key(`"key":"s3cret"`), object{"key": hex.EncodeToString(sum[:])})
	})
	t.Run("AK-04 AK-06 unhashed", func(t *testing.T) {
		k := r.key(`"key":"a-long-enough-secret-1234","isKeyNotHashed":true`)
		same(t, k, object{"key": "a-long-enough-secret-1234", "isKeyNotHashed": true, "secret": nil})
		same(t, r.ok("GET", K+"/"+k["keyId"].(string), ""), object{"key": "************1234", "isKeyNotHashed": true})
		short := r.key(`"key":"short","isKeyNotHashed":true`)
		same(t, r.list(K + "?keyIds=" + short["keyId"].(string))[0], object{"key": "************"})
	})
	t.Run("AK-05 a secret may equal a hash", func(t *testing.T) {
		k := r.key(`"key":"first"`)
		r.key(`"key":"` + k["key"].(string) + `"`)
	})
	t.Run("AK-72 generated", func(t *testing.T) {
		k := r.key("")
		secret := k["secret"].(string)
		if !regexp.MustCompile(`^tg-[A-Za-z0-9_-]{43}$`).MatchString(secret) {
			t.Errorf("secret %q", secret)
		}
		sum := sha256.Sum256([]byte(secret))
		same(t, k, object{"key": hex.EncodeToString(sum[:])})
		same(t, r.ok("GET", K+"/"+k["keyId"].(string), ""), object{"secret": nil})
	})
	t.Run("AK-12 setting listed twice", func(t *testing.T) {
		id := r.setting()
		k := r.ok("PUT", K, fmt.Sprintf(`{"name":"n","settingIds":[%q,%q]}`, id, id))
		same(t, k, object{"settingIds": []any{id}, "settingId": ""})
	})
	t.Run("AK-14 settingId alone", func(t *testing.T) {
		id := r.setting()
		same(t, r.ok("PUT", K, `{"name":"n","settingId":"`+id+`"}`), object{"settingId": id, "settingIds": []any{}})
	})
	t.Run("AK-29 null and empty lists survive storing", func(t *testing.T) {
		id := r.key(`"tags":[],"allowedPaths":[]`)["keyId"].(string)
		same(t, r.ok("GET", K+"/"+id, ""), object{"tags": []any{}, "allowedPaths": []any{}})
		id = r.key("")["keyId"].(string)
		same(t, r.ok("GET", K+"/"+id, ""), object{"tags": nil, "allowedPaths": nil})
	})
	t.Run("AK-30 AK-31 odd tags", func(t *testing.T) {
		tags := []any{"x,y", "{z}", `q"q`, "ünï", `\`}
		k := r.key(`"tags":["x,y","{z}","q\"q","ünï","\\"]`)
		same(t, k, object{"tags": tags})
		same(t, r.ok("PATCH", K+"/"+k["keyId"].(string), `{"tags":["\\","{}"]}`), object{"tags": []any{`\`, "{}"}})
		if got := r.list(K + "?tag=%7B%7D"); len(got) != 1 {
			t.Errorf("found %d by an odd tag", len(got))
		}
	})
	t.Run("AK-28 verbs", func(t *testing.T) {
		k := r.key(`"allowedPaths":[{"path":"/x","method":"post"}]`)
		same(t, k, object{"allowedPaths": []any{object{"method": "POST", "path": "/x"}}})
	})
}

func TestCreateKeyRefusals(t *testing.T) { eachStore(t, testCreateKeyRefusals) }

func testCreateKeyRefusals(t *testing.T) {
	r := newRig(t)
	long := strings.Repeat("é", 256)
	tests := []struct{ row, members, detail string }{
		{"AK-07 name", `"name":""`, "fields [name] are invalid"},
		{"AK-08 seven faults", `"name":"","key":" x","tags":[""],"costLimitInUsd":-1,"costLimitInUsdOverTime":-1,"rateLimitOverTime":-1,"ttl":"x","allowedPaths":[{"path":"/"},{}]`,
			"fields [tags, key, name, costLimitInUsd, costLimitInUsdOverTime, rateLimitOverTime, ttl, allowedPaths.0.method] are invalid"},
		{"AK-10 both setting fields", `"settingId":"x"`, "can not be set together"},
		{"AK-11 unknown setting", `"settingIds":["x"]`, "not all settings are found"},
		{"AK-13 empty setting", `"settingIds":["a","",""]`, "fields [settingIds[1], settingIds[2]] are invalid"},
		{"AK-16 policy", `"policyId":"p"`, "policy is not found for id: p"},
		{"AK-17 mo", `"rateLimitOverTime":1,"rateLimitUnit":"mo"`, "rate limit unit can not be identified"},
		{"AK-17 M", `"rateLimitOverTime":1,"rateLimitUnit":"M"`, "rate limit unit can not be identified"},
		{"AK-18 s", `"costLimitInUsdOverTime":1,"costLimitInUsdUnit":"s"`, "cost limit unit can not be identified"},
		{"AK-19 rate unit alone", `"rateLimitUnit":"x"`, "rate limit over time can not be empty if rate limit unit is specified"},
		{"AK-19 rate amount alone", `"rateLimitOverTime":1`, "rate limit unit can not be empty if rate limit over time is specified"},
		{"AK-19 cost unit alone", `"costLimitInUsdUnit":"d"`, "cost limit over time can not be empty if cost limit unit is specified"},
		{"AK-19 cost amount alone", `"costLimitInUsdOverTime":1`, "cost limit unit can not be empty if cost limit over time is specified"},
		{"AK-19 cost unit before rate amount", `"costLimitInUsdUnit":"d","rateLimitOverTime":1`, "cost limit over time can not be empty"},
		{"AK-20", `"costLimitInUsd":-0.01,"costLimitInUsdOverTime":-1,"rateLimitOverTime":-1`, "fields [costLimitInUsd, costLimitInUsdOverTime, rateLimitOverTime] are invalid"},
		{"AK-23 2 days", `"ttl":"2 days"`, "fields [ttl] are invalid"},
		{"AK-25 900ms", `"ttl":"900ms"`, "fields [ttl] are invalid"},
		{"AK-25 negative", `"ttl":"-1h"`, "fields [ttl] are invalid"},
		{"AK-27 no path", `"allowedPaths":[{"path":"/","method":"GET"},{"method":"GET"}]`, "fields [allowedPaths.1.path] are invalid"},
		{"AK-27 null", `"allowedPaths":[null]`, "fields [allowedPaths.0.path] are invalid"},
		{"AK-28 no verb", `"allowedPaths":[{"path":"/","method":"FETCH"}]`, "fields [allowedPaths.0.method] are invalid"},
		{"AK-32 name", `"name":"` + long + `"`, "fields [name] are invalid"},
		{"AK-32 tag", `"tags":["` + long + `"]`, "fields [tags] are invalid"},
		{"secret no header carries", `"key":"a\nb"`, "fields [key] are invalid"},
		{"too many tags", `"tags":["` + strings.Repeat(`x","`, 40) + `x"]`, "fields [tags] are invalid"},
		{"too large a record", `"allowedPaths":[` + strings.Repeat(`{"path":"/`+strings.Repeat("x", 200)+`","method":"GET"},`, 1500) + `{"path":"/x","method":"GET"}]`, "too large to be stored"},
		{"AK-71 measure", `"limits":[{"measure":"calls","per":"m","max":1}]`, "limits[0]: measure can only be"},
		{"AK-71 per", `"limits":[{"measure":"cost","per":"w","max":1}]`, "limits[0]: per can only be s, m, h, d, mo or lifetime"},
		{"AK-71 no per", `"limits":[{"measure":"tokens","max":1}]`, "limits[0]: per can only be"},
		{"AK-71 concurrency per", `"limits":[{"measure":"concurrency","per":"m","max":1}]`, "limits[0]: concurrency has no window"},
		{"AK-71 no max", `"limits":[{"measure":"requests","per":"m"}]`, "limits[0]: max is missing"},
		{"AK-71 fraction", `"limits":[{"measure":"requests","per":"m","max":1.5}]`, "limits[0]: max has to be a whole number"},
		{"AK-71 zero", `"limits":[{"measure":"cost","per":"m","max":0}]`, "limits[0]: max has to be more than 0"},
		{"AK-71 negative", `"limits":[{"measure":"requests","per":"m","max":-1}]`, "limits[0]: max has to be more than 0"},
		{"AK-71 huge", `"limits":[{"measure":"tokens","per":"m","max":1000000000000001}]`, "limits[0]: max has to be a whole number up to"},
		{"AK-71 too fine", `"limits":[{"measure":"cost","per":"m","max":1e-11}]`, "limits[0]: max: amount is not zero but smaller"},
		{"AK-71 twice", `"limits":[{"measure":"requests","per":"m","max":1},{"measure":"requests","per":"m","max":2}]`, "limits[1]: a second limit"},
		{"unknownModel", `"unknownModel":"maybe"`, "unknownModel can only be"},
	}
	for _, tt := range tests {
		t.Run(tt.row, func(t *testing.T) {
			r.t = t
			p := r.refused(400, tt.detail, "PUT", K, r.keyBody(tt.members))
			same(t, p, object{"type": "/errors/validation", "title": "key validation failed", "instance": K})
		})
	}
	r.t = t
	t.Run("AK-09 no setting", func(t *testing.T) {
		r.refused(400, "settingId is not set", "PUT", K, `{"name":"n","settingIds":[]}`)
	})
	t.Run("AK-15 duplicate", func(t *testing.T) {
		r.key(`"key":"dup"`)
		r.refused(409, "exists already", "PUT", K, r.keyBody(`"key":"dup"`))
	})
	if n := len(r.storedKeys()); n != 1 {
		t.Errorf("%d keys stored, want the 1 that was right", n)
	}
}

func TestKeyLife(t *testing.T) { eachStore(t, testKeyLife) }

func testKeyLife(t *testing.T) {
	r := newRig(t)
	created := r.now.UTC()
	tests := []struct {
		ttl  string
		life time.Duration // 0: for ever
	}{
		{"", 0}, {"0", 0}, {"0s", 0}, {"0d", 0}, {"1h30m", 90 * time.Minute}, {"48h", 48 * time.Hour}, {"1s", time.Second},
		{"1.5s", 1500 * time.Millisecond}, {"2d", 48 * time.Hour}, {"1d12h", 36 * time.Hour}, {"1.5d", 36 * time.Hour},
		{"0d1s", time.Second}, {"+1h", time.Hour}, {"36500d", 36500 * 24 * time.Hour},
	}
	for _, tt := range tests {
		t.Run("AK-23 AK-24 "+tt.ttl, func(t *testing.T) {
			k := r.key(`"ttl":"` + tt.ttl + `"`)
			same(t, k, object{"ttl": tt.ttl})
			got := r.storedKey(k["keyId"].(string)).ExpiresAt
			want := time.Time{}
			if tt.life > 0 {
				want = created.Add(tt.life)
			}
			if !got.Equal(want) {
				t.Errorf("expires %v, want %v", got, want)
			}
		})
	}
	for _, ttl := range []string{"d", "x", "2 days", "1h2d", "2dd", "1d-1h", "1d 2h", "-2d", "0.1s", "1d1", "d1h", "1e3d",
		"200000000d", "106751d23h59m", "99999999999h", strings.Repeat("0", 256) + "1h"} {
		t.Run("AK-25 "+ttl, func(t *testing.T) {
			r.refused(400, "fields [ttl] are invalid", "PUT", K, r.keyBody(`"ttl":"`+ttl+`"`))
		})
	}
	t.Run("AK-45 changed", func(t *testing.T) {
		id := r.key(`"ttl":"1h"`)["keyId"].(string)
		r.now = r.now.Add(time.Hour)
		same(t, r.ok("PATCH", K+"/"+id, `{"ttl":"2d"}`), object{"ttl": "2d"})
		if k := r.storedKey(id); !k.ExpiresAt.Equal(created.Add(48 * time.Hour)) {
			t.Errorf("expires %v", k.ExpiresAt)
		}
		r.ok("PATCH", K+"/"+id, `{"ttl":""}`)
		if k := r.storedKey(id); !k.ExpiresAt.IsZero() || k.TTL != "" {
			t.Errorf("ttl %q, expires %v", k.TTL, k.ExpiresAt)
		}
	})
}

func TestLimits(t *testing.T) { eachStore(t, testLimits) }

func testLimits(t *testing.T) {
	r := newRig(t)
	k := r.key(`"rateLimitOverTime":3000000000,"rateLimitUnit":"d","costLimitInUsd":0.1,"costLimitInUsdOverTime":0.000000001,
		"costLimitInUsdUnit":"mo","unknownModel":"allow","limits":[{"measure":"requests","per":"m","max":5},
		{"measure":"tokens","per":"lifetime","max":1000000000000000},{"measure":"cost","per":"h","max":0.25},{"measure":"concurrency","max":2}]`)
	id := k["keyId"].(string)
	same(t, k, object{"rateLimitOverTime": 3e9, "costLimitInUsd": 0.1, "costLimitInUsdOverTime": 1e-9, "unknownModel": "allow",
		"limits": []any{object{"measure": "requests", "per": "m", "max": 5.0}, object{"measure": "tokens", "per": "lifetime", "max": 1e15},
			object{"measure": "cost", "per": "h", "max": 0.25}, object{"measure": "concurrency", "max": 2.0}}})
	stored := r.storedKey(id)
	want := []gateway.Limit{{Measure: "requests", Per: "d", Max: 3e9}, {Measure: "cost", Per: "mo", Max: 1}, {Measure: "cost", Per: "lifetime", Max: 1e8},
		{Measure: "requests", Per: "m", Max: 5}, {Measure: "tokens", Per: "lifetime", Max: 1e15}, {Measure: "cost", Per: "h", Max: 250_000_000},
		{Measure: "concurrency", Max: 2}}
	if got := stored.AllLimits(); !slices.Equal(got, want) {
		t.Errorf("AK-71 stored limits %v\nwant %v", got, want)
	}
	same(t, r.ok("PATCH", K+"/"+id, `{"limits":null}`), object{"limits": k["limits"]})
	same(t, r.ok("PATCH", K+"/"+id, `{"limits":[],"unknownModel":""}`), object{"limits": nil, "unknownModel": nil})
}

func TestPatchKey(t *testing.T) { eachStore(t, testPatchKey) }

func testPatchKey(t *testing.T) {
	start := `"key":"a-secret-of-twenty-one","name":"old","tags":["a","b"],"costLimitInUsd":1,"costLimitInUsdOverTime":2,"costLimitInUsdUnit":"d",
		"rateLimitOverTime":3,"rateLimitUnit":"m","allowedPaths":[{"path":"/x","method":"GET"}]`
	tests := []struct {
		row, patch string
		want       object
	}{
		{"AK-33 empty", `{}`, object{"name": "old", "tags": []any{"a", "b"}, "rateLimitOverTime": 3.0}},
		{"AK-34 unchanged", `{"name":"","tags":[],"settingIds":[],"settingId":""}`, object{"name": "old", "tags": []any{"a", "b"}, "settingId": ""}},
		{"AK-35 replaced", `{"tags":["b"]}`, object{"tags": []any{"b"}}},
		{"AK-36 cleared", `{"allowedPaths":[]}`, object{"allowedPaths": []any{}}},
		{"AK-36 null", `{"allowedPaths":null}`, object{"allowedPaths": []any{object{"method": "GET", "path": "/x"}}}},
		{"AK-37 pair", `{"rateLimitOverTime":9,"rateLimitUnit":"s"}`, object{"rateLimitOverTime": 9.0, "rateLimitUnit": "s"}},
		{"AK-38 removed", `{"rateLimitOverTime":0,"rateLimitUnit":""}`, object{"rateLimitOverTime": 0.0, "rateLimitUnit": "", "costLimitInUsdOverTime": 2.0}},
		{"AK-38 removed cost", `{"costLimitInUsdOverTime":0,"costLimitInUsdUnit":""}`, object{"costLimitInUsdOverTime": 0.0, "costLimitInUsdUnit": ""}},
		{"AK-39 zero", `{"costLimitInUsd":0}`, object{"costLimitInUsd": 0.0}},
		{"AK-39 five", `{"costLimitInUsd":5}`, object{"costLimitInUsd": 5.0}},
		{"AK-40 revoke", `{"revoked":true,"revokedReason":"misuse"}`, object{"revoked": true, "revokedReason": "misuse"}},
		{"AK-41 reason alone", `{"revokedReason":"misuse"}`, object{"revoked": false, "revokedReason": ""}},
		{"AK-43 policy", `{"policyId":""}`, object{"policyId": ""}},
		{"AK-44 paths and policy", `{"allowedPaths":[{"path":"/y","method":"PUT"}],"policyId":""}`, object{"allowedPaths": []any{object{"method": "PUT", "path": "/y"}}}},
		{"AK-47 hash stays", `{"isKeyNotHashed":false}`, object{"key": hashOf("a-secret-of-twenty-one")}},
		{"hash stays", `{"isKeyNotHashed":true}`, object{"key": hashOf("a-secret-of-twenty-one"), "isKeyNotHashed": false}},
		{"own members", `{"keyId":"x","createdAt":5,"updatedAt":5,"key":"other"}`, object{"createdAt": 1.7e9, "updatedAt": 1.70000006e9, "key": hashOf("a-secret-of-twenty-one")}},
	}
	for _, tt := range tests {
		t.Run(tt.row, func(t *testing.T) {
			r := newRig(t)
			id := r.key(start)["keyId"].(string)
			r.now = r.now.Add(time.Minute)
			got := r.ok("PATCH", K+"/"+id, tt.patch)
			tt.want["updatedAt"] = 1.70000006e9
			same(t, got, tt.want)
			same(t, r.ok("GET", K+"/"+id, ""), got)
		})
	}
	t.Run("AK-41 second revocation keeps the reason, restoring empties it", func(t *testing.T) {
		r := newRig(t)
		path := K + "/" + r.key("")["keyId"].(string)
		r.ok("PATCH", path, `{"revoked":true,"revokedReason":"misuse"}`)
		same(t, r.ok("PATCH", path, `{"revoked":true}`), object{"revokedReason": "misuse"})
		same(t, r.ok("PATCH", path, `{"revoked":false,"revokedReason":"x"}`), object{"revoked": false, "revokedReason": ""})
	})
	t.Run("AK-48 unhashed becomes hashed", func(t *testing.T) {
		r := newRig(t)
		path := K + "/" + r.key(`"key":"plain","isKeyNotHashed":true`)["keyId"].(string)
		same(t, r.ok("PATCH", path, `{"isKeyNotHashed":false}`), object{"isKeyNotHashed": false, "key": hashOf("plain")})
		same(t, r.ok("GET", path, ""), object{"key": hashOf("plain")})
	})
	t.Run("other settings", func(t *testing.T) {
		r := newRig(t)
		k, other := r.key(""), r.setting()
		same(t, r.ok("PATCH", K+"/"+k["keyId"].(string), `{"settingId":"`+other+`"}`), object{"settingId": other, "settingIds": k["settingIds"]})
	})
}

func hashOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func TestPatchKeyRefusals(t *testing.T) { eachStore(t, testPatchKeyRefusals) }

func testPatchKeyRefusals(t *testing.T) {
	r := newRig(t)
	path := K + "/" + r.key(`"rateLimitOverTime":3,"rateLimitUnit":"m"`)["keyId"].(string)
	before := r.ok("GET", path, "")
	r.now = r.now.Add(time.Minute)
	tests := []struct{ row, patch, detail string }{
		{"AK-10", `{"settingId":"a","settingIds":["b"]}`, "can not be set together"},
		{"AK-11 settingId", `{"settingId":"a"}`, "not all settings are found"},
		{"AK-11 settingIds", `{"settingIds":["a"]}`, "not all settings are found"},
		{"AK-13", `{"settingIds":[""]}`, "fields [settingIds[0]] are invalid"},
		{"AK-16", `{"policyId":"p"}`, "policy is not found"},
		{"AK-21", `{"costLimitInUsdOverTime":-1,"costLimitInUsdUnit":"d","rateLimitOverTime":-1,"rateLimitUnit":"m"}`, "fields [costLimitInUsdOverTime, rateLimitOverTime] are invalid"},
		{"AK-25", `{"ttl":"1ms"}`, "fields [ttl] are invalid"},
		{"AK-32", `{"name":"` + strings.Repeat("x", 256) + `"}`, "fields [name] are invalid"},
		{"AK-37 amount alone", `{"costLimitInUsdOverTime":1}`, "cost limit unit can not be empty if cost limit over time is specified"},
		{"AK-37 unit alone", `{"rateLimitUnit":"m"}`, "rate limit over time can not be empty if rate limit unit is specified"},
		{"AK-37 amount without window", `{"rateLimitOverTime":1,"rateLimitUnit":""}`, "rate limit over time has to be 0 if rate limit unit is empty"},
		{"AK-38 zero with unit", `{"rateLimitOverTime":0,"rateLimitUnit":"m"}`, "rate limit unit has to be empty if rate limit over time is 0"},
		{"AK-17", `{"rateLimitOverTime":1,"rateLimitUnit":"mo"}`, "rate limit unit can not be identified"},
		{"limits", `{"limits":[{}]}`, "limits[0]: measure can only be"},
		{"tags", `{"tags":["a",""]}`, "fields [tags] are invalid"},
	}
	for _, tt := range tests {
		t.Run(tt.row, func(t *testing.T) {
			r.t = t
			p := r.refused(400, tt.detail, "PATCH", path, tt.patch)
			same(t, p, object{"type": "/errors/validation", "title": "key validation failed", "instance": K + "/:id"})
		})
	}
	r.t = t
	same(t, r.ok("GET", path, ""), before)
}

func TestRestoreKey(t *testing.T) { eachStore(t, testRestoreKey) }

func testRestoreKey(t *testing.T) {
	t.Run("AK-42 over the lifetime limit", func(t *testing.T) {
		r := newRig(t)
		k := r.key(`"key":"poor","costLimitInUsd":0.25`)
		path := K + "/" + k["keyId"].(string)
		r.spends(hashOf("poor"), 250_000_000)
		r.ok("PATCH", path, `{"revoked":true}`)
		p := r.refused(409, "the key has spent $0.250000000 of its lifetime limit of $0.250000000", "PATCH", path, `{"revoked":false}`)
		same(t, p, object{"type": "/errors/key-manager"})
		same(t, r.ok("PATCH", path, `{"revoked":false,"costLimitInUsd":0.5}`), object{"revoked": false})
	})
	t.Run("AK-42 past its ttl", func(t *testing.T) {
		r := newRig(t)
		path := K + "/" + r.key(`"ttl":"1h"`)["keyId"].(string)
		r.ok("PATCH", path, `{"revoked":true}`)
		r.now = r.now.Add(time.Hour)
		r.refused(409, "the key's ttl is over", "PATCH", path, `{"revoked":false}`)
		same(t, r.ok("PATCH", path, `{"revoked":false,"ttl":"2h"}`), object{"revoked": false})
	})
}

func TestDeleteKey(t *testing.T) { eachStore(t, testDeleteKey) }

func testDeleteKey(t *testing.T) {
	r := newRig(t)
	id := r.key(`"key":"again"`)["keyId"].(string)
	for _, row := range []string{"AK-67 first", "AK-67 again"} {
		r.Run(row, func(t *testing.T) {
			if w := r.call("DELETE", K+"/"+id, ""); w.Code != 200 || w.Body.Len() != 0 {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	r.Run("AK-70 gone", func(t *testing.T) {
		r.refused(404, "key is not found", "GET", K+"/"+id, "")
	})
	r.Run("AK-69 created again", func(t *testing.T) {
		if again := r.key(`"key":"again"`)["keyId"]; again == id {
			t.Error("the same id for a new key")
		}
	})
}

func TestSpend(t *testing.T) { eachStore(t, testSpend) }

func testSpend(t *testing.T) {
	r := newRig(t)
	id := r.key(`"key":"spender"`)["keyId"].(string)
	path := "/api/reporting/keys/" + id
	same(t, r.ok("GET", path, ""), object{"id": id, "costInMicroDollars": 0.0})
	r.spends(hashOf("spender"), 2_000_001_999)
	r.reserves(hashOf("spender"), 1_000_000_000, r.now.Add(time.Second)) // nothing is heard of it again
	r.reserves(hashOf("spender"), 2_000_000_000, r.now.Add(time.Minute)) // still running
	r.now = r.now.Add(time.Second)
	same(t, r.ok("GET", path, ""), object{"costInMicroDollars": 3_000_001.0})
}
