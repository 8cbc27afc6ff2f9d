// Package secret keeps secrets from being seen: Text prints as REDACTED, keys
// are known by their hash only, and a Box seals what has to be stored.
package secret

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "REDACTED"

// Text is a string that must not be printed, logged or marshalled. Reveal is the
// only way to it. Texts are not compared with ==.
type Text struct {
	_ [0]func() // no ==
	// A pointer, because package fmt does not ask the methods of a Text in an
	// unexported field: it prints what is in it, and of a pointer the address.
	s *string
}

// NewText wraps s.
func NewText(s string) Text { return Text{s: &s} }

// Reveal returns the secret itself.
func (t Text) Reveal() string {
	if t.s == nil {
		return ""
	}
	return *t.s
}

// Empty reports whether there is no secret.
func (t Text) Empty() bool { return t.Reveal() == "" }

// Format implements fmt.Formatter: whatever the verb, nothing is shown.
func (t Text) Format(f fmt.State, _ rune)   { io.WriteString(f, redacted) }
func (t Text) String() string               { return redacted }
func (t Text) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (t Text) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// HashKey is how a key's secret is stored and looked up: hex SHA-256, lower case.
func HashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// Box seals small secrets for storage. What was sealed for one context opens
// only with an equal one. Both methods may call a key service: errors that are
// not the caller's fault are *gateway.Error of kind Unavailable.
type Box interface {
	Seal(ctx context.Context, plain []byte, bind map[string]string) ([]byte, error)
	Open(ctx context.Context, sealed []byte, bind map[string]string) ([]byte, error)
}
