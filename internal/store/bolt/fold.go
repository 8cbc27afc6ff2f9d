package bolt

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/rollup"
)

// An event waits to be folded from the transaction that writes it until the one
// that adds it to the sums, so it is counted exactly once by construction.

// A fold ends at either number, so that calls do not wait long for its commit.
const (
	foldEvents = 2000
	foldCells  = 400
)

// folder folds in the background, some time after a write.
type folder struct {
	every  time.Duration // zero: only when sums are asked for
	mu     sync.Mutex    // held while folding
	armed  atomic.Bool
	timer  *time.Timer
	closed atomic.Bool
}

func (s *Store) startFolder(every time.Duration) {
	s.folder.every = every
	s.folder.timer = time.AfterFunc(time.Hour, s.foldQuietly)
	s.folder.timer.Stop()
	s.wakeFolder() // for what the process before left
}

// wakeFolder has what was just written folded before long.
func (s *Store) wakeFolder() {
	f := &s.folder
	if f.every > 0 && !f.closed.Load() && !f.armed.Swap(true) {
		f.timer.Reset(f.every)
	}
}

// foldQuietly has nobody to tell of an error: what failed waits for the next time.
func (s *Store) foldQuietly() {
	s.folder.armed.Store(false)
	if s.folder.closed.Load() {
		return
	}
	if _, err := s.foldWaiting(context.Background()); err != nil {
		s.wakeFolder()
	}
}

// stopFolder waits for a fold that runs. What still waits is folded after the
// next Open.
func (s *Store) stopFolder() {
	s.folder.closed.Store(true)
	s.folder.timer.Stop()
	s.folder.mu.Lock()
	defer s.folder.mu.Unlock()
}

// Fold implements rollup.Store: it counts all that waits, the events among it.
func (s *Store) Fold(ctx context.Context, _ []gateway.Event) (int, error) {
	return s.foldWaiting(ctx)
}

func (s *Store) foldWaiting(ctx context.Context) (folded int, err error) {
	s.folder.mu.Lock()
	defer s.folder.mu.Unlock()
	for {
		b := batch{table: make(rollup.Table), ids: make(map[string]string)}
		if err := s.view(ctx, b.read); err != nil || len(b.keys) == 0 {
			return folded, err
		}
		if err := s.write(ctx, b.write); err != nil {
			return folded, err
		}
		folded += len(b.keys)
	}
}

// batch is events on their way into the sums.
type batch struct {
	keys  [][]byte          // of events
	table rollup.Table      // what they add
	ids   map[string]string // what they add to bucketIDs
}

// read takes what waits, oldest keys of events first, up to the bounds of a fold.
func (b *batch) read(t *txn) error {
	cursor := t.tx.Bucket(bucketUnfolded).Cursor()
	for k, _ := cursor.First(); k != nil && len(b.keys) < foldEvents && len(b.table) < foldCells; k, _ = cursor.Next() {
		b.keys = append(b.keys, slices.Clone(k))
		v := t.get(bucketEvents, k)
		if v == nil {
			continue // past its retention before it was counted
		}
		var e gateway.Event
		if err := json.Unmarshal(v, &e); err != nil {
			return broken("event", err)
		}
		b.table.Add(&e)
		for kind, id := range map[byte]string{idsOfUsers: e.UserID, idsOfCustoms: e.CustomID} {
			if id != "" {
				b.ids[string(idKey(e.KeyID, kind, id))] = id
			}
		}
	}
	return nil
}

// write may run more than once, so it changes nothing of b.
func (b *batch) write(t *txn) error {
	for place, sums := range b.table {
		if err := t.addSums(place, sums); err != nil {
			return err
		}
	}
	for key, id := range b.ids {
		if t.get(bucketIDs, []byte(key)) == nil {
			if err := t.put(bucketIDs, []byte(key), []byte(id)); err != nil {
				return err
			}
		}
	}
	for _, k := range b.keys {
		if err := t.delete(bucketUnfolded, k); err != nil {
			return err
		}
	}
	return nil
}
