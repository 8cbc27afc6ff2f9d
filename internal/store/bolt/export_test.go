package bolt

import (
	"bytes"
	"context"

	"go.etcd.io/bbolt"
)

// WrapCommit puts f around every commit. Call it before the first write.
func (s *Store) WrapCommit(f func(commit func() error) error) {
	s.commit = func(tx *bbolt.Tx) error { return f(tx.Commit) }
}

// Write runs an operation that may write keys of its own, in a batch.
func (s *Store) Write(ctx context.Context, run func(put func(name string) error) error) error {
	return s.write(ctx, func(t *txn) error {
		return run(func(name string) error { return t.put(bucketSettings, []byte(name), []byte("{}")) })
	})
}

var (
	EncodeCounters = encodeCounters
	DecodeCounters = decodeCounters
)

// Stored counts the events of a key in the file, shown or not.
func (s *Store) Stored(keyID string) (n int) {
	s.db.View(func(tx *bbolt.Tx) error {
		cursor := tx.Bucket(bucketEvents).Cursor()
		for k, _ := cursor.Seek(scope(keyID)); bytes.HasPrefix(k, scope(keyID)); k, _ = cursor.Next() {
			n++
		}
		return nil
	})
	return n
}

// Pointers counts the index entries of events.
func (s *Store) Pointers() (n int) {
	s.db.View(func(tx *bbolt.Tx) error {
		n = tx.Bucket(bucketByCustom).Stats().KeyN + tx.Bucket(bucketByUser).Stats().KeyN
		return nil
	})
	return n
}

// Remembered counts the idempotency records and the entries of their ends.
func (s *Store) Remembered() (records, ends int) {
	s.db.View(func(tx *bbolt.Tx) error {
		records, ends = tx.Bucket(bucketClaims).Stats().KeyN, tx.Bucket(bucketLapses).Stats().KeyN
		return nil
	})
	return records, ends
}
