// Package lambdahttp serves an http.Handler as a Lambda function behind a REST
// API of API Gateway with response streaming: proxy event in, streamed response
// out, and work after the response before the environment freezes.
package lambdahttp

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"tollgate/internal/afterwork"
)

// DefaultMargin is Options.Margin when that is zero.
const DefaultMargin = 5 * time.Second

// epilogue is what is left of an invocation for the runtime itself when the work
// after the response has to end.
const epilogue = 200 * time.Millisecond

// Options adjusts Stream. The zero value is good.
type Options struct {
	// Margin is how long before the end of the invocation the handler's context
	// ends, so that there is time to settle. An invocation shorter than twice
	// the margin is divided in two halves instead.
	Margin time.Duration
}

// Stream returns a handler for lambda.Start that serves each event with h. It is
// safe for concurrent invocations.
//
// The function answers as soon as h writes its head or flushes; what h writes then
// follows in pieces that end where h flushes. Work that h registered with
// afterwork.Do runs when the Runtime API has taken the last byte, and the next
// invocation is not asked for before it has ended. Its context has the deadline
// of the invocation, not the earlier one of the handler.
//
// An event that is no HTTP request is answered with 400. A handler that panics is
// answered with 500 if it had not begun its response; otherwise the response is
// cut, which the caller sees as an incomplete body.
func Stream(h http.Handler, opts Options) func(context.Context, events.APIGatewayProxyRequest) (*events.APIGatewayProxyStreamingResponse, error) {
	if opts.Margin <= 0 {
		opts.Margin = DefaultMargin
	}
	return func(ctx context.Context, e events.APIGatewayProxyRequest) (*events.APIGatewayProxyStreamingResponse, error) {
		x := newExchange(ctx, opts.Margin)
		r, err := NewRequest(x.handling, e)
		if err != nil {
			slog.WarnContext(ctx, "event is no HTTP request", "error", err)
			r, _ = http.NewRequestWithContext(x.handling, http.MethodGet, "/", nil)
			return x.start(ctx, unreadable(err), r)
		}
		return x.start(ctx, h, r)
	}
}

// exchange is one request and its response. As the body of the response it is
// read and closed by the runtime.
type exchange struct {
	handling context.Context // the handler's: ends a margin early
	cancel   context.CancelFunc
	settling context.Context // that of the work after the response
	release  context.CancelFunc
	queue    *afterwork.Queue

	body  *io.PipeReader
	write *writer
	done  chan struct{} // closed when the handler has returned
	once  sync.Once
}

func newExchange(ctx context.Context, margin time.Duration) *exchange {
	x := &exchange{done: make(chan struct{})}
	ctx, x.queue = afterwork.With(ctx)
	settling := context.WithoutCancel(ctx)
	if deadline, ok := ctx.Deadline(); ok {
		margin = max(0, min(margin, time.Until(deadline)/2))
		x.handling, x.cancel = context.WithDeadline(ctx, deadline.Add(-margin))
		x.settling, x.release = context.WithDeadline(settling, deadline.Add(-min(epilogue, margin/2)))
	} else {
		x.handling, x.cancel = context.WithCancel(ctx)
		x.settling, x.release = context.WithCancel(settling)
	}
	body, pipe := io.Pipe()
	x.body, x.write = body, newWriter(pipe)
	return x
}

// start runs the handler and returns when the head of its response is known.
func (x *exchange) start(ctx context.Context, h http.Handler, r *http.Request) (*events.APIGatewayProxyStreamingResponse, error) {
	x.write.head = r.Method == http.MethodHead
	go x.serve(h, r)
	select {
	case head := <-x.write.commit:
		return &events.APIGatewayProxyStreamingResponse{
			StatusCode:        head.status,
			MultiValueHeaders: head.header,
			Body:              x,
		}, nil
	case <-ctx.Done():
		// Only a handler that ignores its context gets here. With several
		// invocations in one process the others go on, so settle what there is.
		x.Close()
		return nil, errors.New("no response before the end of the invocation")
	}
}

func (x *exchange) serve(h http.Handler, r *http.Request) {
	defer close(x.done)
	defer x.cancel()
	returned := false
	defer func() {
		// A panic in a goroutine would take the whole process with it. Goexit has
		// no value to recover, hence the flag.
		if v := recover(); !returned {
			x.write.abort(r, v)
			return
		}
		x.write.finish()
	}()
	h.ServeHTTP(x.write, r)
	returned = true
}

// Read reads the body as the handler writes it.
func (x *exchange) Read(p []byte) (int, error) { return x.body.Read(p) }

// Close ends the exchange: the runtime calls it when the response is delivered, or
// cannot be. It stops a handler that still writes, waits for it and does the work
// after the response.
func (x *exchange) Close() error {
	x.once.Do(func() {
		defer x.release()
		x.body.CloseWithError(errClosed)
		x.cancel()
		select {
		case <-x.done:
		case <-x.settling.Done():
			slog.ErrorContext(x.settling, "handler did not stop when its response was closed")
		}
		x.queue.Run(x.settling)
	})
	return nil
}

// errClosed is what a handler's writes return after the response was closed.
var errClosed = errors.New("the response is closed")
