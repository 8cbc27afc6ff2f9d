package lambdahttp

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// bufferSize is how much a handler can write before it reaches the caller
// without a flush, in bytes.
const bufferSize = 32 << 10

type head struct {
	status int
	header http.Header
}

// writer is the http.ResponseWriter of an exchange. Like the one of net/http it is
// for one goroutine at a time.
type writer struct {
	header http.Header
	commit chan head // takes the head once, never blocks
	sent   bool
	head   bool // the request is HEAD: no body may follow
	bare   bool // the status allows no body
	pipe   *io.PipeWriter
	buffer *bufio.Writer // in front of pipe; made with the first byte
	late   *time.Timer   // ends the response at its write deadline; nil if it never had one
}

func newWriter(pipe *io.PipeWriter) *writer {
	return &writer{header: make(http.Header), commit: make(chan head, 1), pipe: pipe}
}

func (w *writer) Header() http.Header { return w.header }

// WriteHeader commits the head of the response. API Gateway cannot pass
// informational responses on, so those are ignored.
func (w *writer) WriteHeader(status int) {
	if w.sent || status >= 100 && status < 200 {
		return
	}
	if status < 200 || status > 599 {
		status = http.StatusBadGateway // API Gateway would refuse the whole response
	}
	w.sent = true
	w.bare = status == http.StatusNoContent || status == http.StatusNotModified
	w.commit <- head{status, outgoing(w.header, w.bare)}
}

func (w *writer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	switch {
	case w.bare:
		return 0, http.ErrBodyNotAllowed
	case w.head:
		return len(p), nil
	case w.buffer == nil:
		w.buffer = bufio.NewWriterSize(w.pipe, bufferSize)
	}
	return w.buffer.Write(p)
}

// FlushError sends what was written so far, the head at least. Its name is what
// http.ResponseController looks for.
func (w *writer) FlushError() error {
	w.WriteHeader(http.StatusOK)
	if w.buffer == nil {
		return nil
	}
	return w.buffer.Flush()
}

// Flush implements http.Flusher.
func (w *writer) Flush() { w.FlushError() }

// SetWriteDeadline cuts the response if it is not written by then; the zero time
// takes the deadline back. http.ResponseController looks for it.
func (w *writer) SetWriteDeadline(at time.Time) error {
	switch {
	case at.IsZero():
		if w.late != nil {
			w.late.Stop()
		}
	case w.late == nil:
		w.late = time.AfterFunc(time.Until(at), func() { w.pipe.CloseWithError(os.ErrDeadlineExceeded) })
	default:
		w.late.Reset(time.Until(at))
	}
	return nil
}

// finish ends the response in good order.
func (w *writer) finish() {
	err := w.FlushError()
	w.SetWriteDeadline(time.Time{})
	w.pipe.CloseWithError(err) // nil means io.EOF
}

// abort ends the response of a handler that panicked with v.
func (w *writer) abort(r *http.Request, v any) {
	if v != http.ErrAbortHandler {
		slog.ErrorContext(r.Context(), "handler panicked", "method", r.Method, "path", r.URL.Path,
			"panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	}
	if !w.sent {
		clear(w.header)
		internalError.ServeHTTP(w, r)
		w.finish()
		return
	}
	w.FlushError()
	w.SetWriteDeadline(time.Time{})
	w.pipe.CloseWithError(errCut)
}

// errCut ends a response that was begun and cannot be completed. The panic's value
// is not in it: the text leaves the process.
var errCut = errors.New("the response was cut short")

// hopByHop are headers that concern one connection. API Gateway makes its own.
var hopByHop = []string{
	"Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade",
}

// outgoing is the header as it goes to API Gateway: without what concerns a
// connection or would not be valid, and with a content type.
func outgoing(h http.Header, bare bool) http.Header {
	out := make(http.Header, len(h)+1)
	for name, values := range h {
		if !isToken(name) {
			continue // also trailers that were not announced: their names hold a colon
		}
		for _, value := range values {
			out.Add(name, oneLine.Replace(value))
		}
	}
	dropHopByHop(out)
	if !bare && out.Get("Content-Type") == "" {
		// API Gateway would claim JSON.
		out.Set("Content-Type", "application/octet-stream")
	}
	return out
}

var oneLine = strings.NewReplacer("\r", " ", "\n", " ")

func dropHopByHop(h http.Header) {
	for _, list := range h["Connection"] {
		for name := range strings.SplitSeq(list, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range hopByHop {
		h.Del(name)
	}
}

var internalError = failure(http.StatusInternalServerError, "server_error", "internal_error",
	"The gateway made an error. Please try again.")

func unreadable(err error) http.Handler {
	return failure(http.StatusBadRequest, "invalid_request_error", "invalid_request",
		"The request cannot be read: "+err.Error()+".")
}

// failure answers with an error body that the SDKs of both families read. It is
// for what the handler never saw; package web answers for everything else.
func failure(status int, kind, code, message string) http.Handler {
	body, _ := json.Marshal(map[string]any{ // strings always marshal
		"type":       "error",
		"error":      map[string]any{"type": kind, "message": message, "param": nil, "code": code},
		"request_id": "",
	})
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(status)
		w.Write(body)
	})
}
