package afterwork_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/internal/afterwork"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // panics are provoked below
	os.Exit(m.Run())
}

func TestQueueRunsInOrderAndOnce(t *testing.T) {
	ctx, queue := afterwork.With(t.Context())
	var ran []string
	note := func(name string) func(context.Context) {
		return func(context.Context) { ran = append(ran, name) }
	}
	afterwork.Do(ctx, note("first"))
	afterwork.Do(ctx, func(context.Context) { panic("a job gone wrong") })
	afterwork.Do(ctx, func(ctx context.Context) {
		ran = append(ran, "second")
		afterwork.Do(ctx, note("nested")) // this context carries no queue: at once
	})
	afterwork.Do(ctx, func(context.Context) { afterwork.Do(ctx, note("appended")) })
	afterwork.Do(ctx, note("third"))
	if len(ran) != 0 {
		t.Fatalf("ran before Run: %q", ran)
	}

	queue.Run(t.Context())
	queue.Run(t.Context())
	want := []string{"first", "second", "nested", "third", "appended"}
	if !slices.Equal(ran, want) {
		t.Errorf("ran %q, want %q", ran, want)
	}

	afterwork.Do(ctx, note("late"))
	if want = append(want, "late"); !slices.Equal(ran, want) {
		t.Errorf("work registered after Run: ran %q, want %q", ran, want)
	}
}

func TestDoWithoutQueueRunsAtOnceUncancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := errors.New("did not run")
	afterwork.Do(ctx, func(ctx context.Context) { err = ctx.Err() })
	if err != nil {
		t.Errorf("the work's context: %v, want none", err)
	}
	afterwork.Do(ctx, func(context.Context) { panic("must not reach the caller") })
}

func TestQueueIsSafeForConcurrentUse(t *testing.T) {
	ctx, queue := afterwork.With(t.Context())
	var ran atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				afterwork.Do(ctx, func(context.Context) { ran.Add(1) })
			}
		})
		wg.Go(func() { queue.Run(t.Context()) })
	}
	wg.Wait()
	queue.Run(t.Context())
	if got := ran.Load(); got != 800 {
		t.Errorf("%d jobs ran, want 800", got)
	}
}

// The client has the whole response while the work is still held up.
func TestHandlerLetsTheClientGo(t *testing.T) {
	release := make(chan struct{})
	var ran atomic.Bool
	var tracker afterwork.Tracker
	server := httptest.NewServer(afterwork.Handler(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			afterwork.Do(r.Context(), func(ctx context.Context) {
				<-release
				ran.Store(ctx.Err() == nil)
			})
			io.WriteString(w, "done")
		}), &tracker))
	defer server.Close()

	response, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil || string(body) != "done" {
		t.Fatalf("body %q, error %v", body, err)
	}
	response.Body.Close()

	expired, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tracker.Wait(expired); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait while work is held up: %v, want context.Canceled", err)
	}
	close(release)
	if err := tracker.Wait(t.Context()); err != nil {
		t.Errorf("Wait: %v", err)
	}
	if !ran.Load() {
		t.Error("the work did not run with a live context")
	}
}

func TestHandlerThatPanicsLeavesItsWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tracker afterwork.Tracker
		ran := false
		h := afterwork.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			afterwork.Do(r.Context(), func(context.Context) {
				time.Sleep(time.Second)
				ran = true
			})
			panic(http.ErrAbortHandler)
		}), &tracker)
		func() {
			defer func() {
				if v := recover(); v != http.ErrAbortHandler {
					t.Errorf("the panic became %v", v)
				}
			}()
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", strings.NewReader("")))
		}()
		start := time.Now()
		if err := tracker.Wait(t.Context()); err != nil || !ran {
			t.Errorf("Wait: %v, ran: %v", err, ran)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("Wait took %v, want 1s", took)
		}
		if err := tracker.Wait(t.Context()); err != nil {
			t.Errorf("Wait when idle: %v", err)
		}
	})
}
