package bolt_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"

	"tollgate/internal/gateway"
	"tollgate/internal/store/bolt"
)

// held is a store whose commits wait for release, and the number of them.
type held struct {
	*bolt.Store
	release chan struct{} // one value for each commit, or closed
	commits int
	fail    error // of the next commits
}

// hold must be called in a synctest bubble.
func hold(t *testing.T) *held {
	h := &held{release: make(chan struct{})}
	h.Store = open(t, filepath.Join(t.TempDir(), "db"), bolt.Options{})
	h.WrapCommit(func(commit func() error) error {
		<-h.release
		h.commits++
		if h.fail != nil {
			return h.fail
		}
		return commit()
	})
	return h
}

// begin starts a write and returns its answer to come. It returns when the writer
// has the write or the write waits for the writer.
func (h *held) begin(ctx context.Context, run func(put func(string) error) error) <-chan error {
	answer := make(chan error, 1)
	go func() { answer <- h.Write(ctx, run) }()
	synctest.Wait()
	return answer
}

func put(name string) func(func(string) error) error {
	return func(put func(string) error) error { return put(name) }
}

// names lists what was written.
func (h *held) names(t *testing.T) string {
	t.Helper()
	var all string
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		if _, err := h.Setting(t.Context(), name); err == nil {
			all += name
		} else if !errors.Is(err, gateway.ErrNotFound) {
			t.Fatal(err)
		}
	}
	return all
}

func TestWhatWaitsSharesACommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hold(t)
		answers := []<-chan error{h.begin(t.Context(), put("a"))}
		for _, name := range []string{"b", "c", "d"} {
			answers = append(answers, h.begin(t.Context(), put(name)))
		}
		close(h.release)
		for _, a := range answers {
			if err := <-a; err != nil {
				t.Error(err)
			}
		}
		if got := h.names(t); got != "abcd" || h.commits != 2 {
			t.Errorf("%q in %d commits, want abcd in 2", got, h.commits)
		}
	})
}

func TestFailureSparesNeighbours(t *testing.T) {
	refused, failed := errors.New("refused"), errors.New("failed")
	synctest.Test(t, func(t *testing.T) {
		h := hold(t)
		runs := 0
		first := h.begin(t.Context(), put("a"))
		b := h.begin(t.Context(), func(put func(string) error) error { runs++; return put("b") })
		c := h.begin(t.Context(), func(put func(string) error) error { return errors.Join(put("c"), failed) })
		d := h.begin(t.Context(), func(func(string) error) error { return refused })
		e := h.begin(t.Context(), put("e"))
		close(h.release)
		for name, want := range map[string]struct {
			answer <-chan error
			err    error
		}{"a": {first, nil}, "b": {b, nil}, "c": {c, failed}, "d": {d, refused}, "e": {e, nil}} {
			if err := <-want.answer; !errors.Is(err, want.err) {
				t.Errorf("%s: %v, want %v", name, err, want.err)
			}
		}
		if got := h.names(t); got != "abe" || h.commits != 2 {
			t.Errorf("%q in %d commits, want abe in 2", got, h.commits)
		}
		if runs != 2 {
			t.Errorf("b ran %d times, want twice: beside c, and without it", runs)
		}
	})
}

func TestFailedCommitFailsAll(t *testing.T) {
	disk := errors.New("disk full")
	synctest.Test(t, func(t *testing.T) {
		h := hold(t)
		h.fail = disk
		a := h.begin(t.Context(), put("a"))
		close(h.release)
		if err := <-a; !errors.Is(err, disk) || gateway.KindOf(err) != gateway.Unavailable {
			t.Errorf("%v of kind %d, want %v, unavailable", err, gateway.KindOf(err), disk)
		}
		if got := h.names(t); got != "" {
			t.Errorf("%q was written", got)
		}
		h.fail = nil
		if err := h.Write(t.Context(), put("b")); err != nil {
			t.Error(err)
		}
		if got := h.names(t); got != "b" {
			t.Errorf("%q, want b", got)
		}
	})
}

func TestRefusalsNeedNoCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hold(t) // never released: a commit would hang
		err := h.Write(t.Context(), func(func(string) error) error { return gateway.ErrExists })
		if !errors.Is(err, gateway.ErrExists) {
			t.Error(err)
		}
		if err := h.DeleteKey(t.Context(), "nobody"); err != nil {
			t.Error(err)
		}
	})
}

func TestContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hold(t)
		taken, cancelTaken := context.WithCancel(t.Context())
		waiting, cancelWaiting := context.WithCancel(t.Context())
		a := h.begin(taken, put("a"))
		b := h.begin(waiting, put("b"))

		cancelWaiting() // the writer is busy with a: b gives up and is never run
		if err := <-b; !errors.Is(err, context.Canceled) {
			t.Errorf("b: %v, want canceled", err)
		}
		cancelTaken() // too late to matter
		synctest.Wait()
		select {
		case err := <-a:
			t.Errorf("a did not wait for its commit: %v", err)
		default:
		}
		close(h.release)
		if err := <-a; err != nil {
			t.Errorf("a: %v", err)
		}
		if err := <-h.begin(taken, put("c")); !errors.Is(err, context.Canceled) {
			t.Errorf("c: %v, want canceled", err)
		}
		if got := h.names(t); got != "a" {
			t.Errorf("%q, want a", got)
		}
		if _, err := h.Keys(taken); !errors.Is(err, context.Canceled) {
			t.Errorf("a read: %v, want canceled", err)
		}
	})
}

func TestCloseWaitsForTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "db")
		h := &held{release: make(chan struct{}), Store: open(t, path, bolt.Options{})}
		h.WrapCommit(func(commit func() error) error { <-h.release; return commit() })
		a := h.begin(t.Context(), put("a"))
		b := h.begin(t.Context(), put("b"))
		c := h.begin(t.Context(), put("c"))
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if err := h.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		close(h.release)
		wg.Wait()
		for _, answer := range []<-chan error{a, b, c} {
			if err := <-answer; err != nil {
				t.Error(err)
			}
		}
		for what, err := range map[string]error{
			"Write": h.Write(t.Context(), put("d")), "Ping": h.Ping(t.Context()),
		} {
			if gateway.KindOf(err) != gateway.Unavailable {
				t.Errorf("%s after Close: %v", what, err)
			}
		}
		h.Store = open(t, path, bolt.Options{})
		if got := h.names(t); got != "abc" {
			t.Errorf("%q, want abc", got)
		}
	})
}

// TestChangeMayUseTheStore would hang if change ran in the writer.
func TestChangeMayUseTheStore(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "db"), bolt.Options{})
	ctx := t.Context()
	for _, id := range []string{"a", "b"} {
		if err := s.CreateKey(ctx, gateway.Key{ID: id, Hash: "hash " + id}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.UpdateKey(ctx, "a", func(*gateway.Key) error { return s.DeleteKey(ctx, "b") })
	if err != nil {
		t.Error(err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		s.UpdateKey(ctx, "a", func(*gateway.Key) error { panic("in change") })
	}()
	_, err = s.UpdateKey(ctx, "a", func(*gateway.Key) error { return s.DeleteKey(ctx, "a") })
	if !errors.Is(err, gateway.ErrNotFound) {
		t.Errorf("a key deleted under its change: %v, want %v", err, gateway.ErrNotFound)
	}
}
