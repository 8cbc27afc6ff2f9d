package admin_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/internal/gateway"
)

func TestCreateSetting(t *testing.T) { eachStore(t, testCreateSetting) }

func testCreateSetting(t *testing.T) {
	r := newRig(t)
	tests := []struct {
		provider, params string
		shown            any
	}{
		{"openai", `"apikey":"SECRET-1"`, nil},
		{"anthropic", `"apikey":"SECRET-2","url":"https://gw.example/anthropic/"`, object{"url": "https://gw.example/anthropic/"}},
		{"deepinfra", `"apikey":"SECRET-3"`, nil},
		{"azure", `"apikey":"SECRET-4","resourceName":"my-res","apiVersion":"2024-10-21"`, object{"resourceName": "my-res", "apiVersion": "2024-10-21"}},
		{"vllm", `"url":"http://10.1.2.3:8000","apikey":"SECRET-5"`, object{"url": "http://10.1.2.3:8000"}},
		{"bedrock", `"awsAccessKeyId":"SECRET-6","awsSecretAccessKey":"SECRET-7","awsRegion":"eu-west-1"`, object{"awsRegion": "eu-west-1"}},
		{"bedrock", `"apikey":"SECRET-10","awsRegion":"eu-west-1"`, object{"awsRegion": "eu-west-1"}},
		{"bedrock", `"awsAccessKeyId":"SECRET-11","awsSecretAccessKey":"SECRET-12","awsSessionToken":"SECRET-13","awsRegion":"eu-west-1"`, object{"awsRegion": "eu-west-1"}},
		{"bedrock", `"awsRoleArn":"arn:aws:iam::123456789012:role/path/bedrock","awsExternalId":"SECRET-14","awsRegion":"eu-west-1"`,
			object{"awsRegion": "eu-west-1", "awsRoleArn": "arn:aws:iam::123456789012:role/path/bedrock"}},
		{"openai", `"apikey":"SECRET-8","extra":"SECRET-9","note":""`, nil},
	}
	for _, tt := range tests {
		t.Run("AS-01 AS-06 AS-07 AS-08 "+tt.provider, func(t *testing.T) {
			body := fmt.Sprintf(`{"provider":%q,"setting":{%s}}`, tt.provider, tt.params)
			w := r.call("PUT", S, body)
			if w.Code != 200 || strings.Contains(w.Body.String(), "SECRET") {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			s := unpack[object](w.Body.Bytes())
			same(t, s, object{"provider": tt.provider, "setting": tt.shown, "name": "", "allowedModels": []any{}, "costMap": nil})
			for _, path := range []string{S + "?ids=" + s["id"].(string), S + "?all=true"} {
				if w := r.call("GET", path, ""); w.Code != 200 || strings.Contains(w.Body.String(), "SECRET") {
					t.Errorf("GET %s: %d %s", path, w.Code, w.Body)
				}
			}
		})
	}
	t.Run("AS-25 nothing in clear at rest", func(t *testing.T) {
		for _, s := range r.storedSettings() {
			id := s.ID
			if record := pack(s); bytes.Contains(record, []byte("SECRET")) {
				t.Errorf("setting %s: %s", id, record)
			}
			plain, err := r.box.Open(t.Context(), s.Sealed, map[string]string{"setting": id, "provider": s.Provider})
			if err != nil || !bytes.Contains(plain, []byte("SECRET")) {
				t.Errorf("setting %s opens to %q, %v", id, plain, err)
			}
		}
	})
}

func TestCreateSettingRefusals(t *testing.T) { eachStore(t, testCreateSettingRefusals) }

func testCreateSettingRefusals(t *testing.T) {
	r := newRig(t)
	withURL := func(url string) string {
		return fmt.Sprintf(`{"provider":"openai","setting":{"apikey":"k","url":%q}}`, url)
	}
	tests := []struct{ row, body, detail string }{
		{"AS-02 azure", `{"provider":"azure"}`, "provider azure is missing fields resourceName,apikey"},
		{"AS-02 bedrock", `{"provider":"bedrock","setting":{"awsRegion":"eu-west-1","awsAccessKeyId":""}}`, "provider bedrock is missing fields awsAccessKeyId,awsSecretAccessKey"},
		{"AS-02 bedrock, half a pair", `{"provider":"bedrock","setting":{"apikey":"k","awsRegion":"eu-west-1","awsSecretAccessKey":"s"}}`, "provider bedrock is missing fields awsAccessKeyId"},
		{"AS-02 bedrock, no region", `{"provider":"bedrock","setting":{"awsRoleArn":"default"}}`, "provider bedrock is missing fields awsRegion"},
		{"role", `{"provider":"bedrock","setting":{"awsRegion":"eu-west-1","awsRoleArn":"arn:aws:iam::1:user/x"}}`, "setting.awsRoleArn has to be the ARN of an IAM role"},
		{"token", `{"provider":"bedrock","setting":{"awsRegion":"eu-west-1","awsAccessKeyId":"a","awsSecretAccessKey":"b","awsSessionToken":"t\n"}}`, "setting.awsSessionToken has a control character"},
		{"AS-03 empty", `{"provider":""}`, "provider field cannot be empty"},
		{"AS-03 case", `{"provider":"OpenAI","setting":{"apikey":"k"}}`, "provider OpenAI is not supported"},
		{"AS-13 negative", `{"provider":"openai","setting":{"apikey":"k"},"costMap":{"completionCostPerModel":{"m":-0.1}}}`, "costMap.completionCostPerModel: the price of m is negative"},
		{"AS-16 empty model", `{"provider":"openai","setting":{"apikey":"k"},"allowedModels":["a",""]}`, "allowedModels[1] is empty"},
		{"AS-28 no URL", withURL("not a url"), "setting.url is not a URL"},
		{"AS-28 relative", withURL("/v1"), "setting.url has to begin with http:// or https://"},
		{"AS-28 scheme", withURL("ftp://h/"), "setting.url has to begin with"},
		{"AS-28 opaque", withURL("http:h"), "setting.url has no host"},
		{"AS-28 no host", withURL("https://:80/"), "setting.url has no host"},
		{"AS-28 credentials", withURL("https://u:p@h/"), "setting.url can not hold credentials"},
		{"AS-28 query", withURL("https://h/?a=b"), "setting.url can not have a query"},
		{"AS-28 empty query", withURL("https://h/?"), "setting.url can not have a query"},
		{"AS-28 fragment", withURL("https://h/#x"), "setting.url can not have a query or a fragment"},
		{"AS-28 port", withURL("https://h:99999/"), "setting.url has no valid port"},
		{"AS-28 metadata", withURL("http://169.254.169.254/latest"), "setting.url can not be a link-local address"},
		{"AS-28 metadata mapped", withURL("http://[::ffff:169.254.169.254]/"), "setting.url can not be a link-local address"},
		{"AS-28 link-local", withURL("http://[fe80::1%25eth0]/"), "setting.url can not be a link-local address"},
		{"AS-28 metadata v6", withURL("http://[fd00:ec2::254]/"), "setting.url can not be a link-local address"},
		{"AS-28 white space", withURL("https://h/a b"), "setting.url is not a URL"},
		{"resource name", `{"provider":"azure","setting":{"apikey":"k","resourceName":"evil.example/x"}}`, "setting.resourceName can have letters"},
		{"region", `{"provider":"bedrock","setting":{"awsAccessKeyId":"a","awsSecretAccessKey":"b","awsRegion":"eu@evil"}}`, "setting.awsRegion can have letters"},
		{"line break", `{"provider":"openai","setting":{"apikey":"k\n"}}`, "setting.apikey has a control character"},
		{"secrets too large", `{"provider":"openai","setting":{"apikey":"` + strings.Repeat("x", 5000) + `"}}`, "too large: at most 4096 bytes"},
		{"long name", `{"provider":"openai","setting":{"apikey":"k"},"name":"` + strings.Repeat("x", 256) + `"}`, "name is longer than 255"},
	}
	for _, tt := range tests {
		t.Run(tt.row, func(t *testing.T) {
			r.t = t
			p := r.refused(400, tt.detail, "PUT", S, tt.body)
			same(t, p, object{"type": "/errors/validation", "title": "provider setting validation failed"})
		})
	}
	if n := len(r.storedSettings()); n != 0 {
		t.Errorf("%d settings stored", n)
	}
}

func TestCostMap(t *testing.T) { eachStore(t, testCostMap) }

func testCostMap(t *testing.T) {
	tests := []struct {
		row, given, shown string // shown is given, if empty
		prompt            int64  // nano-dollars per million tokens of model m
	}{
		{"AS-12 parts absent", `{"promptCostPerModel":{"m":0.05}}`, `{"promptCostPerModel":{"m":0.05},"completionCostPerModel":null,"embeddingsCostPerModel":null}`, 50_000_000_000},
		{"AS-12 empty", `{}`, `{"promptCostPerModel":null,"completionCostPerModel":null,"embeddingsCostPerModel":null}`, 0},
		{"AS-12 empty part", `{"promptCostPerModel":{},"completionCostPerModel":null,"embeddingsCostPerModel":null}`, "", 0},
		{"exact", `{"promptCostPerModel":{"m":0.0000015},"completionCostPerModel":null,"embeddingsCostPerModel":null}`, "", 1_500_000},
		{"exponent", `{"promptCostPerModel":{"m":1.5e-7},"completionCostPerModel":null,"embeddingsCostPerModel":null}`, "", 150_000},
		{"finest", `{"promptCostPerModel":{"m":1e-12},"completionCostPerModel":null,"embeddingsCostPerModel":null}`, "", 1},
		{"twelve places", `{"promptCostPerModel":{"m":0.123456789012},"completionCostPerModel":null,"embeddingsCostPerModel":null}`, "", 123_456_789_012},
		{"free", `{"promptCostPerModel":{"m":0},"completionCostPerModel":null,"embeddingsCostPerModel":null}`, "", 0},
		{"dearest", `{"promptCostPerModel":{"m":1000000},"completionCostPerModel":null,"embeddingsCostPerModel":null}`, "", 1_000_000_000_000_000_000},
	}
	for _, tt := range tests {
		t.Run(tt.row, func(t *testing.T) {
			r := newRig(t)
			id := r.ok("PUT", S, `{"provider":"openai","setting":{"apikey":"k"},"costMap":`+tt.given+`}`)["id"].(string)
			shown := tt.shown
			if shown == "" {
				shown = tt.given
			}
			w := r.call("GET", S+"?ids="+id, "")
			if !strings.Contains(w.Body.String(), `"costMap":`+shown) {
				t.Errorf("shown %s\nwant %s", w.Body, shown)
			}
			if got := r.storedSetting(id).CostMap.Prompt["m"]; got != tt.prompt {
				t.Errorf("stored %d, want %d", got, tt.prompt)
			}
		})
	}
	for _, p := range []string{"1e-13", "1000000.1", "1e400", "1e99999999999", "-1e99"} {
		t.Run("refused "+p, func(t *testing.T) {
			newRig(t).refused(400, "expected a price in dollars", "PUT", S, `{"provider":"openai","setting":{"apikey":"k"},"costMap":{"promptCostPerModel":{"m":`+p+`}}}`)
		})
	}
}

func TestListSettings(t *testing.T) { eachStore(t, testListSettings) }

func testListSettings(t *testing.T) {
	r := newRig(t)
	var ids []string
	for i, s := range []string{
		`"provider":"openai","name":"Main","setting":{"apikey":"a"}`,
		`"provider":"anthropic","name":"main 2","setting":{"apikey":"a"}`,
		`"provider":"openai","name":"spare","setting":{"apikey":"a"}`,
	} {
		r.now = r.now.Add(time.Duration(i) * time.Second)
		ids = append(ids, r.ok("PUT", S, "{"+s+"}")["id"].(string))
	}
	tests := []struct{ row, query, want string }{
		{"AG-16 AS-09 order and repeats", "?ids=#1&ids=#0&ids=#1", "1 0 1"},
		{"AS-09 without ids", "", ""},
		{"AS-11 all", "?all=true", "2 1 0"},
		{"AS-11 provider", "?provider=openai", "2 0"},
		{"AS-11 name", "?name=MAIN", "1 0"},
		{"AS-11 both", "?all=true&provider=openai&name=main", "0"},
		{"AS-11 page", "?all=true&limit=2&offset=1", "1 0"},
		{"AS-11 all=false", "?all=false", ""},
	}
	for _, tt := range tests {
		t.Run(tt.row, func(t *testing.T) {
			query := tt.query
			for i, id := range ids {
				query = strings.ReplaceAll(query, fmt.Sprint("#", i), id)
			}
			var got []string
			for _, s := range r.list(S + query) {
				for i, id := range ids {
					if s["id"] == id {
						got = append(got, fmt.Sprint(i))
					}
				}
			}
			if g := strings.Join(got, " "); g != tt.want {
				t.Errorf("got %q, want %q", g, tt.want)
			}
		})
	}
	r.Run("AS-10 unknown", func(t *testing.T) {
		r.refused(404, "provider setting is not found", "GET", S+"?ids="+ids[0]+"&ids=nosuch", "")
	})
	r.refused(404, "provider setting is not found", "GET", S+"?ids=", "")
	r.refused(404, "provider setting is not found", "GET", S+"?ids="+ids[0]+","+ids[1], "")
	r.refused(400, "limit has to be a whole number", "GET", S+"?all=true&limit=x", "")
	r.refused(400, "offset has to be a whole number", "GET", S+"?all=true&offset=-1", "")
}

// opened is the secret parameters of a stored setting.
func (r *rig) opened(id string) object {
	r.t.Helper()
	s := r.storedSetting(id)
	plain, err := r.box.Open(r.t.Context(), s.Sealed, s.SealContext())
	if err != nil {
		r.t.Fatal(err)
	}
	return unpack[object](plain)
}

func TestPatchSetting(t *testing.T) {
	testPatchSetting(t) // on a store that loses every race once
	eachStore(t, testPatchSetting)
}

func testPatchSetting(t *testing.T) {
	const azure = `{"provider":"azure","name":"old","setting":{"apikey":"k1","resourceName":"res"},"allowedModels":["a"],"costMap":{"promptCostPerModel":{"m":1}}}`
	prices := object{"promptCostPerModel": object{"m": 1.0}, "completionCostPerModel": nil, "embeddingsCostPerModel": nil}
	tests := []struct {
		row, patch  string
		want        object
		secretAfter object
	}{
		{"empty", `{}`, object{"name": "old", "allowedModels": []any{"a"}, "costMap": prices}, nil},
		{"AS-14 name", `{"name":"new"}`, object{"name": "new"}, nil},
		{"AS-14 emptied", `{"name":""}`, object{"name": ""}, nil},
		{"AS-15 replaced", `{"allowedModels":["b","c"]}`, object{"allowedModels": []any{"b", "c"}}, nil},
		{"AS-15 cleared", `{"allowedModels":[]}`, object{"allowedModels": []any{}}, nil},
		{"AS-15 null", `{"allowedModels":null}`, object{"allowedModels": []any{"a"}}, nil},
		{"AS-16 odd names", `{"allowedModels":["a,b","{","\""]}`, object{"allowedModels": []any{"a,b", "{", `"`}}, nil},
		{"AS-17 replaced", `{"costMap":{"completionCostPerModel":{"x":2}}}`, object{"costMap": object{"promptCostPerModel": nil, "completionCostPerModel": object{"x": 2.0}, "embeddingsCostPerModel": nil}}, nil},
		{"AS-17 null", `{"costMap":null}`, object{"costMap": prices}, nil},
		{"AS-18 merged", `{"setting":{"extra":"e"}}`, object{"setting": object{"resourceName": "res"}}, object{"apikey": "k1", "extra": "e"}},
		{"AS-19 apikey only", `{"setting":{"apikey":"k2"}}`, object{"setting": object{"resourceName": "res"}}, object{"apikey": "k2"}},
		{"AS-19 resourceName only", `{"setting":{"resourceName":"res2"}}`, object{"setting": object{"resourceName": "res2"}}, object{"apikey": "k1"}},
		{"no setting", `{"setting":{}}`, object{"setting": object{"resourceName": "res"}}, object{"apikey": "k1"}},
		{"AS-21 provider", `{"provider":"openai"}`, object{"provider": "azure"}, nil},
		{"url added", `{"setting":{"url":"https://h/x"}}`, object{"setting": object{"resourceName": "res", "url": "https://h/x"}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.row, func(t *testing.T) {
			r := newRig(t)
			r.race()
			id := r.ok("PUT", S, azure)["id"].(string)
			r.now = r.now.Add(time.Minute)
			tt.want["createdAt"], tt.want["updatedAt"] = 1.7e9, 1.70000006e9
			same(t, r.ok("PATCH", S+"/"+id, tt.patch), tt.want)
			same(t, r.list(S + "?ids=" + id)[0], tt.want)
			if tt.secretAfter != nil && fmt.Sprint(r.opened(id)) != fmt.Sprint(tt.secretAfter) {
				t.Errorf("secrets %v, want %v", r.opened(id), tt.secretAfter)
			}
		})
	}
	t.Run("AS-20 refused", func(t *testing.T) {
		r := newRig(t)
		id := r.ok("PUT", S, azure)["id"].(string)
		before := string(pack(r.storedSetting(id)))
		r.refused(400, "provider azure is missing fields resourceName,apikey", "PATCH", S+"/"+id, `{"name":"x","setting":{"apikey":"","resourceName":""}}`)
		r.refused(400, "allowedModels[0] is empty", "PATCH", S+"/"+id, `{"setting":{"apikey":"k3"},"allowedModels":[""]}`)
		r.refused(400, "setting.url is not a URL", "PATCH", S+"/"+id, `{"setting":{"url":"a b"}}`)
		r.Run("AS-22 unknown", func(t *testing.T) {
			r.refused(404, "provider setting is not found", "PATCH", S+"/nosuch", `{"allowedModels":[""]}`)
		})
		if got := string(pack(r.storedSetting(id))); got != before {
			t.Errorf("changed to %s", got)
		}
	})
	t.Run("an empty optional parameter is removed", func(t *testing.T) {
		r := newRig(t)
		id := r.ok("PUT", S, `{"provider":"vllm","setting":{"url":"http://h","apikey":"k"}}`)["id"].(string)
		r.ok("PATCH", S+"/"+id, `{"setting":{"apikey":""}}`)
		if s := r.storedSetting(id); s.Sealed != nil || s.Params["url"] != "http://h" {
			t.Errorf("stored %+v", s)
		}
	})
	t.Run("two parameters at once are both kept", func(t *testing.T) {
		r := newRig(t)
		id := r.ok("PUT", S, azure)["id"].(string)
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() { r.call("PATCH", S+"/"+id, fmt.Sprintf(`{"setting":{"p%d":"v"}}`, i)) })
		}
		wg.Wait()
		if got := r.opened(id); len(got) != 21 {
			t.Errorf("%d secret parameters, want 21: %v", len(got), got)
		}
	})
}

func TestBoxFailure(t *testing.T) { eachStore(t, testBoxFailure) }

func testBoxFailure(t *testing.T) {
	t.Run("AS-26", func(t *testing.T) {
		r := newRig(t)
		id := r.setting()
		before := string(pack(r.storedSetting(id)))
		r.box.broken = true
		for _, call := range [][2]string{{"PUT " + S, `{"provider":"openai","setting":{"apikey":"k"}}`},
			{"PATCH " + S + "/" + id, `{"name":"x","setting":{"apikey":"k"}}`}} {
			method, path, _ := strings.Cut(call[0], " ")
			p := r.refused(503, "the service that encrypts secrets does not answer", method, path, call[1])
			if strings.Contains(fmt.Sprint(p), "10.0.0.1") {
				t.Errorf("tells internals: %v", p)
			}
		}
		if len(r.storedSettings()) != 1 || string(pack(r.storedSetting(id))) != before {
			t.Error("something was stored")
		}
		r.ok("PATCH", S+"/"+id, `{"name":"needs no box"}`)
	})
	t.Run("a ciphertext of another setting does not open", func(t *testing.T) {
		r := newRig(t)
		one, two := r.setting(), r.setting()
		sealed := r.storedSetting(two).Sealed
		_, err := r.given.UpdateSetting(t.Context(), one, func(s *gateway.Setting) error { s.Sealed = sealed; return nil })
		if err != nil {
			t.Fatal(err)
		}
		r.refused(503, "", "PATCH", S+"/"+one, `{"setting":{"extra":"x"}}`)
	})
}

func TestDeleteSetting(t *testing.T) { eachStore(t, testDeleteSetting) }

func testDeleteSetting(t *testing.T) {
	t.Run("AS-27", func(t *testing.T) {
		r := newRig(t)
		used, spare := r.setting(), r.setting()
		key := r.ok("PUT", K, `{"name":"n","settingIds":["`+used+`"]}`)["keyId"].(string)
		p := r.refused(409, "the setting is used by the keys "+key, "DELETE", S+"/"+used, "")
		same(t, p, object{"type": "/errors/provider-settings-manager", "instance": S + "/:id"})
		for range 2 {
			if w := r.call("DELETE", S+"/"+spare, ""); w.Code != 200 || w.Body.Len() != 0 {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		}
		r.call("DELETE", K+"/"+key, "")
		if w := r.call("DELETE", S+"/"+used, ""); w.Code != 200 {
			t.Errorf("no longer used: %d %s", w.Code, w.Body)
		}
		r.refused(404, "", "GET", S+"?ids="+used, "")
	})
	t.Run("many keys", func(t *testing.T) {
		r := newRig(t)
		id := r.setting()
		for range 25 {
			r.ok("PUT", K, `{"name":"n","settingId":"`+id+`"}`)
		}
		r.refused(409, " and 5 more", "DELETE", S+"/"+id, "")
	})
}
