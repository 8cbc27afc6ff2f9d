package bolt

import (
	"context"
	"errors"

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

// write is an operation that waits for the writer.
type write struct {
	ctx context.Context
	run func(*txn) error // may be called more than once, in transactions that came to nothing
	err error
	end chan struct{} // closed when err is final
}

var errClosed = errors.New("the store is closed")

// write has the operation run in a transaction, together with others, and waits
// until it is on disk. An operation whose context ends before the writer takes it
// is not run. After that the context has no say: the commit takes a moment only,
// and a caller that knows what became of its call is better off than one that left.
func (s *Store) write(ctx context.Context, run func(*txn) error) error {
	w := &write{ctx: ctx, run: run, end: make(chan struct{})}
	if err := s.enqueue(w); err != nil {
		return err
	}
	<-w.end
	return w.err
}

func (s *Store) enqueue(w *write) error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.closed {
		return unavailable(errClosed)
	}
	select {
	case s.queue <- w:
		return nil
	case <-w.ctx.Done():
		return w.ctx.Err()
	}
}

// writer commits everything that waits in one transaction, then everything that
// came meanwhile in the next. A sync to disk takes longer than any operation, so
// callers share it; and a lone caller waits for nobody, as there is no timer.
func (s *Store) writer() {
	defer close(s.done)
	for w := range s.queue {
		for batch := s.gather(w); len(batch) > 0; {
			batch = s.attempt(batch)
		}
	}
}

// gather takes what waits beside first.
func (s *Store) gather(first *write) []*write {
	batch := []*write{first}
	for {
		select {
		case w, ok := <-s.queue:
			if !ok {
				return batch
			}
			batch = append(batch, w)
		default:
			return batch
		}
	}
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
		if w.err = w.run(t); w.err != nil && t.writes > before {
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
