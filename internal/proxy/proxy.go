// Package proxy is the request path: a call comes in with a Tollgate key, is
// checked, admitted at its worst case, sent to its provider, relayed byte for
// byte, and settled at what it really cost. The path is written once; vendors
// and endpoints are values (package provider), concerns are stages.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/google/uuid"

	"tollgate/internal/afterwork"
	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/price"
	"tollgate/internal/provider"
	"tollgate/internal/record"
	"tollgate/internal/secret"
	"tollgate/internal/telemetry"
	"tollgate/internal/web"
)

// Store is what the request path needs to be kept.
type Store interface {
	limit.Ledger
	record.Store // custom providers, users and tags are read
	// KeyByHash and Settings read consistently: what an operator has changed
	// before the call is seen. KeyByHash finds a key by each of its secrets, those
	// that have ended included, and returns gateway.ErrNotFound.
	KeyByHash(ctx context.Context, hash string) (gateway.Key, error)
	// Settings returns the settings in the order of ids, unknown ones left out.
	Settings(ctx context.Context, ids []string) ([]gateway.Setting, error)
	// Key returns the key with the id, or gateway.ErrNotFound.
	Key(ctx context.Context, id string) (gateway.Key, error)
	// Counters reads a key's counters, or gateway.ErrNotFound.
	Counters(ctx context.Context, keyHash string) (limit.Counters, error)
	// Record keeps the event of a call that reserved nothing.
	Record(ctx context.Context, e gateway.Event) error
}

// Signer signs requests to AWS as a whole. Its errors are *gateway.Error.
type Signer interface {
	Sign(ctx context.Context, req *http.Request, body []byte, id provider.Identity) error
}

// Config is what a Server is made of. All fields without a default are required.
type Config struct {
	Store    Store
	Box      secret.Box
	Prices   func() *price.Table // asked for at every call that needs it
	Upstream http.RoundTripper   // NewTransport, but in tests
	Log      telemetry.Log
	Vendors  []provider.Vendor // default provider.All
	Signer   Signer            // of calls to AWS; nil refuses them
	// RefreshPrices is called after each call, when its caller is gone: a chance
	// to look for newer prices. nil: there are none.
	RefreshPrices func(context.Context)

	Timeout         time.Duration // of an upstream call, and the most a caller may ask for
	MaxBody         int64         // bytes of a request body
	CORS            web.CORS
	RemoveUserAgent bool
	Now             func() time.Time // default time.Now
}

// Server is the proxy's http.Handler.
type Server struct {
	Config
	router    *provider.Router
	directory *directory
	bodies    *secret.Envelope
	users     *userDirectory
	served    servedModels
	patience  time.Duration // how long a caller may take to send, or to take, the next piece
	pause     time.Duration // before the second try of a write after the call
	usageWait time.Duration // how long the end of a stream may take whose caller has left there
}

// New returns a server. It does no work that the first call could do.
func New(c Config) *Server {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Vendors == nil {
		c.Vendors = provider.All()
	}
	s := &Server{
		Config:    c,
		router:    provider.NewRouter(c.Vendors...),
		directory: newDirectory(c.Store, c.Box, c.Now),
		bodies:    secret.NewEnvelope(c.Box, c.Now),
		users:     newUserDirectory(c.Store, c.Now),
		patience:  30 * time.Second,
		pause:     settlePause,
		usageWait: 3 * time.Second,
	}
	for _, v := range c.Vendors {
		s.directory.native[v.Name()] = true
	}
	return s
}

// Endpoints is the endpoint table.
func (s *Server) Endpoints() []*provider.Endpoint { return s.router.Endpoints() }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.CORS.Allow(w, r) {
		return
	}
	if r.URL.Path == "/api/health" && (r.Method == http.MethodGet || r.Method == http.MethodPost) {
		w.WriteHeader(http.StatusOK)
		return
	}
	x := &exchange{server: s, w: w, r: r, id: uuid.NewString(), start: s.Now()}
	w.Header().Set("X-Request-Id", x.id)
	w.Header().Set("Request-Id", x.id) // where Anthropic's SDKs look for it
	// Whatever happens below, the call is settled and recorded once the caller
	// has its last byte.
	defer afterwork.Do(r.Context(), x.settle)
	defer x.rescue()
	x.expectBody()
	if err := x.run(r.Context()); err != nil {
		x.fail(err)
	}
	x.hurry(http.NewResponseController(w)) // what the server still holds goes out now
}

// run takes the call through its stages. Nothing reaches the caller before relay.
func (x *exchange) run(ctx context.Context) error {
	for _, stage := range [...]func(context.Context) error{
		x.match,
		x.authenticate,
		x.parse,
		x.authorize,
		x.inspect,
		x.admit,
		x.dispatch,
		x.relay,
	} {
		if err := stage(ctx); err != nil {
			return err
		}
	}
	return nil
}

// fail answers with the error, or ends an answer that has begun.
func (x *exchange) fail(err error) {
	x.err = err
	x.code = web.Public(err).Code
	if !x.begun {
		x.begun = true
		x.hurry(http.NewResponseController(x.w))
		x.standingHeaders()
		x.status = web.WriteError(x.w, x.dialect(), err, x.id)
		return
	}
	x.truncated = true
	x.breakOff(err)
}

// dialect is how the caller expects errors to be worded.
func (x *exchange) dialect() gateway.Dialect {
	if x.endpoint != nil {
		return x.endpoint.Dialect
	}
	return x.server.router.Dialect(x.r.URL.EscapedPath())
}

// rescue turns a panic into a 500. An answer that has begun is cut.
func (x *exchange) rescue() {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler { // our own way to cut a connection
		panic(v)
	}
	x.err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
	x.code = "internal_error"
	if x.begun {
		x.truncated = true
		panic(http.ErrAbortHandler)
	}
	x.begun = true
	x.status = web.WriteError(x.w, x.dialect(), errors.New("panic"), x.id)
}
