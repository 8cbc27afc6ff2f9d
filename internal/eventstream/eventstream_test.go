package eventstream_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"

	"tollgate/internal/eventstream"
)

func encode(t testing.TB, frames ...eventstream.Frame) []byte {
	t.Helper()
	var all []byte
	for _, f := range frames {
		b, err := eventstream.Encode(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}

// feed decodes a stream in pieces and tells the frames as text.
func feed(d *eventstream.Decoder, pieces ...[]byte) (got string, raw []byte, err error) {
	for _, p := range pieces {
		if e := d.Feed(p, func(f eventstream.Frame) {
			got += fmt.Sprintf("%s/%s/%s;", f.Kind, f.Name, f.Payload)
			raw = append(raw, f.Raw...)
		}); e != nil {
			err = e
		}
	}
	return got, raw, err
}

var sample = []eventstream.Frame{
	{Kind: eventstream.Event, Name: "messageStart", Payload: []byte(`{"role":"assistant"}`)},
	{Kind: eventstream.Event, Name: "empty"},
	{Kind: eventstream.Exception, Name: "throttlingException", Payload: []byte(`{"message":"slow down"}`)},
	{Kind: eventstream.Failure, Name: "InternalError"},
}

const sampleText = `event/messageStart/{"role":"assistant"};event/empty/;exception/throttlingException/{"message":"slow down"};error/InternalError/;`

// ST-08: cut at every byte, and fed byte by byte, a stream says the same.
func TestEveryCut(t *testing.T) {
	stream := encode(t, sample...)
	for cut := range len(stream) + 1 {
		var d eventstream.Decoder
		got, raw, err := feed(&d, stream[:cut], stream[cut:])
		if got != sampleText || err != nil || !d.Whole() || !bytes.Equal(raw, stream) {
			t.Fatalf("cut at %d: %s, %v", cut, got, err)
		}
	}
	var d eventstream.Decoder
	for i := range stream {
		if d.Whole() != (i == 0) && i < 16 {
			t.Fatalf("after %d bytes: whole %v", i, d.Whole())
		}
		if err := d.Feed(stream[i:i+1], func(eventstream.Frame) {}); err != nil {
			t.Fatal(err)
		}
	}
	if !d.Whole() {
		t.Error("the stream is not whole at its end")
	}
}

// What was held back of a broken stream is what no frame has had.
func TestTake(t *testing.T) {
	stream := encode(t, sample...)
	for cut := range len(stream) {
		var d eventstream.Decoder
		_, raw, err := feed(&d, stream[:cut])
		whole := d.Whole()
		rest := d.Take()
		if err != nil || !bytes.Equal(append(raw, rest...), stream[:cut]) || whole != (len(rest) == 0) {
			t.Fatalf("cut at %d: %d bytes in frames, %d taken, whole %v", cut, len(raw), len(rest), whole)
		}
	}
}

// A single wrong bit is found, wherever it is, before anything is read from the frame.
func TestEveryBit(t *testing.T) {
	stream := encode(t, sample[0])
	for i := range stream {
		for bit := range 8 {
			broken := bytes.Clone(stream)
			broken[i] ^= 1 << bit
			var d eventstream.Decoder
			got, _, err := feed(&d, broken)
			if err == nil || got != "" || d.Whole() {
				t.Fatalf("byte %d, bit %d: %q, %v", i, bit, got, err)
			}
			if _, _, again := feed(&d, stream); again == nil {
				t.Fatalf("byte %d, bit %d: the error did not stand", i, bit)
			}
		}
	}
}

// lengths is the beginning of a frame with these lengths and the right checksum.
func lengths(total, headers uint32) []byte {
	b := binary.BigEndian.AppendUint32(nil, total)
	b = binary.BigEndian.AppendUint32(b, headers)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

func TestLengths(t *testing.T) {
	for _, tt := range []struct {
		name           string
		total, headers uint32
		long           bool
	}{
		{"none", 0, 0, false}, {"too short", 15, 0, false}, {"headers longer than the frame", 16, 1, false},
		{"headers without end", 100, 1<<32 - 1, false}, {"too long", eventstream.MaxFrame + 1, 0, true}, {"without end", 1<<32 - 1, 0, true},
	} {
		var d eventstream.Decoder
		_, _, err := feed(&d, lengths(tt.total, tt.headers))
		if err == nil || errors.Is(err, eventstream.ErrTooLong) != tt.long {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	most := encode(t, eventstream.Frame{Kind: eventstream.Event, Name: "x", Payload: bytes.Repeat([]byte("x"), eventstream.MaxFrame-200)})
	var d eventstream.Decoder
	if got, _, err := feed(&d, most); err != nil || len(got) < eventstream.MaxFrame-200 {
		t.Errorf("a long frame: %d characters, %v", len(got), err)
	}
}

// A frame put together by hand after the format's description, so that reading does
// not rest on our own writing: lengths, checksum, headers of type 7 (a string) and,
// among them, one of type 0 (true), payload, checksum.
func TestByHand(t *testing.T) {
	text := func(name, value string) string {
		return string(rune(len(name))) + name + "\x07\x00" + string(rune(len(value))) + value
	}
	headers := text(":event-type", "chunk") + "\x03yes\x00" + text(":message-type", "event")
	const payload = `{"bytes":"e30="}`
	frame := lengths(uint32(12+len(headers)+len(payload)+4), uint32(len(headers)))
	frame = append(append(frame, headers...), payload...)
	frame = binary.BigEndian.AppendUint32(frame, crc32.ChecksumIEEE(frame))
	var d eventstream.Decoder
	if got, _, err := feed(&d, frame); got != "event/chunk/"+payload+";" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
}

// Whatever comes, nothing is lost, and what is fed in pieces says the same as at once.
func FuzzDecoder(f *testing.F) {
	stream := encode(f, sample...)
	f.Add(stream, 7)
	f.Add(stream[:len(stream)-3], 30)
	f.Add(append(lengths(40, 20), strings.Repeat("\x07", 60)...), 1)
	f.Fuzz(func(t *testing.T, stream []byte, cut int) {
		cut = min(max(cut, 0), len(stream))
		var once, twice eventstream.Decoder
		got1, raw1, err1 := feed(&once, stream)
		got2, raw2, err2 := feed(&twice, stream[:cut], stream[cut:])
		if got1 != got2 || (err1 == nil) != (err2 == nil) || !bytes.Equal(raw1, raw2) {
			t.Fatalf("at once %q %v, in pieces %q %v", got1, err1, got2, err2)
		}
		if !bytes.Equal(append(raw1, once.Take()...), stream) {
			t.Fatal("bytes were lost")
		}
	})
}
