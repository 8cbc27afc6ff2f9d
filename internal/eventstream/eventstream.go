// Package eventstream reads and writes AWS event streams, the framing in which
// Amazon Bedrock streams, in whatever pieces they arrive.
package eventstream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
)

// What a frame can be (Frame.Kind).
const (
	Event     = "event"
	Exception = "exception" // modelled by the service, ends the stream
	Failure   = "error"     // any other, ends the stream
)

// Frame is one message of a stream.
type Frame struct {
	Kind    string // Event, Exception or Failure
	Name    string // of the event, or the error's code
	Payload []byte // JSON, at Bedrock
	Raw     []byte // the frame as it came; valid until the next call of Feed
}

// MaxFrame bounds a frame in bytes: far more than Bedrock puts into one, and
// little enough to be held by every call at once.
const MaxFrame = 1 << 20

// ErrTooLong is returned for a frame longer than MaxFrame.
var ErrTooLong = errors.New("event stream: a frame is too long")

// Decoder takes a stream apart. The zero value is ready.
type Decoder struct {
	held []byte
	err  error
}

// Feed takes the next piece and calls frame for every frame that it completes. An
// error stands for good: where a frame ends is not known any more.
func (d *Decoder) Feed(p []byte, frame func(Frame)) error {
	d.held = append(d.held, p...)
	at := 0
	for d.err == nil {
		n, err := frameLength(d.held[at:])
		if err != nil || n == 0 || n > len(d.held)-at {
			d.err = err
			break
		}
		f, err := decode(d.held[at : at+n])
		if err != nil {
			d.err = err
			break
		}
		frame(f)
		at += n
	}
	d.held = append(d.held[:0], d.held[at:]...)
	return d.err
}

// Take returns what was fed and belongs to no whole frame, and forgets it. It is
// valid until the next call of Feed.
func (d *Decoder) Take() []byte {
	rest := d.held
	d.held = d.held[:0]
	return rest
}

// Whole reports whether the stream ends here without breaking a frame off.
func (d *Decoder) Whole() bool { return len(d.held) == 0 && d.err == nil }

const (
	prelude = 12 // length of the frame, length of its headers, checksum of both
	least   = prelude + 4
)

// frameLength is the length of the frame that p begins with, 0 while too little of
// it is there. It believes no length whose checksum is wrong.
func frameLength(p []byte) (int, error) {
	if len(p) < prelude {
		return 0, nil
	}
	n, headers := binary.BigEndian.Uint32(p), binary.BigEndian.Uint32(p[4:])
	switch {
	case crc32.ChecksumIEEE(p[:8]) != binary.BigEndian.Uint32(p[8:]):
		return 0, errors.New("event stream: a frame's beginning has the wrong checksum")
	case n > MaxFrame:
		return 0, ErrTooLong
	case n < least || headers > n-least:
		return 0, fmt.Errorf("event stream: a frame of %d bytes with %d bytes of headers", n, headers)
	}
	return int(n), nil
}

func decode(raw []byte) (Frame, error) {
	r := bytes.NewReader(raw)
	m, err := eventstream.NewDecoder().Decode(r, nil)
	if err != nil {
		return Frame{}, fmt.Errorf("event stream: %w", err)
	}
	f := Frame{Kind: header(m, ":message-type"), Payload: m.Payload, Raw: raw}
	switch f.Kind {
	case Exception:
		f.Name = header(m, ":exception-type")
	case Failure:
		f.Name = header(m, ":error-code")
	default:
		f.Name = header(m, ":event-type")
	}
	return f, nil
}

func header(m eventstream.Message, name string) string {
	if v, ok := m.Headers.Get(name).(eventstream.StringValue); ok {
		return string(v)
	}
	return ""
}

// Encode is the frame in bytes, as a service would send it. Raw is not read.
func Encode(f Frame) ([]byte, error) {
	m := eventstream.Message{Payload: f.Payload}
	set := func(name, value string) { m.Headers.Set(name, eventstream.StringValue(value)) }
	set(":message-type", f.Kind)
	switch f.Kind {
	case Exception:
		set(":exception-type", f.Name)
	case Failure:
		set(":error-code", f.Name)
	default:
		set(":event-type", f.Name)
	}
	set(":content-type", "application/json")
	var b bytes.Buffer
	if err := eventstream.NewEncoder().Encode(&b, m); err != nil {
		return nil, fmt.Errorf("event stream: %w", err)
	}
	return b.Bytes(), nil
}
