package provider

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"

	"tollgate/internal/eventstream"
)

// frames is how a Meter reads along where the answer is a stream in the framing of
// AWS. The frames pass untouched; of one that breaks off nothing passes, so that
// a frame can follow which says so.
type frames struct {
	dec   eventstream.Decoder
	loose bool // not to be read any more: what comes passes as it is
}

// MeterFor makes a meter for the answer to c that has these headers.
func MeterFor(c *Call, h http.Header) *Meter {
	m := NewMeter(c, isMedia(h, "text/event-stream"))
	if IsFramed(h) {
		m.frames = &frames{}
	}
	if metrics := metricsOf(h); metrics != "" {
		m.all.put(invocationMetrics, metrics)
	}
	if tier, err := json.Marshal(h.Get("X-Amzn-Bedrock-Service-Tier")); err == nil && len(tier) > len(`""`) {
		m.all.put(converseTier, string(tier))
	}
	return m
}

// Framed reports whether the answer is in the framing of AWS, and errors have to
// be as well.
func (m *Meter) Framed() bool { return m.frames != nil }

// MidEvent reports whether what Pass has returned so far ends inside of an event:
// only of one that was too long to be held back, or of a frame that cannot be read.
func (m *Meter) MidEvent() bool { return m.loose || m.frames != nil && m.frames.loose }

// Texts reports whether what Answer returns is server-sent events: as it came, or
// made of frames.
func (m *Meter) Texts() bool { return m.events || m.frames != nil }

// passFrames is Pass for frames.
func (m *Meter) passFrames(p []byte) []byte {
	if m.frames.loose {
		return p
	}
	m.out = m.out[:0]
	err := m.frames.dec.Feed(p, func(f eventstream.Frame) {
		m.frame(f)
		m.out = append(m.out, f.Raw...)
	})
	if err != nil {
		// Perhaps the caller can make sense of it. What it cost is not known.
		m.out = append(m.out, m.frames.dec.Take()...)
		m.frames.loose, m.whole = true, false
	}
	return m.out
}

// frame reads one frame.
func (m *Meter) frame(f eventstream.Frame) {
	data := f.Payload
	if f.Kind == eventstream.Event && f.Name == "chunk" {
		data = chunk(f.Payload)
	}
	m.failed = m.failed || f.Kind != eventstream.Event
	m.copy([]byte("data: "))
	m.copy(bytes.ReplaceAll(data, []byte("\n"), nil))
	m.copy([]byte("\n\n"))
	m.current.Write(data)
	m.endEvent()
	m.done = m.done || f.Name == "messageStop"
	m.near = m.near || m.done // a conversation tells its usage behind its end
}

// ErrorFrame is an error in the framing of AWS, as Bedrock ends a stream that it
// cannot go on with.
func ErrorFrame(message []byte) []byte {
	b, _ := eventstream.Encode(eventstream.Frame{Kind: eventstream.Exception, Name: "modelStreamErrorException", Payload: message})
	return b // two short headers always encode
}

// IsFramed reports whether an answer is a stream in the framing of AWS.
func IsFramed(h http.Header) bool { return isMedia(h, "application/vnd.amazon.eventstream") }

func isMedia(h http.Header, want string) bool {
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	return kind == want
}
