package limit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tollgate/internal/gateway"
)

// Ledger admits calls and settles them. Its contract, which storetest checks on
// every store with concurrent callers and with each storage call failing once
// before and once after it wrote:
//
//   - A counter with a cap never exceeds it, whatever the concurrency.
//   - A claim stands on the counter items of its key and of all its shares, or on
//     none of them.
//   - A retried Reserve or Settle changes nothing twice.
//   - A process killed between Reserve and Settle leaves what it reserved
//     charged, and the key usable. Standing.Expired names such reservations once
//     they expired; whoever sees them, on whichever counter item, settles them
//     there with an event marked Expired.
//   - An event is written at most once, and before the reservation closes, so
//     none is lost: a closer that finds the event there settles by it.
type Ledger interface {
	// Reserve makes all charges of the claim, or none. Its errors are *Denied
	// (a limit), ErrStale (the key changed, or is gone: read it again) or more
	// exactly *StaleShares, ErrRunning and ErrRepeated (idempotency key seen), and
	// the store's own, after which the claim may or may not stand; repeating it is
	// safe. A refusal within *Unreleased is to be followed by Release; the claim
	// must not be repeated then.
	Reserve(ctx context.Context, claim *Claim) (Standing, error)

	// Release takes back what a claim that was refused may have left charged.
	// Releasing what does not stand is no error.
	Release(ctx context.Context, claim *Claim) error

	// Settle writes the event and turns the reservation into the actual
	// amounts, on all counter items, that of the key last: as long as it is open
	// there, work is left. If an event is there already, its amounts win over s's. Settling
	// what is settled, or whose key was deleted, is no error. It reports whether the
	// event that stands is s's: of many who close one reservation, one's is.
	Settle(ctx context.Context, s *Settlement) (own bool, err error)
}

// Settlement closes one reservation.
type Settlement struct {
	// Key is the hash of the key. It is empty if the reservation was found expired
	// on a share: then only that is closed, and the key by whoever sees it there.
	Key         string
	Reservation Reservation
	Also        []Closing       // the shares, from Claim.Closings
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

// Closing is the part of a settlement that belongs to a share.
type Closing struct {
	Subject     string
	Reservation Reservation // as on the share's counter item
	Stale       []string
}

// Parts are the settlement for each counter item, as settlements without Also: the
// shares first and the key last. Key names the counter item, whosever it is.
func (s *Settlement) Parts() []*Settlement {
	parts := make([]*Settlement, 0, 1+len(s.Also))
	for _, c := range s.Also {
		p := *s
		p.Key, p.Reservation, p.Stale, p.Also = c.Subject, c.Reservation, c.Stale, nil
		parts = append(parts, &p)
	}
	if s.Key == "" {
		return parts
	}
	own := *s
	own.Also = nil
	return append(parts, &own)
}

// Errors of Reserve.
var (
	ErrStale    = errors.New("limit: the key's configuration changed")
	ErrRunning  = errors.New("limit: a call with this idempotency key is running")
	ErrRepeated = errors.New("limit: a call with this idempotency key has ended")
)

// StaleShares is ErrStale for a claim whose key is as it should be: only the records
// of these shares have changed, or are gone.
type StaleShares struct {
	Subjects []string
}

func (e *StaleShares) Error() string {
	return "limit: changed: " + strings.Join(e.Subjects, ", ")
}

// Is makes it an ErrStale.
func (e *StaleShares) Is(target error) bool { return target == ErrStale }

// Unreleased is a refusal, *Denied or ErrStale, after which the charges of the parts
// that would have passed could not be taken back: the claim is refused, and Release
// has to be tried again. Should nobody get to do it, they stay until they expire.
type Unreleased struct {
	Refusal error
	Cause   error
}

func (e *Unreleased) Error() string { return e.Refusal.Error() + "; not released: " + e.Cause.Error() }
func (e *Unreleased) Unwrap() error { return e.Refusal }

// Refused reports whether err is an answer of Reserve which says that the claim does
// not stand: a limit or a change, but not an idempotency key.
func Refused(err error) bool {
	var denied *Denied
	return errors.As(err, &denied) || errors.Is(err, ErrStale)
}

// Standing is how a key's limits stand after a Reserve, from the same write.
type Standing struct {
	Subject string  // of the share whose limits these are; empty for the key
	Limits  []State // one for each limit of the claim, in its order
	Spent   gateway.NanoUSD
	Expired []Reservation // open, but past their expiry: to be settled
	Stale   []string      // counters of past windows: to be removed by the next settle

	Also []Standing // one for each share of the claim, in its order
}

// All lists how all limits stand: the key's, then those of the shares.
func (st *Standing) All() []State {
	if len(st.Also) == 0 {
		return st.Limits
	}
	all := slices.Clone(st.Limits)
	for i := range st.Also {
		all = append(all, st.Also[i].Limits...)
	}
	return all
}

// AnyExpired reports whether an expired reservation was seen, wherever.
func (st *Standing) AnyExpired() bool {
	return len(st.Expired) > 0 || slices.ContainsFunc(st.Also, func(s Standing) bool { return len(s.Expired) > 0 })
}

// State is how one limit stands.
type State struct {
	Subject string // of the share whose limit it is; empty for the key
	Limit   gateway.Limit
	Used    int64     // counted so far, reservations included
	Ask     int64     // what the claim adds, or would add
	Held    int64     // part of Used that other open calls may give back
	Reset   time.Time // end of the window; zero if it has none
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
	of := ""
	if d.Subject != "" {
		of = " of " + d.Subject
	}
	return fmt.Sprintf("limit: %s per %s%s: %d used of %d, %d asked",
		d.Limit.Measure, d.Limit.Per, of, d.Used, d.Limit.Max, d.Ask)
}
