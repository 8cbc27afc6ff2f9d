package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"sync"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/provider"
	"tollgate/internal/web"
)

var buffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// relay copies the answer to the caller as it comes, while the meter reads along.
func (x *exchange) relay(ctx context.Context) error {
	res := x.response
	defer res.Body.Close()
	if x.stay != nil {
		defer x.stay()
	}
	x.meter = provider.MeterFor(x.call, res.Header)

	if x.call.Stream || mediaType(res.Header) != "application/json" {
		x.begin() // what plays as it comes, speech above all, waits for nothing
	}
	err := x.copy(res.Body, x.meter.Texts() || res.ContentLength < 0)
	held := x.meter.End()
	if err != nil {
		return err
	}
	x.begin()
	if len(held) > 0 {
		x.send(http.NewResponseController(x.w), held, false)
	}
	if x.meter.Texts() {
		x.noteEnd()
	}
	return nil
}

// noteEnd records how a stream ended: with an error event of the provider's, or
// without the end that its protocol has.
func (x *exchange) noteEnd() {
	switch x.endpoint.Metering {
	case provider.Chat, provider.Completion, provider.Responses, provider.Invoke, provider.Converse:
		x.truncated = x.truncated || !x.meter.Done()
	}
	if x.meter.Failed() && x.code == "" {
		x.code = "upstream_error_event"
	}
}

// begin sends the provider's head on, once. After it a failure can only cut the answer.
func (x *exchange) begin() {
	if x.begun {
		return
	}
	h := x.w.Header()
	answerHeader(h, x.response.Header)
	x.standingHeaders()
	if x.meter.Texts() {
		h.Set("X-Accel-Buffering", "no") // for proxies in between
		h.Del("Content-Length")          // an event may be taken out
	}
	x.begun, x.status = true, x.response.StatusCode
	x.w.WriteHeader(x.status)
}

// holdTime is how long the beginning of an answer waits for its end. A provider that
// keeps a connection alive with blanks is not held up for longer.
const holdTime = 2 * time.Second

// copy moves the body in the pieces it arrives in. With flush each goes out at
// once, but those at the beginning of an answer in JSON in one piece: they wait until
// it is whole or fills the buffer, so that one which breaks off before is an error
// that says so.
func (x *exchange) copy(src io.Reader, flush bool) error {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	conn := http.NewResponseController(x.w)
	gone := false
	held := 0 // bytes that wait at the beginning of buf
	for {
		n, err := src.Read((*buf)[held:])
		if n > 0 {
			x.last = x.server.Now()
			if x.first.IsZero() {
				x.first = x.last
			}
			out := x.meter.Pass((*buf)[held : held+n])
			if x.meter.NearEnd() {
				x.near.Store(true) // before the caller sees it, and may leave
			}
			if !x.begun {
				if held += n; err == nil && held < len(*buf) && x.last.Sub(x.first) < holdTime {
					continue
				}
				out, held = (*buf)[:held], 0 // what the meter passes is as it came
				if err == nil || err == io.EOF {
					x.begin()
				}
			}
			if len(out) > 0 && x.begun && !gone {
				gone = !x.send(conn, out, flush)
			}
			if x.call.StreamEnd != "" && x.meter.Ended() {
				return nil // whether the provider hangs up or not
			}
		}
		switch {
		case err == io.EOF:
			if held > 0 {
				x.begin()
				gone = !x.send(conn, (*buf)[:held], flush)
			}
			if gone {
				x.abandoned()
			}
			return nil
		case err != nil:
			return x.brokenAnswer(err, gone)
		case gone && x.call.Stream && !x.near.Load():
			x.abandoned()
			return nil // the deferred Close cancels the upstream call
		case gone && x.call.Stream:
			x.leave()
		}
	}
}

// leave ends the upstream call of a stream whose caller has left: at once, or where
// the answer was complete, a little later. The provider has done its work then, and
// what it says next is what that cost. Many clients leave just there.
func (x *exchange) leave() {
	x.leaving.Do(func() {
		if x.near.Load() {
			time.AfterFunc(x.server.usageWait, x.cancel)
		} else {
			x.cancel()
		}
	})
}

// send reports whether the caller took the piece.
func (x *exchange) send(conn *http.ResponseController, p []byte, flush bool) bool {
	x.hurry(conn)
	if !x.write(p) {
		return false
	}
	return !flush || conn.Flush() == nil
}

// hurry sets the time in which the caller has to take what is written next. One that
// stops reading must not outlast the reservation.
func (x *exchange) hurry(conn *http.ResponseController) {
	wait := 2 * x.server.patience // the server may wait for the rest of a body that is refused
	if !x.end.IsZero() {
		wait = min(x.server.patience, x.left()+lastWords)
	}
	_ = conn.SetWriteDeadline(time.Now().Add(wait)) // not every server has deadlines
}

// left is how long the upstream call may still take.
func (x *exchange) left() time.Duration { return x.end.Sub(x.server.Now()) }

func (x *exchange) write(p []byte) bool {
	_, err := x.w.Write(p)
	return err == nil
}

func isEventStream(h http.Header) bool { return mediaType(h) == "text/event-stream" }

func mediaType(h http.Header) string {
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	return kind
}

// abandoned notes that the caller left before the answer ended.
func (x *exchange) abandoned() { x.truncated, x.code = true, "client_closed_request" }

// brokenAnswer is an answer that the provider did not finish.
func (x *exchange) brokenAnswer(err error, gone bool) error {
	if gone || errors.Is(err, context.Canceled) {
		x.abandoned()
		return nil
	}
	x.truncated = true
	if errors.Is(err, context.DeadlineExceeded) {
		return &gateway.Error{Kind: gateway.Timeout, NoRetry: true, Err: err, Message: "The provider's answer did not end in time."}
	}
	return &gateway.Error{Kind: gateway.BadGateway, Code: "upstream_interrupted", NoRetry: true, Err: err,
		Message: "The provider's answer broke off."}
}

// breakOff ends an answer that has begun. A stream of events gets one error event
// in its own dialect; anything else is cut, so that nobody takes a part for the whole.
func (x *exchange) breakOff(err error) {
	framed := x.meter != nil && x.meter.Framed() && !x.meter.MidEvent()
	if x.meter == nil || !framed && !isEventStream(x.w.Header()) {
		panic(http.ErrAbortHandler)
	}
	event := x.errorEvent(err)
	if framed {
		event = string(provider.ErrorFrame(web.Body(x.dialect(), err, x.id)))
	} else if x.meter.MidEvent() {
		event = "\n\n" + event
	}
	conn := http.NewResponseController(x.w)
	x.hurry(conn)
	if x.write([]byte(event)) {
		_ = conn.Flush()
	}
}

// errorEvent is the end of a stream that broke off.
func (x *exchange) errorEvent(err error) string {
	body := string(web.Body(x.dialect(), err, x.id))
	switch {
	case x.endpoint.Metering == provider.Responses:
		e := web.Public(err)
		data, _ := json.Marshal(map[string]any{
			"type": "error", "code": e.Code, "message": web.Prefix + e.Message, "param": nil, "sequence_number": 0})
		return "event: error\ndata: " + string(data) + "\n\n"
	case x.dialect() == gateway.AnthropicDialect:
		return "event: error\ndata: " + body + "\n\n"
	case x.dialect() == gateway.GoogleDialect:
		return "data: " + body + "\n\n"
	}
	return "data: " + body + "\n\ndata: [DONE]\n\n"
}
