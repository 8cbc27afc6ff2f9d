package admin

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"tollgate/internal/gateway"
	"tollgate/internal/record"
	"tollgate/internal/web"
)

const (
	idempotencyHeader = "Idempotency-Key"

	// creationLife is how long an answer is given again.
	creationLife = 24 * time.Hour
	// creationTry is how long a create may take. After that another try may go on
	// in place of one that was never heard of again.
	creationTry = time.Minute
)

// creation is a create that was asked for under an idempotency key. It is stored
// before the create is tried, with the id of what shall be made: a second try then
// cannot make a second record, whatever became of the first.
type creation struct {
	ID        string    `json:"id"`   // of this record
	Made      string    `json:"made"` // id of the record that the create makes
	Request   string    `json:"request"`
	CreatedAt time.Time `json:"createdAt"`
	Tried     time.Time `json:"tried"`

	// The answer, once there is one: sealed, since it can hold a new secret.
	Done   bool   `json:"done,omitempty"`
	Key    []byte `json:"key,omitempty"` // sealed by the box; opens Answer
	Answer []byte `json:"answer,omitempty"`
}

func (a *api) creations() record.Of[creation] {
	return record.Of[creation]{Store: a.store, Kind: record.Creations, Head: func(c *creation) record.Record {
		return record.Record{ID: c.ID, CreatedAt: c.CreatedAt, Expires: c.CreatedAt.Add(creationLife)}
	}}
}

// creates are the routes that an idempotency key means something to: those that make
// a record or a secret. On all others the same request twice leaves the same state anyway.
var creates = []string{"PUT " + keysPath, "PUT " + settingsPath, "POST " + usersPath, "POST " + customPath,
	"POST " + policiesPath, "POST " + failoverPath, "PUT " + tokensPath, "POST " + rotatePath}

// once runs a request; a create with an idempotency key once only.
func (a *api) once(rt *route, r *http.Request, run func(*http.Request) (reply, error)) (reply, error) {
	key := r.Header.Get(idempotencyHeader)
	if key == "" || !slices.Contains(creates, rt.method+" "+rt.pattern) {
		return run(r)
	}
	if tooLong(key) {
		return reply{}, invalid("%s is longer than %d characters", idempotencyHeader, maxText)
	}
	body, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), failing{err})) // decode words the error
	if err != nil {
		return run(r)
	}
	now := a.now().UTC()
	c := creation{
		ID: digest(callerOf(r.Context()).who, rt.method, rt.pattern, r.PathValue("id"), key), Made: uuid.NewString(),
		Request: digest(string(body)), CreatedAt: now, Tried: now,
	}
	answer, err := a.begin(r.Context(), &c)
	if answer != nil || err != nil {
		return reply{body: answer}, err
	}
	done, err := run(r.WithContext(withID(r.Context(), c.Made)))
	return done, a.finish(r.Context(), &c, done, err)
}

// failing is a reader with no more than an error, which may be nil.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err == nil {
		return 0, io.EOF
	}
	return 0, f.err
}

// digest is a SHA-256 over parts that are told apart.
func digest(parts ...string) string {
	b, _ := json.Marshal(parts) // strings marshal
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// begin stores c, or goes on with what is stored under its id: it returns the
// answer that was given before, or changes c into the try to be made.
func (a *api) begin(ctx context.Context, c *creation) (answer json.RawMessage, err error) {
	err = a.creations().Create(ctx, c, nil)
	if !errors.Is(err, gateway.ErrExists) {
		return nil, stored(err, "the creation")
	}
	before, _, err := a.creations().Update(ctx, c.ID, func(old *creation, _ int64) error {
		switch {
		case old.Request != c.Request:
			return &gateway.Error{Kind: gateway.Conflict, Message: "this " + idempotencyHeader + " came with another body before"}
		case !old.Done && c.Tried.Sub(old.Tried) < creationTry:
			return &gateway.Error{Kind: gateway.Conflict, RetryAfter: time.Second,
				Message: "a request with this " + idempotencyHeader + " is being answered"}
		}
		old.Tried = c.Tried
		return nil
	})
	if err != nil {
		return nil, stored(err, "the creation")
	}
	*c = before
	if !c.Done {
		return nil, nil
	}
	return a.openAnswer(ctx, c)
}

// finish keeps the answer for the next time. After a refusal the key is free
// again; after a failure of ours, which may have come after the write, it is not:
// another try may follow at once, for the same record.
func (a *api) finish(ctx context.Context, c *creation, done reply, failed error) error {
	ctx = context.WithoutCancel(ctx)
	if failed != nil && web.Status(gateway.KindOf(failed)) < 500 {
		return errors.Join(failed, a.creations().Delete(ctx, c.ID))
	}
	_, _, err := a.creations().Update(ctx, c.ID, func(now *creation, _ int64) error {
		if failed != nil {
			now.Tried = time.Time{}
			return nil
		}
		return a.sealAnswer(ctx, now, done.body)
	})
	if failed != nil {
		return failed
	}
	return stored(err, "the creation")
}

// sealAnswer puts the answer into c under a key of its own, and that key into the
// box: what a key service seals has to be short.
func (a *api) sealAnswer(ctx context.Context, c *creation, body any) error {
	plain, err := json.Marshal(body)
	if err != nil {
		return err
	}
	var key [32]byte
	rand.Read(key[:]) // never fails
	aead, err := answerCipher(key[:])
	if err != nil {
		return err
	}
	if c.Key, err = a.box.Seal(ctx, key[:], map[string]string{"creation": c.ID}); err != nil {
		return boxFault(err)
	}
	c.Answer, c.Done = aead.Seal(nil, nil, plain, []byte(c.ID)), true
	return nil
}

func (a *api) openAnswer(ctx context.Context, c *creation) (json.RawMessage, error) {
	key, err := a.box.Open(ctx, c.Key, map[string]string{"creation": c.ID})
	if err != nil {
		return nil, boxFault(err)
	}
	aead, err := answerCipher(key)
	if err != nil {
		return nil, err
	}
	return aead.Open(nil, nil, c.Answer, []byte(c.ID))
}

// answerCipher makes its own nonces.
func answerCipher(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
