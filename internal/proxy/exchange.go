package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/provider"
)

// exchange is one call on its way through the stages. It belongs to one goroutine
// at a time: the handler's, then the one that settles.
type exchange struct {
	server *Server
	w      http.ResponseWriter
	r      *http.Request
	id     string // request id and event id
	start  time.Time

	// match
	endpoint *provider.Endpoint
	custom   customPath // of a call to an operator's own provider
	path     string     // upstream
	timeout  time.Duration
	customID string
	metadata []byte

	// authenticate, parse, authorize
	entry   *entry
	call    *provider.Call
	body    []byte // as it came, without what the policy masks
	setting *setting
	named   *people // the users that the call names; nil before they were looked for

	inspection inspection

	// admit
	quote    *quote
	claim    *limit.Claim // set once it is reserved
	standing limit.Standing
	end      time.Time      // when the call is cut short, so that it is settled before the claim expires
	refused  []*limit.Claim // refused, but perhaps not taken back altogether
	scope    string         // whose limit or rule refused, as gateway.Event has it
	capped   int64          // lowered output cap, 0 if it was not lowered

	// dispatch, relay
	cancel    context.CancelFunc
	response  *http.Response
	meter     *provider.Meter
	near      atomic.Bool // the stream's answer is complete, but for what it consumed
	leaving   sync.Once
	stay      func() bool // ends the watch for a caller that leaves a stream
	sent      bool        // the request may have reached the provider
	begun     bool        // the caller's answer has begun
	first     time.Time
	last      time.Time
	status    int  // sent to the caller
	truncated bool // the answer ended early
	code      string
	err       error
}

// match finds the endpoint and reads what the gateway's own headers say.
func (x *exchange) match(context.Context) error {
	var err error
	if x.timeout, err = x.requestTimeout(); err != nil {
		return err
	}
	if x.customID, err = shortHeader(x.r, "X-Custom-Event-Id"); err != nil {
		return err
	}
	if x.metadata, err = metadata(x.r.Header.Get("X-Metadata")); err != nil {
		return err
	}
	if _, err = shortHeader(x.r, "Idempotency-Key"); err != nil {
		return err
	}
	if rest, ok := strings.CutPrefix(x.r.URL.Path, provider.CustomPrefix); ok {
		return x.matchCustom(rest)
	}
	if strings.HasPrefix(x.r.URL.Path, routesPrefix) {
		return errRoutes
	}
	x.endpoint, x.path, err = x.server.router.Match(x.r.Method, inGoogleForm(x.r, x.r.URL.EscapedPath()))
	if err == nil && x.endpoint.Dialect == gateway.GoogleDialect {
		x.takeQueryKey()
	}
	return err
}

// routesPrefix is where failover routes will stand.
const routesPrefix = "/api/routes/"

var errRoutes = &gateway.Error{Kind: gateway.NotFound, Code: "routes_not_served", NoRetry: true,
	Message: "Failover routes are stored by the admin API but not served yet. Call the provider's own path instead."}

// requestTimeout is the caller's x-request-timeout, clamped to the server's.
func (x *exchange) requestTimeout() (time.Duration, error) {
	v := x.r.Header.Get("X-Request-Timeout")
	if v == "" {
		return x.server.Timeout, nil
	}
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 {
		return 0, &gateway.Error{Kind: gateway.Invalid, Code: "invalid_timeout", Param: "x-request-timeout",
			Message: "Header x-request-timeout must be a duration above zero, such as 300ms or 1m."}
	}
	return min(d, x.server.Timeout), nil
}

// shortHeader reads a header of the gateway's own that is stored.
func shortHeader(r *http.Request, name string) (string, error) {
	v := r.Header.Get(name)
	if len(v) > 255 || strings.ContainsFunc(v, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return "", &gateway.Error{Kind: gateway.Invalid, Code: "invalid_header", Param: strings.ToLower(name),
			Message: fmt.Sprintf("Header %s must be at most 255 characters, without control characters.", strings.ToLower(name))}
	}
	return v, nil
}

// maxMetadata bounds X-METADATA in bytes.
const maxMetadata = 4096

// metadata is the X-METADATA header as JSON: a JSON object as it is, any other
// text as a string.
func metadata(v string) ([]byte, error) {
	if v == "" {
		return nil, nil
	}
	if len(v) > maxMetadata {
		return nil, &gateway.Error{Kind: gateway.Invalid, Code: "invalid_header", Param: "x-metadata",
			Message: fmt.Sprintf("Header x-metadata is longer than %d bytes.", maxMetadata)}
	}
	if strings.HasPrefix(strings.TrimSpace(v), "{") && json.Valid([]byte(v)) {
		return []byte(v), nil
	}
	b, err := json.Marshal(v)
	return b, err
}

// parse reads the body, whole, and asks the vendor what it means.
func (x *exchange) parse(context.Context) error {
	var err error
	if x.body, err = x.readBody(); err != nil {
		return err
	}
	if len(x.r.Header["Content-Type"]) > 1 {
		return &gateway.Error{Kind: gateway.Invalid, Code: "invalid_header", Param: "content-type",
			Message: "Header content-type must be sent once."}
	}
	return x.read()
}

// read asks the vendor what the body means.
func (x *exchange) read() error {
	var err error
	x.call, err = x.endpoint.Vendor.Parse(x.endpoint, x.r.Header.Get("Content-Type"), x.body)
	if model := x.endpoint.ModelIn(x.path); err == nil && model != "" {
		x.call.Named(model)
	}
	if err != nil {
		return err
	}
	if err = checkNames(x.call); err != nil {
		return err
	}
	err = provider.Complete(x.call, x.r.Header)
	if x.call.Path != "" {
		x.path = x.call.Path
	}
	return err
}

// maxName bounds, in bytes, the names that a call is recorded and summed under. The
// longest that a provider gives to a model, ARNs, are shorter.
const maxName = 1024

func checkNames(c *provider.Call) error {
	for _, model := range append([]string{c.Model}, c.Fallbacks...) {
		if len(model) > maxName {
			return &gateway.Error{Kind: gateway.Invalid, Code: "string_above_max_length", Param: "model",
				Message: fmt.Sprintf("The model's name is longer than %d bytes.", maxName)}
		}
	}
	return nil
}

func (x *exchange) readBody() ([]byte, error) {
	limit := x.server.MaxBody
	tooLarge := &gateway.Error{Kind: gateway.TooLarge, NoRetry: true,
		Message: fmt.Sprintf("The request body is larger than %d bytes.", limit)}
	n := x.r.ContentLength
	if n > limit {
		return nil, tooLarge
	}
	if n == 0 {
		return nil, nil
	}
	src := &patientReader{x.r.Body, x}
	if n > 0 {
		body := make([]byte, n)
		if _, err := io.ReadFull(src, body); err != nil {
			return nil, cutBody(err)
		}
		x.release()
		return body, nil
	}
	body, err := io.ReadAll(io.LimitReader(src, limit+1))
	if err != nil {
		return nil, cutBody(err)
	}
	if int64(len(body)) > limit {
		return nil, tooLarge
	}
	x.release()
	return body, nil
}

func cutBody(err error) error {
	return &gateway.Error{Kind: gateway.Invalid, Code: "incomplete_body", Err: err,
		Message: "The request body did not arrive whole."}
}

// patientReader gives up on a caller who stops sending.
type patientReader struct {
	io.Reader
	x *exchange
}

func (p *patientReader) Read(b []byte) (int, error) {
	p.x.expectBody()
	return p.Reader.Read(b)
}

// expectBody gives the caller so long for the next piece of the body. The limit
// stands until the body is whole: a server waits for the rest of a body also to
// refuse the call.
func (x *exchange) expectBody() {
	if x.r.ContentLength != 0 {
		// Not every server has deadlines; Lambda has the whole body already.
		_ = http.NewResponseController(x.w).SetReadDeadline(time.Now().Add(x.server.patience))
	}
}

// release lets the connection wait for as long as the answer takes.
func (x *exchange) release() { _ = http.NewResponseController(x.w).SetReadDeadline(time.Time{}) }

// credential is the key that the caller sent: the first of x-api-key, api-key, the
// second word of Authorization, whatever its scheme, and x-goog-api-key.
func credential(h http.Header) string {
	for _, name := range []string{"X-Api-Key", "Api-Key"} {
		if v := h.Get(name); v != "" {
			return v
		}
	}
	_, key, _ := strings.Cut(strings.TrimSpace(h.Get("Authorization")), " ")
	if key = strings.TrimSpace(key); key == "" {
		return h.Get("X-Goog-Api-Key")
	}
	return key
}

// unavailable is a store's failure as the caller may see it.
func unavailable(err error) error {
	var e *gateway.Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	return &gateway.Error{Kind: gateway.Unavailable, Code: "storage_unavailable", Err: err,
		Message: "The gateway's storage does not answer. The call was not sent."}
}
