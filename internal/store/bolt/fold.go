package bolt

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
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
	foldEvents = 1000
	foldGroups = 40 // each of some ten sums
)

// freshMost bounds the events that are kept in memory until they are folded, which
// saves reading them again.
const freshMost = 20_000

// folder folds in the background, some time after a write.
type folder struct {
	every  time.Duration // zero: only when sums are asked for
	mu     sync.Mutex    // held while folding
	armed  atomic.Bool
	timer  *time.Timer
	closed atomic.Bool

	freshMu sync.Mutex
	fresh   map[string]gateway.Event // by event key; without bodies
}

// keep remembers an event that was written just now.
func (f *folder) keep(r *eventRecord) {
	f.freshMu.Lock()
	defer f.freshMu.Unlock()
	if f.fresh == nil {
		f.fresh = make(map[string]gateway.Event)
	}
	if f.every > 0 && len(f.fresh) < freshMost {
		f.fresh[string(r.key)] = r.event
	}
}

// forget drops what was folded before it was remembered.
func (f *folder) forget() {
	f.freshMu.Lock()
	defer f.freshMu.Unlock()
	clear(f.fresh)
}

// take is a remembered event, which is forgotten.
func (f *folder) take(key []byte) (gateway.Event, bool) {
	f.freshMu.Lock()
	defer f.freshMu.Unlock()
	e, ok := f.fresh[string(key)]
	delete(f.fresh, string(key))
	return e, ok
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

// wrote is told of each write of an event, and its error.
func (s *Store) wrote(r *eventRecord, err error) {
	if err == nil && r.written {
		s.folder.keep(r)
	}
	s.wakeFolder() // also after an error: it may be on disk all the same
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
		b := batch{fresh: s.folder.take, ids: make(map[string]string)}
		if err := s.view(ctx, b.read); err != nil {
			return folded, err
		}
		if len(b.keys) == 0 {
			s.folder.forget()
			return folded, nil
		}
		b.table = b.folder.Table()
		if err := s.write(ctx, b.write); err != nil {
			return folded, err
		}
		folded += len(b.keys)
	}
}

// batch is events on their way into the sums.
type batch struct {
	fresh  func(key []byte) (gateway.Event, bool)
	keys   [][]byte // of events
	folder rollup.Folder
	table  rollup.Table      // what they add
	ids    map[string]string // what they add to bucketIDs
}

// read takes what waits, oldest keys of events first, up to the bounds of a fold.
func (b *batch) read(t *txn) error {
	cursor := t.tx.Bucket(bucketUnfolded).Cursor()
	for k, _ := cursor.First(); k != nil && len(b.keys) < foldEvents && b.folder.Groups() < foldGroups; k, _ = cursor.Next() {
		b.keys = append(b.keys, slices.Clone(k))
		e, fresh := b.fresh(k)
		if !fresh {
			v := t.get(bucketEvents, k)
			if v == nil {
				continue // past its retention before it was counted
			}
			if err := json.Unmarshal(v, &e); err != nil {
				return broken("event", err)
			}
		}
		b.folder.Add(&e)
		b.noteIDs(&e)
	}
	return nil
}

// noteIDs notes the user and custom id of an event.
func (b *batch) noteIDs(e *gateway.Event) {
	if e.UserID != "" {
		b.ids[string(idKey(e.KeyID, idsOfUsers, e.UserID))] = e.UserID
	}
	if id := strings.ToValidUTF8(e.CustomID, "\uFFFD"); id != "" { // as the event's JSON has it
		b.ids[string(idKey(e.KeyID, idsOfCustoms, id))] = id
	}
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
