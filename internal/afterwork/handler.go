package afterwork

import (
	"context"
	"net/http"
	"sync"
)

// Tracker knows the requests that are being served and the work they left
// behind, so that a server can stop without cutting either. The zero value is
// ready to use.
type Tracker struct {
	mu   sync.Mutex
	busy int
	idle chan struct{} // closed when busy falls to 0; nil while nobody waits
}

// Handler serves with next and, once it has returned, runs the work it registered
// in a goroutine of its own. The server can then finish the response at once.
// A handler that panics leaves its work to be done all the same.
func Handler(next http.Handler, t *Tracker) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, queue := With(r.Context())
		t.begin()
		defer func() {
			go func() {
				defer t.end()
				queue.Run(context.WithoutCancel(ctx))
			}()
		}()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// Wait returns nil when no request is being served and no work is left, or the
// error of ctx if that comes first. Call it when no more requests come in, after
// http.Server.Shutdown.
func (t *Tracker) Wait(ctx context.Context) error {
	t.mu.Lock()
	if t.busy == 0 {
		t.mu.Unlock()
		return nil
	}
	if t.idle == nil {
		t.idle = make(chan struct{})
	}
	idle := t.idle
	t.mu.Unlock()

	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Busy is how many requests are being served, or have left work that is not done.
func (t *Tracker) Busy() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.busy
}

func (t *Tracker) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.busy++
}

func (t *Tracker) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.busy--
	if t.busy == 0 && t.idle != nil {
		close(t.idle)
		t.idle = nil
	}
}
