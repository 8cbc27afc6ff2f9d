// Package bolt is the embedded store: one file on this machine, Go only, for
// `tollgate local` and for tests.
//
// Everything the limits rest on happens in one transaction, with the pure logic of
// package limit; a commit is on disk before a caller hears of it. One goroutine
// does all the writing (writer.go), so nothing here needs a lock of its own.
package bolt

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"tollgate/internal/gateway"
)

// lockWait is how long Open waits for a file that is locked.
const lockWait = 500 * time.Millisecond

// Options of Open. The zero value is fine.
type Options struct {
	Now       func() time.Time // time.Now if nil
	Retention time.Duration    // how long events are kept after their At; zero for ever

	// FoldEvery is how long after it was written an event is added to the sums at
	// the latest; zero: when sums are asked for.
	FoldEvery time.Duration
}

// Store is the store. Safe for concurrent use.
type Store struct {
	db        *bbolt.DB
	now       func() time.Time
	retention time.Duration

	line   line
	folder folder

	// commit makes a transaction durable. Tests put faults around it.
	commit func(*bbolt.Tx) error
}

// The buckets.
var (
	bucketCounters = []byte("counters") // key hash -> counters, see counters.go
	bucketKeys     = []byte("keys")     // key id -> JSON; its sequence is the last version given out
	bucketHashes   = []byte("hashes")   // key hash -> key id
	bucketSettings = []byte("settings") // setting id -> JSON
	bucketEvents   = []byte("events")   // see event.go
	bucketByCustom = []byte("events by custom id")
	bucketByUser   = []byte("events by user id")
	bucketClaims   = []byte("claims") // see idempotency.go
	bucketLapses   = []byte("claims by end")
)

// Open opens the file, or makes it (mode 0600). Only one process can have it open:
// for another one Open fails within a second.
func Open(path string, opts Options) (*Store, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout: lockWait,
		// The list of free pages is rebuilt at Open instead of written with every
		// commit: fewer bytes to sync, and the map finds a free page at once.
		NoFreelistSync: true,
		FreelistType:   bbolt.FreelistMapType,
	})
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return nil, fmt.Errorf("store: %s is in use by another process", path)
	}
	if err != nil {
		return nil, fmt.Errorf("store: %s: %w", path, err)
	}
	s := &Store{
		db: db, now: opts.Now, retention: opts.Retention,
		commit: (*bbolt.Tx).Commit,
	}
	if err := s.prepare(); err != nil {
		db.Close()
		return nil, fmt.Errorf("store: %s: %w", path, err)
	}
	s.line.drained = make(chan struct{})
	s.line.timer = time.AfterFunc(time.Hour, s.lingered)
	s.line.timer.Stop()
	s.startFolder(opts.FoldEvery)
	return s, nil
}

// prepare makes the buckets and removes what is past its retention.
func (s *Store) prepare() error {
	err := s.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{
			bucketCounters, bucketKeys, bucketHashes, bucketSettings, bucketEvents,
			bucketByCustom, bucketByUser, bucketClaims, bucketLapses,
			bucketRecords, bucketRecordGroups, bucketRecordAges,
			bucketUnfolded, bucketSums, bucketIDs,
		} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.sweep()
}

// Close waits for the writes that are queued, then closes the file. What comes
// later fails. Closing twice is no error.
func (s *Store) Close() error {
	s.stopFolder()
	s.drain()
	return s.db.Close()
}

// Ping reports whether the store can be read.
func (s *Store) Ping(ctx context.Context) error {
	return s.view(ctx, func(*txn) error { return nil })
}

// unavailable is a failure that may be gone the next time.
func unavailable(err error) error {
	return &gateway.Error{
		Kind:       gateway.Unavailable,
		Code:       "storage_unavailable",
		Message:    "The gateway's storage does not answer. Please try again.",
		RetryAfter: time.Second,
		Err:        err,
	}
}

// broken is a record that is not what the store writes.
func broken(what string, err error) error {
	return &gateway.Error{
		Kind:    gateway.Internal,
		Code:    "storage_failure",
		Message: "The gateway cannot use its storage.",
		Err:     fmt.Errorf("%s: %w", what, err),
	}
}
