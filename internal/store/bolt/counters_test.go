package bolt_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/store/bolt"
)

// busy is the counters of a key with three limits and n calls in flight.
func busy(n int) *limit.Counters {
	at := time.Date(2035, 5, 17, 10, 20, 30, 0, time.UTC)
	c := &limit.Counters{
		Version: at.UnixMicro(),
		Values: map[string]int64{
			limit.CounterName(gateway.Requests, gateway.Minute, at): 1234,
			limit.CounterName(gateway.Tokens, gateway.Day, at):      -5,
			limit.Spend: 123_456_789_012,
		},
		Open: map[string]limit.Reservation{},
	}
	for i := range n {
		id := fmt.Sprintf("id-%05d", i)
		c.Open[id] = limit.Reservation{
			ID: id, At: at, Expires: at.Add(15 * time.Minute), Tokens: 4096, Cost: 2_500_000,
			Limits: []gateway.Limit{{Measure: gateway.Requests, Per: gateway.Minute}, {Measure: gateway.Tokens, Per: gateway.Day}},
		}
		c.Values[limit.InFlight]++
	}
	return c
}

func TestCountersForm(t *testing.T) {
	for _, tt := range []struct {
		n, size int
	}{{0, 47}, {1, 77}, {35, 995}} {
		c := busy(tt.n)
		b := bolt.EncodeCounters(c)
		got, err := bolt.DecodeCounters(b)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(*c, got); d != "" {
			t.Errorf("%d open (-want +got):\n%s", tt.n, d)
		}
		if len(b) != tt.size {
			t.Errorf("%d open: %d bytes, want %d", tt.n, len(b), tt.size)
		}
		for i := range b {
			if _, err := bolt.DecodeCounters(b[:i]); err == nil {
				t.Errorf("%d open: the first %d bytes of %d pass", tt.n, i, len(b))
			}
		}
	}
}

func FuzzDecodeCounters(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 2, 0, 0})
	f.Add([]byte{1, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Add(bolt.EncodeCounters(busy(0)))
	f.Add(bolt.EncodeCounters(busy(2)))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := bolt.DecodeCounters(b)
		if err != nil {
			return
		}
		again, err := bolt.DecodeCounters(bolt.EncodeCounters(&c))
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range c.Values {
			if v != again.Values[name] {
				t.Errorf("%q is %d, then %d", name, v, again.Values[name])
			}
		}
		if len(again.Open) != len(c.Open) || again.Version != c.Version {
			t.Errorf("%+v became %+v", c, again)
		}
	})
}

func BenchmarkCountersForm(b *testing.B) {
	c := busy(10)
	b.Run("binary", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := bolt.DecodeCounters(bolt.EncodeCounters(c)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var got limit.Counters
			raw, err := json.Marshal(c)
			if err == nil {
				err = json.Unmarshal(raw, &got)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
