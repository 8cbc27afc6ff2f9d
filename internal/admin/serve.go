package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"

	"github.com/google/uuid"

	"tollgate/internal/gateway"
	"tollgate/internal/openapi"
	"tollgate/internal/web"
)

const requestIDHeader = "X-Request-Id"

// ServeHTTP finds the route, checks the password, and writes what the handler
// returns. Nothing else in the package writes to a client.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if w.Header().Get(requestIDHeader) == "" { // a layer around this one may have set it
		w.Header().Set(requestIDHeader, uuid.NewString())
	}
	if len(a.cors.Origins) > 0 {
		w.Header().Set("Access-Control-Expose-Headers", "ETag, Retry-After, "+nextCursorHeader+", "+requestIDHeader)
		if a.cors.Allow(w, r) {
			return
		}
	}
	rt, id := find(r.Method, r.URL.EscapedPath())
	r.SetPathValue("id", id)
	r.Body = http.MaxBytesReader(w, r.Body, a.maxBody)
	answer, err := a.run(rt, r, w.Header().Get(requestIDHeader))
	if err == nil {
		answer.headers(w.Header())
		err = write(w, http.StatusOK, answer.body)
	}
	if err != nil {
		a.fail(w, r, rt, err)
	}
}

// run calls the handler if the caller may, and turns a panic into an error.
func (a *api) run(rt *route, r *http.Request, requestID string) (answer reply, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if rt.pattern != "/api/health" && rt.pattern != openapiPath {
		who, err := a.admit(rt, r)
		if err != nil {
			return reply{}, err
		}
		r = r.WithContext(withCaller(r.Context(), caller{who, requestID}))
	}
	if err := rt.checkQuery(r); err != nil {
		return reply{}, err
	}
	return a.once(rt, r, func(r *http.Request) (reply, error) {
		answer, err := rt.handle(a, r)
		done := replyTo(answer)
		// With an error, a change says what was written before it: that stands.
		if rt.writes() && (err == nil || done.change != nil) {
			a.audit(rt, r, done.change)
		}
		if err != nil {
			return reply{}, err
		}
		return done, nil
	})
}

// write sends a JSON body, or an empty one for nil. On an error nothing was sent.
func write(w http.ResponseWriter, status int, answer any) error {
	var body []byte
	if answer != nil {
		var err error
		if body, err = json.Marshal(answer); err != nil {
			return err
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body) // fails only when the client is gone
	return nil
}

// problem is the error body.
type problem struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail"`
	Instance string `json:"instance"`
}

// fail writes err in the words of the route, and logs it if it is our fault.
func (a *api) fail(w http.ResponseWriter, r *http.Request, rt *route, err error) {
	status := web.Status(gateway.KindOf(err))
	words := rt.words.label(status)
	p := problem{words.Type, words.Title, status, "", rt.pattern}
	if rt.words.instance != "" {
		p.Instance = rt.words.instance
	}
	var own worded
	if errors.As(err, &own) {
		p.Type, p.Title = own.Type, own.Title
	}
	var e *gateway.Error
	if errors.As(err, &e) {
		p.Detail = e.Message
		if title, ok := titles[e.Code]; ok {
			p.Type, p.Title = e.Code, title
		}
		if e.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(e.RetryAfter.Seconds()+1)))
		}
	}
	if status >= 500 {
		id := w.Header().Get(requestIDHeader)
		if p.Detail == "" {
			p.Detail = "something went wrong here"
		}
		p.Detail += "; request id " + id
		a.log.LogAttrs(r.Context(), slog.LevelError, "admin request failed",
			slog.String("request_id", id), slog.String("method", rt.method),
			slog.String("route", rt.pattern), slog.Int("status", status), slog.Any("error", err))
	}
	write(w, status, p) // a problem always marshals
}

// label chooses the words for a status.
func (w *wording) label(status int) label {
	l := w.failed
	switch status {
	case http.StatusBadRequest:
		l = w.invalid
	case http.StatusNotFound:
		l = w.missing
	}
	if l.Type == "" {
		l = label{"/errors/request", "request failed"}
	}
	return l
}

// Types of errors that no single route owns. They are the Code of the
// gateway.Error and win over the route's words.
const (
	badJSON         = "/errors/json-unmarshal"
	badBody         = "/errors/request-body-read"
	noKeyFilter     = "/errors/missing-filteres"
	noEventFilter   = "/errors/no-filters-empty"
	startMissing    = "/errors/query-param-start-missing"
	endMissing      = "/errors/query-param-end-missing"
	badStart        = "/errors/bad-start-query-param"
	badEnd          = "/errors/bad-end-query-param"
	wrongPassword   = "/errors/unauthorized"
	tooManyFailures = "/errors/too-many-failures"
)

var titles = map[string]string{
	badJSON:         "json unmarshaller error",
	badBody:         "request body reader error",
	noKeyFilter:     "filters are not found",
	noEventFilter:   "none of customId, keyIds and userId is specified",
	startMissing:    "query param start is missing",
	endMissing:      "query param end is missing",
	badStart:        "query param start is not valid",
	badEnd:          "query param end is not valid",
	wrongPassword:   "admin password is wrong or missing",
	tooManyFailures: "too many wrong admin passwords",
}

// invalid is a fault in the request, to be told to the caller.
func invalid(format string, args ...any) error {
	return &gateway.Error{Kind: gateway.Invalid, Message: fmt.Sprintf(format, args...)}
}

// stored gives an error of the store its meaning for the caller; what names the
// record. Errors that carry a kind, such as those of a change function, pass.
func stored(err error, what string) error {
	var e *gateway.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return err
	case errors.Is(err, gateway.ErrNotFound):
		return &gateway.Error{Kind: gateway.NotFound, Message: what + " is not found", Err: err}
	case errors.Is(err, gateway.ErrExists):
		return &gateway.Error{Kind: gateway.Conflict, Message: what + " exists already", Err: err}
	}
	return &gateway.Error{Kind: gateway.Unavailable, Message: "the store does not answer, try again later", Err: err}
}

func (a *api) health(*http.Request) (any, error) { return nil, nil }

// openapi asks for no password: the document holds nothing of this gateway's own.
func (a *api) openapi(*http.Request) (any, error) { return json.RawMessage(openapi.Document), nil }

// ready reports whether the store answers. Health does not ask it, so that a
// process is not restarted for the store's sake.
func (a *api) ready(r *http.Request) (any, error) {
	return nil, stored(a.store.Ping(r.Context()), "the store")
}
