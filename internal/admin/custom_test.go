package admin_test

import (
	"fmt"
	"strings"
	"testing"

	"tollgate/internal/admin"
)

// routeConfig is a route config with all that it must have.
func routeConfig(path, more string) string {
	return fmt.Sprintf(`{"path":%q,"target_url":"https://up.example/x?v=1","model_location":"model",`+
		`"request_prompt_location":"p","response_completion_location":"c"%s}`, path, more)
}

func (r *rig) custom(name string, configs ...string) object {
	r.t.Helper()
	return r.ok("POST", CP, `{"provider":"`+name+`","authentication_param":"ApiKey","route_configs":[`+strings.Join(configs, ",")+`]}`)
}

func TestCreateCustomProvider(t *testing.T) {
	onStores(t, func(t *testing.T, r *rig) {
		p := r.custom("BOT", routeConfig("/a", ""), routeConfig("/b", ""))
		r.Run("AC-02 lower case", func(t *testing.T) {
			same(t, p, object{"provider": "bot", "authentication_param": "apikey"})
		})
		r.Run("AC-16 get", func(t *testing.T) {
			same(t, r.ok("GET", CP+"/"+p["id"].(string), ""), p)
		})
		r.Run("AC-03 name in any case", func(t *testing.T) {
			for _, name := range []string{"bot", "BOT", "Bot"} {
				r.refused(409, "provider must be unique", "POST", CP, `{"provider":"`+name+`","route_configs":[`+routeConfig("/a", "")+`]}`)
			}
		})
		r.Run("AC-04 AC-05 reserved names", func(t *testing.T) {
			for _, name := range []string{"openai", "anthropic", "azure", "deepinfra", "vllm", "OpenAI", "bedrock", "BEDROCK", "gemini"} {
				r.refused(400, "provider cannot be named", "POST", CP, `{"provider":"`+name+`","route_configs":[`+routeConfig("/a", "")+`]}`)
			}
		})
		r.Run("AC-12 list", func(t *testing.T) {
			if l := r.list(CP); len(l) != 1 {
				t.Errorf("AC-12: %d providers", len(l))
			}
		})
	})
}

func TestCustomProviderRefusals(t *testing.T) { eachStore(t, testCustomProviderRefusals) }

func testCustomProviderRefusals(t *testing.T) {
	r := newRig(t)
	id := r.custom("bot", routeConfig("/a", ""))["id"].(string)
	create := func(members string) string { return `{"provider":"x",` + members + `}` }
	configs := func(list string) string { return `"route_configs":[` + list + `]` }
	target := func(u string) string {
		return configs(strings.Replace(routeConfig("/n", ""), "https://up.example/x?v=1", u, 1))
	}
	for _, tt := range []struct{ row, members, detail string }{
		{"AC-06", configs(`{}`), "empty fields in provider: route_configs.[0].path,route_configs.[0].target_url,route_configs.[0].model_location," +
			"route_configs.[0].request_prompt_location,route_configs.[0].response_completion_location"},
		{"AC-07", configs(routeConfig("/n", `,"stream_location":"s"`)),
			"empty fields in provider: route_configs.[0].stream_end_word,route_configs.[0].stream_response_completion_location"},
		{"AC-08 AC-14 slash", configs(routeConfig("n", "")), "route_configs.[0].path has to begin with a slash"},
		{"AC-08 AC-14 white space", configs(routeConfig("/n n", "")), "route_configs.[0].path cannot have white space"},
		{"AC-09", configs(routeConfig("/n", "") + "," + routeConfig("/n", "")), "route_configs.[1].path is there twice: /n"},
		{"AC-10", configs("null"), "route_configs.[0] can not be null"},
		{"AC-14 param", configs(routeConfig("/n", "")) + `,"authentication_param":"a b"`, "authentication_param cannot have white space"},
		{"AC-11 no URL", target("not a url"), "target_url has to begin with http"},
		{"AC-11 scheme", target("ftp://h/"), "target_url has to begin with http:// or https://"},
		{"AC-11 credentials", target("https://u:p@h/"), "target_url can not hold credentials"},
		{"AC-11 metadata", target("http://169.254.169.254/latest"), "target_url can not be a link-local address"},
		{"AC-11 loopback", target("http://127.0.0.1:9101/v1"), "target_url can not be an address of this machine"},
		{"AC-11 mapped", target("http://[::ffff:127.0.0.1]/"), "target_url can not be an address of this machine"},
		{"AC-11 localhost", target("http://LOCALHOST./"), "target_url can not be an address of this machine"},
		{"AC-11 private", target("http://10.1.2.3/"), "target_url can not be an address of this machine or of a private"},
		{"AC-11 private v6", target("http://[fd00::1]/"), "target_url can not be an address of this machine or of a private"},
		{"AC-11 number", target("http://2130706433/"), "target_url can not be an address of this machine"},
		{"AC-11 hexadecimal", target("http://0x7f000001/"), "target_url can not be an address of this machine"},
		{"AC-11 carrier", target("http://100.64.0.1/"), "target_url can not be an address of this machine"},
	} {
		t.Run(tt.row, func(t *testing.T) {
			r.t = t
			same(t, r.refused(400, tt.detail, "POST", CP, create(tt.members)), object{"type": "/errors/validation", "instance": "/api/providers"})
			same(t, r.refused(400, tt.detail, "PATCH", CP+"/"+id, `{`+tt.members+`}`), object{"instance": "/api/providers/:id"})
		})
	}
	r.t = t
	r.Run("AC-06 nothing", func(t *testing.T) {
		r.refused(400, "empty fields in provider: provider,route_configs", "POST", CP, `{}`)
	})
	for _, name := range []string{"a b", "a/b", "a?", "..", strings.Repeat("x", 256)} {
		r.refused(400, "provider ", "POST", CP, `{"provider":"`+name+`",`+configs(routeConfig("/n", ""))+`}`)
	}
}

func TestPatchCustomProvider(t *testing.T) {
	onStores(t, func(t *testing.T, r *rig) {
		id := r.custom("bot", routeConfig("/c", ""), routeConfig("/a", ""), routeConfig("/b", ""))["id"].(string)
		path := CP + "/" + id
		paths := func(p object) (s string) {
			for _, c := range p["route_configs"].([]any) {
				s += c.(object)["path"].(string)
			}
			return s
		}
		p := r.ok("PATCH", path, `{"provider":"other","route_configs":[{"path":"/a","model_location":"m2"},`+routeConfig("/0", "")+`]}`) // AC-13
		same(t, p, object{"provider": "bot"})
		same(t, p["route_configs"].([]any)[1].(object), object{"model_location": "m2", "request_prompt_location": "p"})
		r.Run("AC-15 order", func(t *testing.T) {
			if got := paths(p); got != "/c/a/b/0" {
				t.Errorf("AC-15: order %s", got)
			}
		})
		p = r.ok("PATCH", path, `{"removed_paths":["/a","/0"],"authentication_param":"Token"}`) // AC-16
		same(t, p, object{"authentication_param": "token"})
		if got := paths(p); got != "/c/b" {
			t.Errorf("AC-16: %s", got)
		}
		same(t, r.ok("PATCH", path, `{"authentication_param":"","route_configs":[]}`), object{"authentication_param": ""})
		r.refused(400, "can not be left empty", "PATCH", path, `{"removed_paths":["/c","/b"]}`)
		r.refused(400, "empty fields in provider: route_configs.[0].stream_end_word", "PATCH", path, `{"route_configs":[{"path":"/c","stream_location":"s"}]}`)
		r.Run("AC-17 unknown", func(t *testing.T) {
			same(t, r.refused(404, "custom provider is not found", "PATCH", CP+"/nosuch", `{"route_configs":[null]}`), object{"type": "/errors/not-found"})
		})
	})
}

func TestCustomProviderSettings(t *testing.T) {
	onStores(t, func(t *testing.T, r *rig) {
		id := r.custom("bot", routeConfig("/a", ""))["id"].(string)
		r.Run("AC-18 needs its parameter", func(t *testing.T) {
			r.refused(400, "provider bot is missing value for field apikey", "PUT", S, `{"provider":"bot","setting":{"other":"x"}}`)
		})
		r.refused(400, "provider BOT is not supported", "PUT", S, `{"provider":"BOT","setting":{"apikey":"x"}}`)
		s := r.ok("PUT", S, `{"provider":"bot","setting":{"apikey":"x"}}`)["id"].(string)
		key := r.ok("PUT", K, `{"name":"n","settingId":"`+s+`"}`)["keyId"].(string)
		before := r.call("GET", K+"/"+key, "").Header().Get("ETag")
		r.ok("PATCH", CP+"/"+id, `{"route_configs":[`+routeConfig("/b", "")+`]}`)
		if after := r.call("GET", K+"/"+key, "").Header().Get("ETag"); after == before {
			t.Errorf("the key kept its version %s", after)
		}
		r.refused(409, "the custom provider is used by the provider settings "+s, "DELETE", CP+"/"+id, "")
		r.call("DELETE", K+"/"+key, "")
		r.call("DELETE", S+"/"+s, "")
		r.Run("AC-16 delete", func(t *testing.T) {
			if w := r.call("DELETE", CP+"/"+id, ""); w.Code != 200 {
				t.Errorf("AC-16: %d %s", w.Code, w.Body)
			}
		})
		r.refused(404, "custom provider is not found", "GET", CP+"/"+id, "")
		r.custom("bot", routeConfig("/a", "")) // the name is free again
	})
}

func TestAllowPrivateTargets(t *testing.T) { eachStore(t, testAllowPrivateTargets) }

func testAllowPrivateTargets(t *testing.T) {
	r := newRigWith(t, func(c *admin.Config) { c.AllowPrivate = true })
	private := strings.Replace(routeConfig("/a", ""), "https://up.example/x?v=1", "http://127.0.0.1:9101/", 1)
	r.custom("bot", private)
	linkLocal := strings.Replace(routeConfig("/a", ""), "https://up.example/x?v=1", "http://[fe80::1]/", 1)
	r.refused(400, "link-local", "POST", CP, `{"provider":"y","route_configs":[`+linkLocal+`]}`)
}
