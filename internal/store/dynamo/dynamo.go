// Package dynamo keeps keys, settings, counters and events in two DynamoDB
// tables, with limits that hold under any concurrency because one conditional
// write admits a call.
//
// The gateway table holds configuration and counters:
//
//	pk             sk             what
//	K#<hash>       KEY            a key: doc, version; or an alias of one, see secrets.go
//	K#<hash>       COUNTERS       its counters and open reservations, see counters.go
//	K#<hash>       I#<sha256>     an idempotency key that was claimed, see idempotency.go
//	KEY#<id>       POINTER        the key's hash
//	SETTING#<id>   SETTING        a setting: doc, version
//	SETTING#<id>   K#<hash>       a key that uses the setting
//
// The usage table holds events, see events.go, and what they add up to, see sums.go
// and fold.go. Records are JSON in the attribute
// doc; the other attributes are there to be indexed or compared.
//
// Reads are consistent, except for the lists of all keys and all settings and for
// events by user or custom id: those come from indexes, which follow within a
// second or so.
package dynamo

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// How long the store tries before it gives up, unless the caller's context ends
// earlier. Calls wait for Reserve; nobody waits for Settle or an operator's write.
const (
	reserveWithin = 2 * time.Second
	settleWithin  = 5 * time.Second
	readWithin    = 2 * time.Second
	writeWithin   = 10 * time.Second
)

// atOnce bounds how many requests one operation has in flight.
const atOnce = 16

// Options says where the store keeps what.
type Options struct {
	GatewayTable string
	UsageTable   string

	// Retention is how long events are kept; 0 is for ever.
	Retention time.Duration

	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Store is a limit.Ledger, and the place of keys, settings and events. It is safe
// for concurrent use. Its errors are those named by limit.Ledger,
// gateway.ErrNotFound, gateway.ErrExists, what a change function returns, and
// otherwise *gateway.Error: of kind Unavailable if trying again can help.
type Store struct {
	db        *dynamodb.Client
	gateway   string // table
	usage     string // table
	retention time.Duration
	now       func() time.Time
	last      atomic.Int64 // version given out last
	known     known
}

// New makes a store on tables that exist. It sends nothing.
func New(client *dynamodb.Client, opts Options) *Store {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Store{
		db:        client,
		gateway:   opts.GatewayTable,
		usage:     opts.UsageTable,
		retention: opts.Retention,
		now:       opts.Now,
	}
}

// Warm reads an item that is not there, so that the first call finds an open
// connection and credentials.
func (s *Store) Warm(ctx context.Context) error {
	_, err := s.get(ctx, s.gateway, "WARM", "WARM")
	return err
}

// Ping reports whether both tables answer.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.Warm(ctx); err != nil {
		return err
	}
	_, err := s.get(ctx, s.usage, "WARM", "WARM")
	return err
}

// Close does nothing: the client belongs to the caller.
func (s *Store) Close() error { return nil }

// nextVersion is a version above old that this process never gave out before:
// microseconds since 1970 where possible, so that a key that is deleted and made
// again does not meet its own old versions.
func (s *Store) nextVersion(old int64) int64 {
	for {
		last := s.last.Load()
		v := max(s.now().UnixMicro(), old+1, last+1)
		if s.last.CompareAndSwap(last, v) {
			return v
		}
	}
}
