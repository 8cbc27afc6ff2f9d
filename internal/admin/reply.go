package admin

import (
	"net/http"
	"strconv"
	"strings"

	"tollgate/internal/gateway"
)

// reply is an answer that is more than a body. Handlers that need no more return
// the body itself.
type reply struct {
	body    any
	version int64  // of the record that body shows: the ETag; 0 for none
	cursor  string // where the next page begins
	change  *change
}

// change is what a write did, for the audit.
type change struct {
	kind, id      string
	before, after any // as callers see the record; nil for none

	// secrets names what was changed without being shown.
	secrets []string
}

// replyTo makes a reply of what a handler returned.
func replyTo(answer any) reply {
	if r, ok := answer.(reply); ok {
		return r
	}
	return reply{body: answer}
}

const nextCursorHeader = "X-Next-Cursor"

// headers puts the reply's headers.
func (r *reply) headers(h http.Header) {
	if r.version != 0 {
		h.Set("ETag", etag(r.version))
	}
	if r.cursor != "" {
		h.Set(nextCursorHeader, r.cursor)
	}
}

func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// unchanged refuses a request whose If-Match names another version than the
// record has. Without If-Match every version will do.
func unchanged(r *http.Request, version int64) error {
	wanted := r.Header.Values("If-Match")
	if len(wanted) == 0 {
		return nil
	}
	for tag := range strings.SplitSeq(strings.Join(wanted, ","), ",") {
		if tag = strings.TrimSpace(tag); tag == "*" || tag == etag(version) {
			return nil
		}
	}
	return outdated()
}

// outdated refuses a request that is for another version than there is, or for one
// where there is none.
func outdated() error {
	return worded{label{"/errors/precondition-failed", "the record was changed meanwhile"},
		&gateway.Error{Kind: gateway.Outdated, Message: "If-Match does not name the present version: read the record again"}}
}

// hasPrecondition reports whether a request is for one version only.
func hasPrecondition(r *http.Request) bool { return r.Header.Get("If-Match") != "" }

// worded is an error with a type and a title of its own.
type worded struct {
	label
	error
}

func (w worded) Unwrap() error { return w.error }
