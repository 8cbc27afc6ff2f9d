// Package limit decides whether a call may pass. It turns a key's limits and a
// call's worst case into charges on counters, says what a counter item allows,
// and names the contract that a store must keep for limits to hold under any
// concurrency (Ledger). It is pure: the stores do the writing.
package limit

import (
	"crypto/rand"
	"encoding/base64"
	"math"
	"strconv"
	"time"

	"tollgate/internal/gateway"
)

// StaleAfter is how long after its end a window's counter is kept. A process
// whose clock is slow, or whose write is late, still charges the window it
// reserved in; a Reserve must reach the store within this time of its At.
const StaleAfter = 10 * time.Second

// NoCap is the cap of a charge that is counted but not limited.
const NoCap = math.MaxInt64

// Spend is the name of the counter that holds a key's lifetime cost. It is
// charged by every call, so that a limit set later counts what was spent before.
const Spend = "c:l"

// InFlight is the name of the counter of open reservations.
const InFlight = "n"

// Claim asks to admit one call at its worst case.
type Claim struct {
	ID      string // from NewID; unique among the key's open reservations
	Key     string // hash of the key: names the counter item
	Version int64  // of the configuration that the decision rests on
	Limits  []gateway.Limit

	Tokens int64           // worst case
	Cost   gateway.NanoUSD // worst case

	At      time.Time // chooses the windows; millisecond resolution
	Expires time.Time // from then on anybody may close the reservation; at most 18 h after At

	// IdempotencyKey, if not empty, admits the call only if no other call of
	// the key claimed with the same value within IdempotencyWindow.
	IdempotencyKey string
}

// IdempotencyWindow is how long an idempotency key is remembered.
const IdempotencyWindow = 10 * time.Minute

// NewID makes a reservation id: 48 random bits as 8 characters. Short, because
// it is the name of an attribute of the counter item while the call runs.
func NewID() string {
	var b [6]byte
	rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Charge is an amount on one counter, admitted if the counter stays within Cap.
type Charge struct {
	Counter string
	Amount  int64
	Cap     int64 // NoCap if the counter is not limited
}

// Charges lists what the claim adds, each counter once. All of it is added or
// nothing. The last charge but one is Spend, the last InFlight.
func (c *Claim) Charges() []Charge {
	charges := make([]Charge, 0, len(c.Limits)+2)
	spend, flight := int64(NoCap), int64(NoCap)
	for _, l := range c.Limits {
		switch name := CounterName(l.Measure, l.Per, c.At); name {
		case InFlight:
			flight = l.Max
		case Spend:
			spend = l.Max
		default:
			charges = append(charges, Charge{name, c.amount(l.Measure), l.Max})
		}
	}
	return append(charges,
		Charge{Spend, int64(c.Cost), spend},
		Charge{InFlight, 1, flight})
}

func (c *Claim) amount(m gateway.Measure) int64 {
	switch m {
	case gateway.Tokens:
		return c.Tokens
	case gateway.Cost:
		return int64(c.Cost)
	}
	return 1
}

// Reservation is the claim as the counter item remembers it while it is open.
func (c *Claim) Reservation() Reservation {
	r := Reservation{ID: c.ID, At: c.At, Expires: c.Expires, Tokens: c.Tokens, Cost: c.Cost}
	for _, l := range c.Limits {
		if l.Measure != gateway.Concurrency {
			r.Limits = append(r.Limits, gateway.Limit{Measure: l.Measure, Per: l.Per})
		}
	}
	return r
}

var letters = map[gateway.Measure]string{
	gateway.Requests: "q", gateway.Tokens: "t", gateway.Cost: "c",
}

// CounterName names the counter of a measure for the window that at falls in:
// "q:m:29384756" are the requests of a minute. The window is part of the name,
// so nothing is ever reset.
func CounterName(m gateway.Measure, per gateway.Unit, at time.Time) string {
	if m == gateway.Concurrency {
		return InFlight
	}
	if per == gateway.Lifetime {
		return letters[m] + ":l"
	}
	return letters[m] + ":" + string(per) + ":" + strconv.FormatInt(per.Index(at), 10)
}
