package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"tollgate/internal/gateway"
)

// route is one call of the API. Its handler returns what to answer, nil for an
// empty body, or an error; serve.go writes both. With an error it may return a reply
// whose change tells what was written all the same.
type route struct {
	method, pattern string
	handle          func(*api, *http.Request) (any, error)
	words           wording
}

// wording is how a route names its failures. Clients match these texts, so they
// are the peer's, its slips included.
type wording struct {
	invalid  label  // 400
	missing  label  // 404
	failed   label  // all others
	instance string // instead of the pattern
}

// label is the type and the title of an error body.
type label struct{ Type, Title string }

const (
	openapiPath  = "/api/openapi.json"
	keysPath     = "/api/key-management/keys"
	keyPath      = "/api/key-management/keys/:id"
	rotatePath   = keyPath + "/rotate"
	settingsPath = "/api/provider-settings"
	settingPath  = "/api/provider-settings/:id"
)

var (
	keyInvalid      = label{"/errors/validation", "key validation failed"}
	settingInvalid  = label{"/errors/validation", "provider setting validation failed"}
	settingNotFound = label{"/errors/not-found", "provider setting is not found"}
)

var routes = []route{
	{"GET", "/api/health", (*api).health, wording{}},
	{"GET", openapiPath, (*api).openapi, wording{}},
	{"GET", "/api/ready", (*api).ready, wording{
		failed: label{"/errors/not-ready", "not ready"}}},

	{"PUT", keysPath, (*api).createKey, wording{
		invalid: keyInvalid,
		failed:  label{"/errors/key-manager", "key creation error"}}},
	{"GET", keysPath, (*api).listKeys, wording{
		failed: label{"/errors/getting-keys", "getting keys errored out"}}},
	{"POST", "/api/v2/key-management/keys", (*api).searchKeys, wording{
		invalid:  label{"/errors/validation", "get keys request validation failed"},
		failed:   label{"/errors/key-manager", "getting keys errored out"},
		instance: keysPath}},
	{"GET", keyPath, (*api).getKey, wording{
		missing: label{"/errors/not-found", "key is not found"},
		failed:  label{"/errors/getting-keys", "getting keys errored out"}}},
	{"PATCH", keyPath, (*api).patchKey, wording{
		invalid: keyInvalid,
		missing: label{"/errors/not-found", "update key failed"},
		failed:  label{"/errors/key-manager", "update key error"}}},
	{"DELETE", keyPath, (*api).deleteKey, wording{
		failed: label{"/errors/key-manager", "key deletion error"}}},
	{"POST", rotatePath, (*api).rotateKey, wording{
		invalid: keyInvalid,
		missing: label{"/errors/not-found", "key is not found"},
		failed:  label{"/errors/key-manager", "key rotation error"}}},

	{"PUT", settingsPath, (*api).createSetting, wording{
		invalid: settingInvalid,
		failed:  label{"/errors/provider-settings-manager", "provider setting creation failed"}}},
	{"GET", settingsPath, (*api).listSettings, wording{
		invalid: settingInvalid,
		missing: settingNotFound,
		failed:  label{"/errors/provider-settings-manager", "get provider settings failed"}}},
	{"PATCH", settingPath, (*api).patchSetting, wording{
		invalid: settingInvalid,
		missing: settingNotFound,
		failed:  label{"/errors/provider-settings-manager", "provider setting update failed"}}},
	{"DELETE", settingPath, (*api).deleteSetting, wording{
		failed: label{"/errors/provider-settings-manager", "provider setting deletion failed"}}},

	{"GET", "/api/events", (*api).listEvents, wording{
		failed: label{"/errors/event-manager", "getting events error"}}},
	{"GET", "/api/reporting/keys/:id", (*api).keySpend, wording{
		missing: label{"/errors/key-not-found", "key not found error"},
		failed:  label{"/errors/key-reporting-manager", "key reporting error"}}},
}

// unknownPath answers what is in no route. Its instance is the path asked for,
// for want of a pattern.
func unknownPath(path string) *route {
	return &route{
		pattern: clip(path),
		handle: func(_ *api, r *http.Request) (any, error) {
			return nil, &gateway.Error{Kind: gateway.NotFound,
				Message: fmt.Sprintf("there is no %s %s", clip(r.Method), clip(r.URL.Path))}
		},
		words: wording{missing: label{"/errors/not-found", "path is not found"}},
	}
}

// find is the route of a request and the id in its path, which is escaped. A
// trailing slash does not count.
func find(method, path string) (*route, string) {
	if path != "/" {
		path = strings.TrimSuffix(path, "/")
	}
	for _, table := range tables {
		for i := range table {
			rt := &table[i]
			if id, ok := matches(rt.pattern, path); ok && rt.method == method {
				return rt, id
			}
		}
	}
	if plain, err := url.PathUnescape(path); err == nil {
		path = plain
	}
	return unknownPath(path), ""
}

// tables are all routes, by what they are about.
var tables = [][]route{routes, reportRoutes, priceRoutes, recordRoutes}

// matches compares a path with a pattern, which has one ":name" segment at most,
// and returns what stands for it.
func matches(pattern, path string) (id string, ok bool) {
	before, after, hasID := strings.Cut(pattern, ":")
	if !hasID {
		return "", path == pattern
	}
	_, after, more := strings.Cut(after, "/")
	id, ok = strings.CutPrefix(path, before)
	if ok && more {
		id, ok = strings.CutSuffix(id, "/"+after)
	}
	if !ok || strings.Contains(id, "/") {
		return "", false
	}
	id, err := url.PathUnescape(id)
	return id, err == nil && possibleID(id)
}

// possibleID tells texts that may be an id from those that the store need not,
// and because of its own bounds could not, be asked for.
func possibleID(id string) bool { return id != "" && len(id) <= maxText }

// clip shortens a caller's text that is quoted in an error.
func clip(s string) string {
	const most = 100
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
