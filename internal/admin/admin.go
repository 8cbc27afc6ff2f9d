// Package admin is the control plane over HTTP: it makes, reads, changes and
// deletes keys and provider settings, and reads events and spend.
//
// Paths, members, their order and their defaults are those of the peer, so that
// its clients work unchanged. Where the peer answers 500 (or 200, or not at all)
// for a fault of the caller, this package answers the 4xx that it is, and a store
// or key service that is down is 503. Further differences, all additions:
//
//   - Create a key without "key" and one is generated; the answer shows it once,
//     in the member "secret". Only "name" is required.
//   - A key may have "limits": [{"measure": "requests|tokens|cost|concurrency",
//     "per": "s|m|h|d|mo|lifetime", "max": n}]. "max" is in USD for cost;
//     concurrency has no "per". They hold beside the peer's three limits. On PATCH
//     [] clears them.
//   - A key may have "unknownModel": "deny" or "allow"; "" is the default rule.
//   - "ttl" takes days ("2d", "1d12h") and can be changed by PATCH; it counts from
//     createdAt, and "expiresAt" says when it is over. "policyId": "" removes the policy.
//   - POST /api/key-management/keys/:id/rotate {"overlap"} gives a key a new secret,
//     which the answer shows once; those before it work until the overlap is over.
//   - GET /api/key-management/keys/:id, DELETE /api/provider-settings/:id (409 while
//     keys use it) and GET /api/ready, which is 503 while the store does not answer.
//   - GET /api/openapi.json is the description of the API for tools, without a password.
//   - GET /api/provider-settings?all=true lists all settings; provider and name (part
//     of it, any case) filter, limit and offset page.
//   - GET and DELETE of one user, custom provider and policy, PATCH of a route. What
//     others refer to is not deleted: 409 names them.
//   - PUT, GET, DELETE /api/tags/:tag: limits that all keys with the tag share.
//   - Users may have "limits" too. PATCH of a custom provider takes "removed_paths".
//   - A list with "cursor" in the query, empty for the first page, comes in pages of
//     "limit"; the header X-Next-Cursor, if there is one, is the next cursor.
//   - Reads of one record and PATCH answer an ETag. PATCH and DELETE with If-Match are
//     412 if the record has another.
//   - Creates with an Idempotency-Key answer the same for 24 hours.
//   - PUT /api/tokens {"name", "scope": "read|write"} answers a token once; X-API-KEY
//     takes it in place of the password.
//   - GET /api/audit tells who changed what.
//   - A member that the peer does not know either is 400, not ignored: it would be a
//     limit that somebody believes in. Members of the server's own, sent back as they
//     were read, are ignored.
//   - A setting of any provider may carry "url", a base URL that replaces the vendor's.
//     An empty optional parameter removes it.
//
// Secrets go in and never come out: of a setting only gateway.PublicParams are shown,
// of a key its hash, or for isKeyNotHashed the last characters.
package admin

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/record"
	"tollgate/internal/rollup"
	"tollgate/internal/secret"
	"tollgate/internal/web"
)

// KeyStore keeps keys. Reads are consistent: they see every write that was
// acknowledged. A record that is not there is gateway.ErrNotFound.
type KeyStore interface {
	// CreateKey fails with gateway.ErrExists if the key's hash is taken.
	CreateKey(ctx context.Context, k gateway.Key) error

	// UpdateKey changes a key atomically. change may run several times, each
	// time on the current record; its error aborts and nothing is written. It fails
	// with gateway.ErrExists if the key gets a secret that some key has.
	UpdateKey(ctx context.Context, id string, change func(*gateway.Key) error) (gateway.Key, error)

	DeleteKey(ctx context.Context, id string) error // no error if absent
	Key(ctx context.Context, id string) (gateway.Key, error)
	Keys(ctx context.Context) ([]gateway.Key, error) // a change may take a second to show

	// KeysUsing is the ids of the keys with the reference, in no order.
	KeysUsing(ctx context.Context, r gateway.Reference) ([]string, error)

	// KeysPage is a part of all keys, in an order of the store's own, and the
	// cursor of the next page, empty after the last.
	KeysPage(ctx context.Context, page record.Page) ([]gateway.Key, string, error)

	// Counters is the state of the limits of the key with that hash.
	Counters(ctx context.Context, keyHash string) (limit.Counters, error)
}

// SettingStore keeps provider settings, under the same rules as KeyStore.
type SettingStore interface {
	CreateSetting(ctx context.Context, s gateway.Setting) error
	// UpdateSetting also gives the keys that use the setting a new version. If only
	// that fails, it returns the setting as written with the error, and the same
	// update again completes it.
	UpdateSetting(ctx context.Context, id string, change func(*gateway.Setting) error) (gateway.Setting, error)
	DeleteSetting(ctx context.Context, id string) error // no error if absent

	// Settings keeps the order of ids, repeats included, and skips unknown ones.
	Settings(ctx context.Context, ids []string) ([]gateway.Setting, error)
	AllSettings(ctx context.Context) ([]gateway.Setting, error)
}

// Store is what the control plane needs of a store. Any error but the ones
// named counts as the store being down.
type Store interface {
	KeyStore
	SettingStore
	record.Store
	rollup.Store
	Events(ctx context.Context, f gateway.EventFilter) ([]gateway.Event, error)
	Ping(ctx context.Context) error
}

// Config is what New needs. Store and Box are required.
type Config struct {
	Store Store
	Box   secret.Box
	Now   func() time.Time // nil: time.Now
	Log   *slog.Logger     // nil: no log

	// Password is compared with the header X-API-KEY. Empty: no check is made
	// here. That is right only behind something that checks (IAM on Lambda).
	Password secret.Text

	// Providers maps the native providers to the setting parameters that each
	// requires, in the order in which a refusal names them. nil: NativeProviders.
	Providers map[string][]string

	MaxBody int64 // largest request body in bytes; 0: 1 MiB

	// Identity names the caller for the audit, where something before this handler
	// lets callers in and Password is empty. nil: everybody is "local".
	Identity func(*http.Request) string
	// AuditRetention is how long the audit of a write is kept; 0: 400 days.
	AuditRetention time.Duration

	// CORS lets pages of these origins call from a browser. None: no page may.
	CORS web.CORS
	// AllowPrivate lets custom providers have addresses of this machine and of
	// private networks. Link-local ones they never have.
	AllowPrivate bool
	// ShowSecrets makes reads of provider settings show all parameters in clear,
	// for clients that rely on the peer's doing so.
	ShowSecrets bool
}

// New is the handler of the control plane. It is safe for concurrent use.
func New(c Config) http.Handler {
	a := &api{
		store: c.Store, box: c.Box, now: c.Now, log: c.Log,
		guard:     newGuard(c.Password),
		providers: c.Providers, maxBody: c.MaxBody,
		identity: c.Identity, auditRetention: c.AuditRetention,
		cors: c.CORS, allowPrivate: c.AllowPrivate, showSecrets: c.ShowSecrets,
	}
	if a.now == nil {
		a.now = time.Now
	}
	a.bodies = secret.NewEnvelope(c.Box, a.now)
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if a.providers == nil {
		a.providers = NativeProviders()
	}
	if a.maxBody == 0 {
		a.maxBody = 1 << 20
	}
	if a.auditRetention == 0 {
		a.auditRetention = 400 * 24 * time.Hour
	}
	return a
}

type api struct {
	store     Store
	box       secret.Box
	bodies    *secret.Envelope // of events
	now       func() time.Time
	log       *slog.Logger
	guard     *guard
	providers map[string][]string
	maxBody   int64

	identity       func(*http.Request) string
	auditRetention time.Duration
	cors           web.CORS
	allowPrivate   bool
	showSecrets    bool
}
