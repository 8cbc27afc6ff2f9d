package secret_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"tollgate/internal/secret"
)

// countingBox turns bytes round, and counts.
type countingBox struct {
	seals, opens int
	err          error
}

func (b *countingBox) Seal(_ context.Context, plain []byte, bind map[string]string) ([]byte, error) {
	b.seals++
	return turned(plain), b.err
}

func (b *countingBox) Open(_ context.Context, sealed []byte, bind map[string]string) ([]byte, error) {
	b.opens++
	return turned(sealed), b.err
}

func turned(b []byte) []byte {
	out := bytes.Clone(b)
	for i := range out {
		out[i] ^= 0xff
	}
	return out
}

func TestEnvelope(t *testing.T) {
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	box := &countingBox{}
	writer, reader := secret.NewEnvelope(box, clock), secret.NewEnvelope(box, clock)
	text := []byte(`{"messages":["hello"]}`)
	for range 3 {
		sealed, err := writer.Seal(t.Context(), text, "e1/request")
		if err != nil || bytes.Contains(sealed, []byte("hello")) {
			t.Fatalf("%q, %v", sealed, err)
		}
		got, err := reader.Open(t.Context(), sealed, "e1/request")
		if err != nil || !bytes.Equal(got, text) {
			t.Errorf("%q, %v", got, err)
		}
		if got, err := reader.Open(t.Context(), sealed, "e1/response"); err == nil {
			t.Errorf("opened for another purpose: %q", got)
		}
		for i := range sealed {
			broken := bytes.Clone(sealed)
			broken[i] ^= 1
			if got, err := reader.Open(t.Context(), broken, "e1/request"); err == nil {
				t.Errorf("opened with byte %d changed: %q", i, got)
			}
			if got, err := reader.Open(t.Context(), sealed[:i], "e1/request"); err == nil {
				t.Errorf("opened after %d bytes: %q", i, got)
			}
		}
	}
	if box.seals != 1 {
		t.Errorf("%d keys in an hour, want 1", box.seals)
	}
	now = now.Add(time.Hour)
	if _, err := writer.Seal(t.Context(), text, "e2"); err != nil || box.seals != 2 {
		t.Errorf("%d keys after an hour, want 2; %v", box.seals, err)
	}
}

func TestEnvelopeWithoutKeyService(t *testing.T) {
	down := errors.New("down")
	box := &countingBox{err: down}
	e := secret.NewEnvelope(box, time.Now)
	if _, err := e.Seal(t.Context(), []byte("x"), "p"); !errors.Is(err, down) {
		t.Errorf("%v", err)
	}
	box.err = nil
	sealed, err := e.Seal(t.Context(), []byte("x"), "p")
	if err != nil {
		t.Fatal(err)
	}
	box.err = down
	if _, err := secret.NewEnvelope(box, time.Now).Open(t.Context(), sealed, "p"); !errors.Is(err, down) {
		t.Errorf("%v", err)
	}
}
