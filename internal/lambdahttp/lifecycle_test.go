package lambdahttp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/internal/afterwork"
	"tollgate/internal/lambdahttp"
)

func TestDeadlines(t *testing.T) {
	for _, test := range []struct {
		name              string
		invocation        time.Duration // 0: none
		margin            time.Duration
		handler, settling time.Duration
	}{
		{"default", 900 * time.Second, 0, 895 * time.Second, 899800 * time.Millisecond},
		{"own margin", 60 * time.Second, 10 * time.Second, 50 * time.Second, 59800 * time.Millisecond},
		{"short invocation", 4 * time.Second, 0, 2 * time.Second, 3800 * time.Millisecond},
		{"very short invocation", 200 * time.Millisecond, 0, 100 * time.Millisecond, 150 * time.Millisecond},
		{"none", 0, 0, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				ctx := t.Context()
				if test.invocation > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, test.invocation)
					defer cancel()
				}
				left := func(ctx context.Context) time.Duration {
					if deadline, ok := ctx.Deadline(); ok {
						return deadline.Sub(start)
					}
					return 0
				}
				var handler, settling time.Duration
				serve := lambdahttp.Stream(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					handler = left(r.Context())
					afterwork.Do(r.Context(), func(ctx context.Context) { settling = left(ctx) })
				}), lambdahttp.Options{Margin: test.margin})
				response, err := serve(ctx, event("GET"))
				if err != nil {
					t.Fatal(err)
				}
				deliver(response)
				if handler != test.handler || settling != test.settling {
					t.Errorf("handler has %v, work after it %v; want %v and %v", handler, settling, test.handler, test.settling)
				}
			})
		})
	}
}

func TestWorkRunsOnCloseWithALiveContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var ran []string
		response := invoke(t, ctx, "GET", func(w http.ResponseWriter, r *http.Request) {
			ctx := r.Context()
			afterwork.Do(ctx, func(after context.Context) {
				ran = append(ran, fmt.Sprint("first ", after.Err(), " ", ctx.Err()))
			})
			afterwork.Do(ctx, func(context.Context) { panic("gone wrong") })
			afterwork.Do(ctx, func(context.Context) { ran = append(ran, "third") })
			io.WriteString(w, "x")
		})
		io.ReadAll(response.Body)
		synctest.Wait()
		if len(ran) != 0 {
			t.Errorf("ran before Close: %q", ran)
		}
		cancel() // the runtime does so after Close; Close has to cope with either
		response.Close()
		response.Close()
		if diff := cmp.Diff([]string{"first <nil> context canceled", "third"}, ran); diff != "" {
			t.Errorf("work (-want +got):\n%s", diff)
		}
	})
}

// Close of a response that was not read to its end stops the handler, and waits.
func TestCloseStopsTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wrote error
		var settled bool
		response := invoke(t, t.Context(), "GET", func(w http.ResponseWriter, r *http.Request) {
			afterwork.Do(r.Context(), func(context.Context) { settled = wrote != nil })
			for {
				if _, wrote = w.Write(make([]byte, 64<<10)); wrote != nil {
					<-r.Context().Done()
					time.Sleep(time.Second) // its own tidying up
					return
				}
			}
		})
		io.ReadFull(response.Body, make([]byte, 100<<10))
		start := time.Now()
		response.Close()
		if took := time.Since(start); took != time.Second || !settled {
			t.Errorf("Close took %v, settled with what was known: %v; want 1s, true", took, settled)
		}
		if wrote == nil || !strings.Contains(wrote.Error(), "closed") {
			t.Errorf("the handler's write: %v", wrote)
		}
	})
}

// A reader that stalls is waited for until the write deadline, which may be moved and
// taken back.
func TestWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var wrote error
		response := invoke(t, t.Context(), "GET", func(w http.ResponseWriter, _ *http.Request) {
			conn := http.NewResponseController(w)
			conn.SetWriteDeadline(start.Add(time.Second))
			io.WriteString(w, "first")
			conn.SetWriteDeadline(time.Time{})
			conn.Flush()
			conn.SetWriteDeadline(start.Add(5 * time.Second))
			io.WriteString(w, "second")
			wrote = conn.Flush()
		})
		time.Sleep(3 * time.Second)
		got := make([]byte, 5)
		if _, err := io.ReadFull(response.Body, got); err != nil || string(got) != "first" {
			t.Errorf("read %q, %v after the deadline that was taken back", got, err)
		}
		time.Sleep(time.Minute)
		if _, err := io.ReadAll(response.Body); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the rest: %v, want that the response was cut at its deadline", err)
		}
		response.Close()
		if wrote == nil {
			t.Error("the handler was not told")
		}
	})
}

// A handler that ignores its context does not hold up the process.
func TestHandlerThatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		settled := false
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			afterwork.Do(r.Context(), func(context.Context) { settled = true })
			<-release
		})
		start := time.Now()
		_, err := lambdahttp.Stream(h, lambdahttp.Options{})(ctx, event("GET"))
		if err == nil || time.Since(start) != 10*time.Second || !settled {
			t.Errorf("error %v after %v, settled: %v", err, time.Since(start), settled)
		}

		ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		response := invoke(t, ctx, "GET", func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			<-release
		})
		start = time.Now()
		response.Close()
		if took := time.Since(start); took != 9800*time.Millisecond {
			t.Errorf("Close waited %v, want 9.8s", took)
		}
		close(release)
	})
}
