package limit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tollgate/internal/gateway"
)

// Ledger admits calls and settles them. Its contract, which storetest checks on
// every store with concurrent callers and with each storage call failing once
// before and once after it wrote:
//
//   - A counter with a cap never exceeds it, whatever the concurrency.
//   - A retried Reserve or Settle changes nothing twice.
//   - A process killed between Reserve and Settle leaves what it reserved
//     charged, and the key usable. Standing.Expired names such reservations once
//     they expired; whoever sees them settles them with an event marked Expired.
//   - An event is written at most once, and before the reservation closes, so
//     none is lost: a closer that finds the event there settles by it.
type Ledger interface {
	// Reserve makes all charges of the claim, or none. Its errors are *Denied
	// (a limit), ErrStale (the key changed, or is gone: read it again),
	// ErrRunning and ErrRepeated (idempotency key seen), and the store's own,
	// after which the claim may or may not stand; repeating it is safe.
	Reserve(ctx context.Context, claim *Claim) (Standing, error)

	// Settle writes the event and turns the reservation into the actual
	// amounts. If an event is there already, its amounts win over s's. Settling
	// what is settled, or whose key was deleted, is no error.
	Settle(ctx context.Context, s *Settlement) error
}

// Settlement closes one reservation.
type Settlement struct {
	Key         string // hash of the key
	Reservation Reservation
	Tokens      int64           // actual
	Cost        gateway.NanoUSD // actual
	Event       gateway.Event

	// Stale names counters to remove on the way, from Standing.
	Stale []string

	// IdempotencyKey of the claim. Forget releases it, so that a call that
	// failed and cost nothing may be tried again; otherwise it is kept as done.
	IdempotencyKey string
	Forget         bool
}

// Errors of Reserve.
var (
	ErrStale    = errors.New("limit: the key's configuration changed")
	ErrRunning  = errors.New("limit: a call with this idempotency key is running")
	ErrRepeated = errors.New("limit: a call with this idempotency key has ended")
)

// Standing is how a key's limits stand after a Reserve, from the same write.
type Standing struct {
	Limits  []State // one for each limit of the claim, in its order
	Spent   gateway.NanoUSD
	Expired []Reservation // open, but past their expiry: to be settled
	Stale   []string      // counters of past windows: to be removed by the next settle
}

// State is how one limit stands.
type State struct {
	Limit gateway.Limit
	Used  int64     // counted so far, reservations included
	Ask   int64     // what the claim adds, or would add
	Held  int64     // part of Used that other open calls may give back
	Reset time.Time // end of the window; zero if it has none
}

// Left is what the limit still allows, never negative.
func (s *State) Left() int64 { return max(s.Limit.Max-s.Used, 0) }

// after reports whether s keeps a caller waiting for longer than t: a window
// without end longest, calls in flight shortest.
func (s *State) after(t *State) bool { return s.wait().After(t.wait()) }

func (s *State) wait() time.Time {
	switch {
	case s.Limit.Measure == gateway.Concurrency:
		return time.Time{}
	case s.Reset.IsZero():
		return time.Unix(1<<40, 0)
	}
	return s.Reset
}

// Denied is a claim that does not fit. The embedded State is that of the limit
// that keeps the caller waiting longest, Standing that of all of them.
type Denied struct {
	State
	Standing Standing
}

func (d *Denied) Error() string {
	return fmt.Sprintf("limit: %s per %s: %d used of %d, %d asked",
		d.Limit.Measure, d.Limit.Per, d.Used, d.Limit.Max, d.Ask)
}
