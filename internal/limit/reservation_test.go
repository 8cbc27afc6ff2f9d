package limit_test

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
)

func TestMarkerRoundTrip(t *testing.T) {
	every := limit.Reservation{ID: "AAAAAAAA", At: at, Expires: at.Add(18 * time.Hour), Tokens: 1<<63 - 1, Cost: 1<<63 - 1}
	for _, m := range gateway.Measures {
		for _, u := range gateway.Units {
			every.Limits = append(every.Limits, gateway.Limit{Measure: m, Per: u})
		}
	}
	for _, r := range []limit.Reservation{
		every,
		{ID: "x", At: at, Expires: at},
		claim(gateway.Limit{Measure: "cost", Per: "lifetime", Max: 5}).Reservation(),
	} {
		want := r
		want.Limits = nil
		for _, l := range r.Limits {
			l.Max = 0 // caps are not kept
			want.Limits = append(want.Limits, l)
		}
		got, err := limit.DecodeReservation(r.ID, r.Encode())
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v, (-want +got)\n%s", err, diff)
		}
	}
}

// A counter item has a marker for every open call, and a write costs its size.
func TestMarkerIsSmall(t *testing.T) {
	id := limit.NewID()
	if len(id) != 8 || id == limit.NewID() {
		t.Errorf("id %q", id)
	}
	for _, tt := range []struct {
		name   string
		tokens int64
		cost   gateway.NanoUSD
		most   int
	}{
		{"free", 0, 0, 13},
		{"a short chat", 2000, 2_000_000, 17},
		{"a long chat", 16_000, 250_000_000, 17},
		{"a million tokens", 1_000_000, 5_000_000_000, 19},
	} {
		c := claim(gateway.Limit{Measure: "requests", Per: "m"}, gateway.Limit{Measure: "tokens", Per: "d"}, gateway.Limit{Measure: "cost", Per: "lifetime"})
		c.Tokens, c.Cost = tt.tokens, tt.cost
		r := c.Reservation()
		if n := len(r.Encode()); n > tt.most || n+len(id) > 28 {
			t.Errorf("%s: %d bytes and a name of %d, want at most %d", tt.name, n, len(id), tt.most)
		}
	}
}

// The times of a marker are whole milliseconds and, for the expiry, whole seconds
// rounded up: nobody may close a reservation too early.
func TestMarkerTimes(t *testing.T) {
	for _, tt := range []struct{ life, want time.Duration }{
		{0, 0}, {time.Millisecond, time.Second}, {time.Second, time.Second}, {1001 * time.Millisecond, 2 * time.Second},
		{-time.Second, 0}, {100 * time.Hour, 65535 * time.Second},
	} {
		r := limit.Reservation{At: at, Expires: at.Add(tt.life)}
		got, err := limit.DecodeReservation("", r.Encode())
		if err != nil || got.Expires.Sub(at) != tt.want || !got.At.Equal(at) {
			t.Errorf("%s becomes %s after %s, %v; want %s", tt.life, got.Expires.Sub(got.At), got.At, err, tt.want)
		}
	}
}

func FuzzMarker(f *testing.F) {
	r := claim(gateway.Limit{Measure: "cost", Per: "d"}).Reservation()
	f.Add(r.Encode())
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0xff}, 31))
	f.Add(append(r.Encode(), 0))
	f.Add(append(r.Encode(), "\x02key-1"...))
	r.KeyID = keyID
	f.Add(r.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := limit.DecodeReservation("id", b)
		if err != nil {
			return
		}
		if r.Tokens < 0 || r.Cost < 0 || r.Expires.Before(r.At) {
			t.Fatalf("%x becomes %+v", b, r)
		}
		again, err := limit.DecodeReservation("id", r.Encode())
		if diff := cmp.Diff(r, again); diff != "" || err != nil {
			t.Fatalf("%x: %v\n%s", b, err, diff)
		}
	})
}

// book is a key's counters driven at random, and beside them the plain sums that
// they must agree with.
type book struct {
	t       *testing.T
	r       *rand.Rand
	c       limit.Counters
	limits  []gateway.Limit
	now     time.Time
	open    []*limit.Claim
	spent   gateway.NanoUSD
	closed  int
	refused int
}

func (b *book) reserve() {
	cl := &limit.Claim{ID: limit.NewID(), Version: 1, Limits: b.limits, Tokens: b.r.Int64N(400), Cost: gateway.NanoUSD(b.r.Int64N(400)),
		At: b.now, Expires: b.now.Add(time.Minute)}
	if b.c.Decide(cl, b.now) != nil {
		b.refused++
		return
	}
	b.c.Apply(cl)
	b.open = append(b.open, cl)
}

// settle closes one of the open claims, sometimes twice, never above what it reserved.
func (b *book) settle() {
	if len(b.open) == 0 {
		return
	}
	i := b.r.IntN(len(b.open))
	cl := b.open[i]
	b.open = append(b.open[:i], b.open[i+1:]...)
	s := &limit.Settlement{Reservation: cl.Reservation(), Tokens: b.r.Int64N(cl.Tokens + 1), Cost: gateway.NanoUSD(b.r.Int64N(int64(cl.Cost) + 1)),
		Stale: b.c.Standing(cl, b.now).Stale}
	if !b.c.Close(s, b.now) || b.r.IntN(4) == 0 && b.c.Close(s, b.now) {
		b.t.Fatal("a reservation closes once")
	}
	b.spent += s.Cost
	b.closed++
}

func (b *book) check() {
	held := gateway.NanoUSD(0)
	for _, cl := range b.open {
		held += cl.Cost
	}
	if got := gateway.NanoUSD(b.c.Values[limit.Spend]); got != b.spent+held {
		b.t.Fatalf("spend is %d, want %d settled and %d reserved", got, b.spent, held)
	}
	if b.c.Values[limit.InFlight] != int64(len(b.open)) || len(b.c.Open) != len(b.open) {
		b.t.Fatalf("%d in flight, %d markers, want %d", b.c.Values[limit.InFlight], len(b.c.Open), len(b.open))
	}
	for _, l := range b.limits {
		name := limit.CounterName(l.Measure, l.Per, b.now)
		if n := b.c.Values[name]; n > l.Max || n < 0 {
			b.t.Fatalf("counter %s is %d, its cap %d", name, n, l.Max)
		}
	}
}

func TestRandomOperations(t *testing.T) {
	for seed := range uint64(30) {
		b := &book{t: t, r: rand.New(rand.NewPCG(seed, 1)), c: limit.Counters{Version: 1}, now: at, limits: []gateway.Limit{
			{Measure: "requests", Per: "s", Max: 4}, {Measure: "tokens", Per: "m", Max: 5000}, {Measure: "cost", Per: "h", Max: 20_000},
			{Measure: "cost", Per: "lifetime", Max: 60_000}, {Measure: "concurrency", Max: 6}}}
		for range 1500 {
			switch k := b.r.IntN(10); {
			case k < 5:
				b.reserve()
			case k < 8:
				b.settle()
			default:
				b.now = b.now.Add(time.Duration(b.r.Int64N(int64(20 * time.Second))))
			}
			b.check()
		}
		if b.closed < 100 || b.refused < 100 {
			t.Errorf("seed %d: %d settled and %d refused test too little", seed, b.closed, b.refused)
		}
		for len(b.open) > 0 {
			b.settle()
		}
		b.check()
		if len(b.c.Values) > 60 {
			t.Errorf("seed %d: %d counters are left: stale ones are not removed", seed, len(b.c.Values))
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	c := &limit.Counters{Version: 7, Values: map[string]int64{"c:l": 5}, Open: map[string]limit.Reservation{}}
	cl := claim(gateway.Limit{Measure: "requests", Per: "m", Max: 5}, gateway.Limit{Measure: "cost", Per: "lifetime", Max: 1e9})
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Decide(cl, at); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	r := claim(gateway.Limit{Measure: "requests", Per: "m", Max: 5}).Reservation()
	b.ReportAllocs()
	for b.Loop() {
		r.Encode()
	}
}
