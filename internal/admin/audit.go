package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"tollgate/internal/record"
)

// caller is who makes a request, and the request's id.
type caller struct{ who, requestID string }

type callerKey struct{}

func withCaller(ctx context.Context, c caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

// auditEntry is one write: what is stored, and what is shown.
type auditEntry struct {
	ID         string  `json:"id"`
	CreatedAt  int64   `json:"createdAt"` // unix seconds
	Who        string  `json:"who"`
	Method     string  `json:"method"`
	Path       string  `json:"path"` // the route's pattern
	Kind       string  `json:"kind"`
	ResourceID string  `json:"resourceId"`
	RequestID  string  `json:"requestId"`
	Before     members `json:"before"` // what was changed; null for a create
	After      members `json:"after"`  // null for a delete

	// Secrets names the parameters that were sent but are not shown.
	Secrets []string `json:"secrets"`
}

// members is a JSON object by member.
type members map[string]json.RawMessage

func (a *api) auditLog() record.Of[auditEntry] {
	keep := a.auditRetention
	return record.Of[auditEntry]{Store: a.store, Kind: record.Audit, Head: func(e *auditEntry) record.Record {
		at := a.now()
		return record.Record{ID: e.ID, CreatedAt: at, Expires: at.Add(keep)}
	}}
}

// audit leaves a record of a write that has been done. The write stands whether or
// not that succeeds, so a failure is told to the operator, with the entry.
func (a *api) audit(rt *route, r *http.Request, c *change) {
	if c == nil {
		c = &change{kind: kindOf(rt.pattern), id: r.PathValue("id")}
	}
	by := callerOf(r.Context())
	before, after := changedMembers(c.before, c.after)
	e := auditEntry{
		ID: uuid.NewString(), CreatedAt: a.now().Unix(),
		Who: by.who, Method: rt.method, Path: rt.pattern, RequestID: by.requestID,
		Kind: c.kind, ResourceID: c.id, Before: before, After: after, Secrets: orEmpty(c.secrets),
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 5*time.Second)
	defer cancel()
	if err := a.auditLog().Create(ctx, &e, nil); err != nil {
		a.log.LogAttrs(ctx, slog.LevelError, "a write left no audit record",
			slog.Any("entry", e), slog.Any("error", err))
	}
}

// kindOf names what a route is about, for routes that do not say it.
func kindOf(pattern string) string {
	kind, _, _ := strings.Cut(strings.TrimPrefix(pattern, "/api/"), "/")
	return kind
}

// hidden are members that are kept out of the audit: secrets, and hashes of secrets
// that may be weak enough to be guessed.
var hidden = []string{"key", "secret", "token"}

// changedMembers is what of both differs, member by member.
func changedMembers(before, after any) (was, is members) {
	was, is = membersOf(before), membersOf(after)
	for name, old := range was {
		if now, ok := is[name]; ok && bytes.Equal(old, now) {
			delete(was, name)
			delete(is, name)
		}
	}
	return was, is
}

// longestMember is how long a value may be in the audit, in bytes.
const longestMember = 4096

func membersOf(v any) members {
	if v == nil {
		return nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var m members
	if json.Unmarshal(b, &m) != nil {
		return nil
	}
	for _, name := range hidden {
		delete(m, name)
	}
	for name, value := range m {
		if len(value) > longestMember {
			m[name], _ = json.Marshal(fmt.Sprintf("(%d bytes)", len(value)))
		}
	}
	return m
}

type auditAnswer struct {
	Entries []auditEntry `json:"entries"` // newest first
	Cursor  string       `json:"cursor"`  // of the next page; empty after the last
}

// auditFilter selects entries; empty conditions do not count.
type auditFilter struct {
	kind, id, who string
	start, end    int64 // unix seconds: from, and before
}

func (f *auditFilter) matches(e *auditEntry) bool {
	return (f.kind == "" || e.Kind == f.kind) && (f.id == "" || e.ResourceID == f.id) &&
		(f.who == "" || e.Who == f.who) &&
		(f.start == 0 || e.CreatedAt >= f.start) && (f.end == 0 || e.CreatedAt < f.end)
}

const (
	auditPage = 100  // entries without a limit
	auditScan = 5000 // entries looked at for one page
)

// listAudit answers one page. A page can be short, even empty, before the last:
// only the cursor tells.
func (a *api) listAudit(r *http.Request) (any, error) {
	q := r.URL.Query()
	f := auditFilter{kind: q.Get("kind"), id: q.Get("id"), who: q.Get("who")}
	var err error
	if f.start, err = unixParam(q, "start"); err != nil {
		return nil, err
	}
	if f.end, err = unixParam(q, "end"); err != nil {
		return nil, err
	}
	limit, err := pageLimit(q, auditPage)
	if err != nil {
		return nil, err
	}
	answer := auditAnswer{Entries: []auditEntry{}, Cursor: q.Get("cursor")}
	for seen := 0; seen < auditScan; {
		page, next, err := a.auditLog().List(r.Context(), record.Page{Cursor: answer.Cursor, Limit: limit - len(answer.Entries)})
		if err != nil {
			return nil, stored(err, "audit")
		}
		seen, answer.Cursor = seen+len(page), next
		for i := range page {
			if f.matches(&page[i]) {
				answer.Entries = append(answer.Entries, page[i])
			}
		}
		if n := len(page); n > 0 && page[n-1].CreatedAt < f.start {
			answer.Cursor = "" // all that follow are older
		}
		if answer.Cursor == "" || len(answer.Entries) == limit {
			break
		}
	}
	return answer, nil
}

// unixParam reads a time of the query that may be left out.
func unixParam(q url.Values, name string) (int64, error) {
	text := q.Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, invalid("%s has to be a time in unix seconds", name)
	}
	return n, nil
}

// mostPerPage bounds a page, and with it memory.
const mostPerPage = 1000

// pageLimit is the limit of a list that is read in pages.
func pageLimit(q url.Values, preset int) (int, error) {
	n, err := pageNumber(q, "limit")
	switch {
	case err != nil:
		return 0, err
	case n == 0:
		return preset, nil
	case n > mostPerPage:
		return 0, invalid("limit has to be %d at most", mostPerPage)
	}
	return int(n), nil
}
