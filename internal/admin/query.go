package admin

import (
	"net/http"
	"slices"
	"strings"
)

// ownQueries are the lists and reports that the peer does not have, with the names
// that their queries know.
var ownQueries = map[string][]string{
	"GET /api/audit": {"kind", "id", "who", "start", "end", "cursor", "limit"},
	"GET /api/reporting/usage": {"groupBy", "start", "end", "keyIds", "userIds", "customIds",
		"tags", "providers", "models", "statuses"},
	"GET " + pricesPath: {"model", "provider", "table"},
	"GET " + tagsPath:   {"cursor", "limit"},
	"GET " + tokensPath: {"cursor", "limit"},
}

// ownLists are the peer's lists as they are with a parameter of ours, which is the
// first of the names.
var ownLists = map[string][]string{
	"GET " + keysPath:     {"cursor", "limit", "tag", "tags", "provider", "keyIds", "name"},
	"GET " + settingsPath: {"all", "provider", "name", "limit", "offset", "ids"},
	"GET " + usersPath:    {"cursor", "limit", "tags", "keyIds", "userIds"},
	"GET " + customPath:   {"cursor", "limit"},
	"GET " + policiesPath: {"cursor", "limit", "tags"},
	"GET " + failoverPath: {"cursor", "limit"},
}

// checkQuery refuses what a query of ours does not know: it would be a filter that
// somebody believes in. The peer's own queries pass over such names, as it does.
func (rt *route) checkQuery(r *http.Request) error {
	name := rt.method + " " + rt.pattern
	known, own := ownQueries[name]
	q := r.URL.Query()
	if list := ownLists[name]; len(list) > 0 && q.Has(list[0]) {
		known, own = list, true
	}
	if !own {
		return nil
	}
	var unknown []string
	for sent := range q {
		if !slices.Contains(known, sent) {
			unknown = append(unknown, clip(sent))
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	slices.Sort(unknown)
	return invalid("there is no query parameter %s here: it takes %s", some(unknown), strings.Join(known, ", "))
}
