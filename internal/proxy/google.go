package proxy

import (
	"net/http"
	"net/url"
	"strings"
)

// inGoogleForm is the path of a call in which Gemini's two forms are told apart. Both
// list models at the same place; who calls as Google's SDKs do means theirs.
func inGoogleForm(r *http.Request, path string) string {
	const models = "/api/providers/gemini/v1/models"
	rest, ok := strings.CutPrefix(path, models)
	if !ok || r.Method != http.MethodGet || r.Header.Get("X-Goog-Api-Key") == "" && !r.URL.Query().Has("key") {
		return path
	}
	return strings.Replace(models, "/v1/", "/v1beta/", 1) + rest
}

// queryKeys are the parameters in which Google's APIs take credentials.
var queryKeys = map[string]bool{"key": true, "access_token": true, "oauth_token": true}

// takeQueryKey takes credentials out of the query, where they would reach the
// provider, and uses "key" in place of a header if the caller sent none.
func (x *exchange) takeQueryKey() {
	var rest []string
	key := ""
	for pair := range strings.SplitSeq(x.r.URL.RawQuery, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if name = strings.TrimPrefix(strings.ToLower(name), "$"); err != nil || queryKeys[name] {
			if name == "key" && key == "" {
				key, _ = url.QueryUnescape(value)
			}
			continue
		}
		rest = append(rest, pair)
	}
	query := strings.Join(rest, "&")
	if query == x.r.URL.RawQuery {
		return
	}
	r, u := *x.r, *x.r.URL // the caller's request is not ours to change
	u.RawQuery = query
	r.URL, r.Header = &u, r.Header.Clone()
	if key != "" && credential(r.Header) == "" {
		r.Header.Set("X-Goog-Api-Key", key)
	}
	x.r = &r
}
