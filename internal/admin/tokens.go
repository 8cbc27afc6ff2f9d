package admin

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"tollgate/internal/gateway"
	"tollgate/internal/record"
	"tollgate/internal/secret"
)

// tokenPrefix begins every token, so that nothing else is looked up as one.
const tokenPrefix = "tga-"

// The scopes of tokens.
const (
	scopeRead  = "read"  // whatever changes nothing
	scopeWrite = "write" // everything
)

// token lets its bearer into the admin API, in place of the password.
type token struct {
	ID        string    `json:"id"` // hex SHA-256 of the token, which itself is not kept
	Name      string    `json:"name"`
	Scope     string    `json:"scope"`
	CreatedAt time.Time `json:"createdAt"`
}

func (a *api) tokens() record.Of[token] {
	return record.Of[token]{Store: a.store, Kind: record.Tokens, Head: func(t *token) record.Record {
		return record.Record{ID: t.ID, CreatedAt: t.CreatedAt}
	}}
}

type tokenBody struct {
	Name  string `json:"name"`
	Scope string `json:"scope"`
}

type tokenAnswer struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Scope     string `json:"scope"`
	CreatedAt int64  `json:"createdAt"`       // unix seconds
	Token     string `json:"token,omitempty"` // in the create answer only
}

func showToken(t *token) tokenAnswer {
	return tokenAnswer{ID: t.ID, Name: t.Name, Scope: t.Scope, CreatedAt: t.CreatedAt.Unix()}
}

func (a *api) createToken(r *http.Request) (any, error) {
	var b tokenBody
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	if b.Name == "" || tooLong(b.Name) {
		return nil, invalid("name is required, of %d characters at most", maxText)
	}
	if b.Scope != scopeRead && b.Scope != scopeWrite {
		return nil, invalid(`scope can only be "read" or "write"`)
	}
	text := newSecret(tokenPrefix)
	t := token{ID: secret.HashKey(text), Name: b.Name, Scope: b.Scope, CreatedAt: a.now().UTC()}
	if err := a.tokens().Create(r.Context(), &t, nil); err != nil {
		return nil, stored(err, "the token")
	}
	answer := showToken(&t)
	answer.Token = text
	return reply{body: answer, change: &change{kind: "token", id: t.ID, after: showToken(&t)}}, nil
}

func (a *api) listTokens(r *http.Request) (any, error) {
	return listed(r, a.tokens(), showToken, nil)
}

func (a *api) deleteToken(r *http.Request) (any, error) {
	return remove(r, a.tokens(), "token", showToken, nil)
}

// admit lets in whoever has the password or a token, and returns who that is.
func (a *api) admit(rt *route, r *http.Request) (who string, err error) {
	if a.guard.open {
		if a.identity != nil {
			return a.identity(r), nil
		}
		return "local", nil
	}
	var found *token
	err = a.guard.admit(r, a.now(), func(sent string) (bool, error) {
		var err error
		found, err = a.tokenOf(r.Context(), sent)
		return found != nil, err
	})
	switch {
	case err != nil:
		return "", err
	case found == nil:
		return "password", nil
	case found.Scope != scopeWrite && rt.writes():
		return "", worded{label{"/errors/forbidden", "the token may only read"},
			&gateway.Error{Kind: gateway.Forbidden, Message: "the token " + found.Name + " may only read"}}
	}
	return "token:" + found.Name, nil
}

// tokenOf is the token with the text, nil if there is none.
func (a *api) tokenOf(ctx context.Context, text string) (*token, error) {
	t, _, err := a.tokens().Get(ctx, secret.HashKey(text))
	if errors.Is(err, gateway.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, stored(err, "tokens")
	}
	return &t, nil
}

// writes reports whether a route changes anything. Searches and checks are sent by
// POST too.
func (rt *route) writes() bool {
	if rt.method == http.MethodGet || rt.method == http.MethodHead {
		return false
	}
	return rt.method != http.MethodPost ||
		!strings.HasPrefix(rt.pattern, "/api/v2/") && !strings.HasPrefix(rt.pattern, "/api/reporting/") &&
			rt.pattern != pricesPath+"/check"
}

type idKey struct{}

// withID makes newID return that id, for a create that may have been tried before.
func withID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, idKey{}, id)
}

// newID is the id for a new record.
func newID(ctx context.Context) string {
	if id, ok := ctx.Value(idKey{}).(string); ok {
		return id
	}
	return uuid.NewString()
}
