package bolt

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

// txn is a transaction. It counts what is written, because an operation that
// failed may be skipped only as long as it wrote nothing.
type txn struct {
	tx     *bbolt.Tx
	writes int
	loaded map[string]*loaded // counters, by key hash
}

// get returns the value, nil if there is none. It is valid, and must not be
// changed, until the transaction ends or writes to the bucket.
func (t *txn) get(bucket, key []byte) []byte { return t.tx.Bucket(bucket).Get(key) }

func (t *txn) put(bucket, key, value []byte) error {
	t.writes++
	if err := t.tx.Bucket(bucket).Put(key, value); err != nil {
		return unavailable(err)
	}
	return nil
}

func (t *txn) delete(bucket, key []byte) error {
	t.writes++
	if err := t.tx.Bucket(bucket).Delete(key); err != nil {
		return unavailable(err)
	}
	return nil
}

// write is an operation on its way to the disk.
type write struct {
	ctx context.Context
	run func(*txn) error // may be called more than once, in transactions that came to nothing
	// patient: nobody waits for it, so it may wait for another's commit.
	patient bool

	err  error
	end  chan struct{} // closed when err is final
	lead chan struct{} // closed when it is its caller's turn to commit
}

func newWrite(ctx context.Context, run func(*txn) error) *write {
	return &write{ctx: ctx, run: run, end: make(chan struct{}), lead: make(chan struct{})}
}

var errClosed = errors.New("the store is closed")

// line is where writes wait to be committed. One caller at a time leads: it commits
// everything that waits, its own write among it, in one transaction, and then
// appoints the next. A sync to disk takes longer than any operation, so callers
// share it; and a lone caller waits for nobody and changes no goroutine.
type line struct {
	mu      sync.Mutex
	waiting []*write
	led     bool
	closed  bool
	drained chan struct{} // closed when nothing waits any more after closed
	timer   *time.Timer   // runs while only patient writes wait
}

// lingering is how long writes that nobody waits for wait for a commit to share.
// A settlement then costs the next call's reservation no sync of its own; what is
// lost in a crash meanwhile is what a crash before the settlement would lose.
const lingering = 2 * time.Millisecond

// write has the operation run in a transaction, together with others, and waits
// until it is on disk. An operation whose context ends before a leader takes it
// is not run. After that the context has no say: the commit takes a moment only,
// and a caller that knows what became of its call is better off than one that left.
func (s *Store) write(ctx context.Context, run func(*txn) error) error {
	return s.commitWrite(newWrite(ctx, run))
}

func (s *Store) commitWrite(w *write) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	leads, err := s.join(w)
	if err != nil {
		return err
	}
	if leads {
		s.lead()
		return w.err
	}
	select {
	case <-w.end:
	case <-w.lead:
		s.lead()
	case <-w.ctx.Done():
		if s.leave(w) {
			return w.ctx.Err()
		}
		select {
		case <-w.end:
		case <-w.lead:
			s.lead()
		}
	}
	return w.err
}

// join puts the write into the line and reports whether its caller is to lead.
func (s *Store) join(w *write) (leads bool, err error) {
	l := &s.line
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false, unavailable(errClosed)
	}
	l.waiting = append(l.waiting, w)
	switch {
	case l.led:
	case !w.patient:
		l.led = true
		return true, nil
	case len(l.waiting) == 1:
		l.timer.Reset(lingering)
	}
	return false, nil
}

// leave takes a write out of the line that no leader has taken, and whose caller
// was not appointed; it reports whether it did.
func (s *Store) leave(w *write) bool {
	l := &s.line
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-w.lead:
		return false
	default:
	}
	for i := range l.waiting {
		if l.waiting[i] == w {
			l.waiting = append(l.waiting[:i:i], l.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// lead commits what waits and passes the lead on.
func (s *Store) lead() {
	l := &s.line
	l.mu.Lock()
	l.timer.Stop()
	batch := l.waiting
	l.waiting = nil
	l.mu.Unlock()
	for len(batch) > 0 {
		batch = s.attempt(batch)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.waiting {
		if !w.patient || l.closed {
			close(w.lead)
			return
		}
	}
	l.led = false
	switch {
	case len(l.waiting) > 0:
		l.timer.Reset(lingering)
	case l.closed:
		close(l.drained)
	}
}

// lingered leads for patient writes that found no commit to share.
func (s *Store) lingered() {
	l := &s.line
	l.mu.Lock()
	idle := l.led || len(l.waiting) == 0
	if !idle {
		l.led = true
	}
	l.mu.Unlock()
	if !idle {
		s.lead()
	}
}

// drain keeps new writes out and returns when those in the line are on disk.
func (s *Store) drain() {
	l := &s.line
	l.mu.Lock()
	first := !l.closed
	l.closed = true
	if first && !l.led {
		if len(l.waiting) > 0 {
			l.led = true
			close(l.waiting[0].lead)
		} else {
			close(l.drained)
		}
	}
	l.mu.Unlock()
	<-l.drained
}

// attempt runs the batch in one transaction and answers. Operations decide before
// they write, so a refusal leaves no trace and the others go on beside it. One that
// fails after it wrote takes the transaction with it: it alone is answered, and the
// rest is returned for another attempt, so that nobody fails for a neighbour.
func (s *Store) attempt(batch []*write) (rest []*write) {
	tx, err := s.db.Begin(true)
	if err != nil {
		answer(batch, unavailable(err))
		return nil
	}
	defer tx.Rollback() // no effect after a commit
	t := &txn{tx: tx}
	for i, w := range batch {
		if w.err = w.ctx.Err(); w.err != nil {
			continue
		}
		before := t.writes
		if w.err = protect(w.run, t); w.err != nil && t.writes > before {
			close(w.end)
			return append(batch[:i:i], batch[i+1:]...)
		}
	}
	if t.writes > 0 { // a batch of refusals has nothing to sync
		err := t.flush()
		if err == nil {
			err = s.commit(tx)
		}
		if err != nil {
			// Refusals, too: they may rest on what a neighbour wrote in vain.
			answer(batch, unavailable(err))
			return nil
		}
	}
	for _, w := range batch {
		close(w.end)
	}
	return nil
}

// protect turns a panic into an error: the leader of a batch runs what belongs to
// others, and must pass the lead on whatever happens.
func protect(run func(*txn) error, t *txn) (err error) {
	defer func() {
		if v := recover(); v != nil {
			t.writes++ // it may have written
			err = broken("operation", fmt.Errorf("panic: %v", v))
		}
	}()
	return run(t)
}

// answer gives all of the batch the same error.
func answer(batch []*write, err error) {
	for _, w := range batch {
		w.err = err
		close(w.end)
	}
}

// view runs f on what was committed last.
func (s *Store) view(ctx context.Context, f func(*txn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	tx, err := s.db.Begin(false)
	if err != nil {
		return unavailable(err)
	}
	defer tx.Rollback()
	return f(&txn{tx: tx})
}
