package gateway

import (
	"errors"
	"time"
)

// Kind sorts failures by what the caller can do about them. The web package
// holds the one table from kinds to HTTP statuses.
type Kind uint8

// The kinds of failure.
const (
	Internal        Kind = iota // our fault
	Invalid                     // the request cannot be read or is not allowed to look like this
	Unauthenticated             // no key, unknown key, revoked or expired
	Forbidden                   // the key may not do this
	NotFound
	Conflict      // clashes with what is there, or with a call in flight
	TooLarge      // body over the limit
	RateLimited   // a window or concurrency limit; passes with time
	QuotaExceeded // a lifetime cost limit; only an operator can help
	Unavailable   // a store or the key service does not answer
	BadGateway    // the provider cannot be reached or answers no HTTP
	Timeout       // the provider takes too long
	Outdated      // rests on a version of the record that is not the present one
)

// Dialect is the family of APIs whose words a caller expects in an error.
type Dialect uint8

// The dialects.
const (
	OpenAIDialect Dialect = iota
	AnthropicDialect
	GoogleDialect // Gemini's own API
	AWSDialect    // Bedrock's own API
)

// Error is a failure with a text for the caller and a cause for the log.
type Error struct {
	Kind    Kind
	Code    string // stable, for programs: "invalid_api_key", "rate_limit_exceeded", …
	Message string // for a person; may be shown; holds no key material and no internals
	Param   string // the offending member, when there is one

	// RetryAfter is how long until trying again can help. Zero: unknown or never.
	RetryAfter time.Duration
	// NoRetry: trying again cannot help, or would be charged again.
	NoRetry bool

	Err error // cause; never shown
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// KindOf is the kind of err: that of the first Error in its chain, else Internal.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// ErrNotFound is what stores return, possibly wrapped, for a record that is not
// there. ErrExists is what they return for one that must not be there yet.
var (
	ErrNotFound = errors.New("not found")
	ErrExists   = errors.New("exists already")
)
