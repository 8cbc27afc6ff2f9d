// Package afterwork runs work that belongs to a request but need not keep the
// caller waiting: it is registered while the request is served and runs once the
// response has been delivered.
//
// Who serves the request decides when that is. Package lambdahttp runs the queue
// when Lambda has taken the last byte; Handler does it for an ordinary server.
package afterwork

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
)

type contextKey struct{}

// Queue holds the work of one request. It is safe for concurrent use.
type Queue struct {
	mu     sync.Mutex
	jobs   []func(context.Context)
	closed bool // Run has ended: nobody will come for the jobs any more
}

// With returns a copy of ctx that carries a new queue, and the queue. Whoever
// calls With has to call Run, or the work is lost.
func With(ctx context.Context) (context.Context, *Queue) {
	q := new(Queue)
	return context.WithValue(ctx, contextKey{}, q), q
}

// Do registers f to run after the response to the request that ctx belongs to.
// The context f gets is not cancelled with the request.
//
// Where nothing waits for the work, because ctx has no queue or its queue has
// run, f runs before Do returns: work may come early, but it is never lost.
func Do(ctx context.Context, f func(ctx context.Context)) {
	if q, ok := ctx.Value(contextKey{}).(*Queue); ok && q.add(f) {
		return
	}
	run(context.WithoutCancel(ctx), f)
}

// Run runs what was registered, in order, and what that registers in turn. A job
// that panics is logged and does not stop the next. All jobs share ctx: a
// deadline there is for all of them together.
func (q *Queue) Run(ctx context.Context) {
	for {
		f := q.next()
		if f == nil {
			return
		}
		run(ctx, f)
	}
}

// add reports whether f was taken.
func (q *Queue) add(f func(context.Context)) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.jobs = append(q.jobs, f)
	return true
}

// next takes the first job, or closes the queue if there is none.
func (q *Queue) next() func(context.Context) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.jobs) == 0 {
		q.closed = true
		return nil
	}
	f := q.jobs[0]
	q.jobs = q.jobs[1:]
	return f
}

func run(ctx context.Context, f func(context.Context)) {
	defer func() {
		if v := recover(); v != nil {
			slog.ErrorContext(ctx, "work after the response panicked",
				"panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	f(ctx)
}
