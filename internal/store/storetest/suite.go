package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/secret"
)

// epoch is when every test starts: in the middle of a second, minute, hour, day
// and month, so that no window changes by accident. It is in the future, because
// a database that removes items by their time to live goes by the real clock.
var epoch = time.Date(2035, 5, 17, 10, 20, 30, 250_000_000, time.UTC)

// life is how long the suite's reservations last.
const life = 5 * time.Minute

const (
	cent = gateway.OneUSD / 100
	mill = gateway.OneUSD / 1000
)

// suite is one test with its store.
type suite struct {
	*testing.T
	Store
	ctx    context.Context
	clock  *clock
	faults *faults
	made   int // keys made so far
}

func start(t *testing.T, open func(*testing.T, Options) Store) *suite {
	t.Helper()
	s := &suite{T: t, ctx: t.Context(), clock: &clock{now: epoch}, faults: &faults{}}
	s.Store = open(t, Options{Now: s.clock.Now, Fault: s.faults.ask})
	return s
}

// clock is a clock that stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

// faults decides which storage calls fail. It is idle until armed.
type faults struct {
	mu    sync.Mutex
	armed bool
	plan  plan
	calls int // since armed
	fired int // since armed
}

// plan says what fails.
type plan struct {
	at    int // the call that fails, from 1
	every int // if not zero, every such call fails, too
	when  When
	kill  bool // after call at all others fail before they are sent
}

func (f *faults) ask(string) When {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.armed {
		return Never
	}
	f.calls++
	switch p := &f.plan; {
	case f.calls == p.at, p.every > 0 && f.calls%p.every == 0:
		f.fired++
		return p.when
	case p.kill && f.calls > p.at:
		return Before
	}
	return Never
}

// once lets call number at fail, and only that.
func (f *faults) once(at int, when When) { f.arm(plan{at: at, when: when}) }

// kill lets call number at fail and all that follow, as if the process had been
// killed there.
func (f *faults) kill(at int, when When) { f.arm(plan{at: at, when: when, kill: true}) }

// each lets every n-th call fail.
func (f *faults) each(n int, when When) { f.arm(plan{every: n, when: when}) }

func (f *faults) arm(p plan) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed, f.plan, f.calls, f.fired = true, p, 0, 0
}

// disarm ends the faults and returns how many fired.
func (f *faults) disarm() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed = false
	return f.fired
}

// must ends the test on an error.
func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// is checks that err is want.
func (s *suite) is(what string, err, want error) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Errorf("%s: error %v, want %v", what, err, want)
	}
}

// same compares values; empty and nil slices are the same.
func (s *suite) same(what string, got, want any) {
	s.Helper()
	if d := gocmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		s.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// key makes a key with the limits and returns it as stored.
func (s *suite) key(limits ...gateway.Limit) gateway.Key {
	s.Helper()
	s.made++
	k := gateway.Key{
		ID:        fmt.Sprintf("key-%03d", s.made),
		Hash:      secret.HashKey(fmt.Sprint("secret ", s.made)),
		Name:      "a key",
		CreatedAt: s.clock.Now(),
		Limits:    limits,
	}
	s.must(s.CreateKey(s.ctx, k))
	k, err := s.Key(s.ctx, k.ID)
	s.must(err)
	return k
}

// claim asks for a call of the key, now.
func (s *suite) claim(k gateway.Key, tokens int64, cost gateway.NanoUSD) *limit.Claim {
	now := s.clock.Now()
	return &limit.Claim{
		ID: limit.NewID(), Key: k.Hash, Version: k.Version, Limits: k.AllLimits(),
		Tokens: tokens, Cost: cost, At: now, Expires: now.Add(life),
	}
}

// withKey is the claim under an idempotency key.
func withKey(c *limit.Claim, value string) *limit.Claim {
	c.IdempotencyKey = value
	return c
}

// settlement ends the claim with the actual amounts.
func settlement(k gateway.Key, c *limit.Claim, tokens int64, cost gateway.NanoUSD) *limit.Settlement {
	return &limit.Settlement{
		Key: c.Key, Reservation: c.Reservation(), Also: c.Closings(limit.Standing{}), Tokens: tokens, Cost: cost,
		IdempotencyKey: c.IdempotencyKey,
		Event: gateway.Event{
			ID: "call-" + c.ID, ReservationID: c.ID, KeyID: k.ID, At: c.At,
			Status: 200, Tokens: tokens, Cost: cost, Basis: gateway.BasisReported,
		},
	}
}

// closing is how a later call ends a reservation that expired: at what was
// reserved, marked as expired.
func closing(k gateway.Key, r limit.Reservation) *limit.Settlement {
	return &limit.Settlement{
		Key: k.Hash, Reservation: r, Tokens: r.Tokens, Cost: r.Cost,
		Event: gateway.Event{
			ID: "closed-" + r.ID, ReservationID: r.ID, KeyID: k.ID, At: r.At,
			Tokens: r.Tokens, Cost: r.Cost, Basis: gateway.BasisReserved, Expired: true,
		},
	}
}

// answered reports whether the error is an answer and not a failure.
func answered(err error) bool {
	var denied *limit.Denied
	return err == nil || errors.As(err, &denied) || errors.Is(err, limit.ErrStale) ||
		errors.Is(err, limit.ErrRunning) || errors.Is(err, limit.ErrRepeated)
}

// tries is how often the suite repeats what failed.
const tries = 4

// reserve repeats a Reserve that fails, as the proxy does.
func (s *suite) reserve(c *limit.Claim) (st limit.Standing, err error) {
	for range tries {
		if st, err = s.Reserve(s.ctx, c); answered(err) {
			s.released(c, err)
			return st, err
		}
	}
	return st, err
}

// released takes back what a refused claim left, if the refusal says that it did.
func (s *suite) released(c *limit.Claim, refusal error) {
	var left *limit.Unreleased
	if errors.As(refusal, &left) {
		if err := s.insist(func() error { return s.Release(s.ctx, c) }); err != nil {
			s.Error(err)
		}
	}
}

// settle repeats a Settle that fails.
func (s *suite) settle(v *limit.Settlement) (err error) {
	for range tries {
		if _, err = s.Settle(s.ctx, v); err == nil {
			return nil
		}
	}
	return err
}

// closed is settle for a store that does not fail. It reports whether the settlement's
// event is the one that stands.
func (s *suite) closed(v *limit.Settlement) (own bool) {
	s.Helper()
	own, err := s.Settle(s.ctx, v)
	s.must(err)
	return own
}

// call reserves and settles in one go.
func (s *suite) call(k gateway.Key, tokens int64, cost gateway.NanoUSD) {
	s.Helper()
	c := s.claim(k, tokens, cost)
	_, err := s.reserve(c)
	s.must(err)
	s.must(s.settle(settlement(k, c, tokens, cost)))
}

// denied checks that err is a Denied by the measure and returns it.
func (s *suite) denied(err error, m gateway.Measure) *limit.Denied {
	s.Helper()
	var d *limit.Denied
	if !errors.As(err, &d) {
		s.Fatalf("error %v, want a denial by %s", err, m)
	}
	if d.Limit.Measure != m {
		s.Errorf("denied by %s, want %s", d.Limit.Measure, m)
	}
	return d
}

// counter names the counter of a measure at the suite's present.
func (s *suite) counter(m gateway.Measure, per gateway.Unit) string {
	return limit.CounterName(m, per, s.clock.Now())
}

// parallel runs f n times at once and waits. f must not call Fatal.
func parallel(n int, f func(i int)) {
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-begin
			f(i)
		})
	}
	close(begin)
	wg.Wait()
}

// canonical sorts what has no order in a reservation.
func canonical(r limit.Reservation) limit.Reservation {
	r.Limits = slices.SortedFunc(slices.Values(r.Limits), func(a, b gateway.Limit) int {
		return cmp.Or(cmp.Compare(a.Measure, b.Measure), cmp.Compare(a.Per, b.Per))
	})
	return r
}
