package bolt

import (
	"bytes"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// trimAtOnce is how many old events one new one removes. More than one, so that
// they become fewer.
const trimAtOnce = 4

// cutoff is the time before which events are not kept; zero if all are.
func (s *Store) cutoff() time.Time {
	if s.retention <= 0 {
		return time.Time{}
	}
	return s.now().Add(-s.retention)
}

// older lists up to n events of a scope before the cutoff, oldest first.
func (t *txn) older(scope []byte, cutoff time.Time, n int) [][]byte {
	var keys [][]byte
	end := slices.Concat(scope, instant(cutoff))
	cursor := t.tx.Bucket(bucketEvents).Cursor()
	for k, _ := cursor.Seek(scope); k != nil && len(keys) < n && bytes.Compare(k, end) < 0; k, _ = cursor.Next() {
		keys = append(keys, slices.Clone(k))
	}
	return keys
}

func (t *txn) deleteEvents(keys [][]byte) error {
	for _, key := range keys {
		e, err := t.event(key)
		if err != nil {
			return err
		}
		for _, p := range pointers(e, key) {
			if err := t.delete(p.bucket, p.key); err != nil {
				return err
			}
		}
		if err := t.delete(bucketEvents, key); err != nil {
			return err
		}
	}
	return nil
}

// sweepAtOnce bounds a transaction of the sweep.
const sweepAtOnce = 1000

// sweep removes what is past its retention, also of keys that make no calls any
// more. It looks at what it removes and at one event of each key, not at all.
func (s *Store) sweep() error {
	cutoff := s.cutoff()
	if cutoff.IsZero() {
		return nil
	}
	for from := []byte{0}; from != nil; {
		err := s.db.Update(func(tx *bbolt.Tx) (err error) {
			from, err = (&txn{tx: tx}).sweep(from, cutoff)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// sweep goes on at a scope and returns where to go on next, nil at the end.
func (t *txn) sweep(from []byte, cutoff time.Time) (next []byte, err error) {
	for removed := 0; removed < sweepAtOnce; {
		k, _ := t.tx.Bucket(bucketEvents).Cursor().Seek(from)
		if k == nil {
			return nil, nil
		}
		from = slices.Clone(k[:scopeLen])
		old := t.older(from, cutoff, sweepAtOnce)
		if err := t.deleteEvents(old); err != nil {
			return nil, err
		}
		if removed += len(old); len(old) < sweepAtOnce {
			from = slices.Concat(from, bytes.Repeat([]byte{0xff}, timeLen)) // past all of this scope
		}
	}
	return from, nil
}
