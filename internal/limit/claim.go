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
	ID      string // from NewID; unique among the open reservations
	Key     string // hash of the key: names the counter item
	Version int64  // of the configuration that the decision rests on
	Limits  []gateway.Limit

	// KeyID is the id of the key. With Also it must be set: KeyID, At and ID are
	// the name of the call's event, by which whoever closes the reservation on a
	// counter item that keys share finds out what the call came to.
	KeyID string
	// Also are limits that stand beside the key's: all of them admit the call, or
	// nothing is charged anywhere.
	Also []Share

	Tokens int64           // worst case
	Cost   gateway.NanoUSD // worst case

	At      time.Time // chooses the windows; millisecond resolution
	Expires time.Time // from then on anybody may close the reservation; at most 18 h after At

	// IdempotencyKey, if not empty, admits the call only if no other call of
	// the key claimed with the same value within IdempotencyWindow.
	IdempotencyKey string

	subject string // of a part that is a share's; empty for the key's own
}

// Share is a set of limits that calls of several keys are charged to, an end
// user's or a tag's, with a counter item of its own.
type Share struct {
	Subject string // names the counter item; has a '#' in it, which no key's hash has
	Version int64  // of the record that Limits are from
	Limits  []gateway.Limit
}

// Parts are what the claim asks of each counter item, as claims without Also: the
// key's first, then those of the shares in their order. Key names the counter item,
// whosever it is.
func (c *Claim) Parts() []*Claim {
	own := *c
	own.Also = nil
	parts := append(make([]*Claim, 0, 1+len(c.Also)), &own)
	for _, s := range c.Also {
		p := own
		p.Key, p.Version, p.Limits, p.subject = s.Subject, s.Version, s.Limits, s.Subject
		parts = append(parts, &p)
	}
	return parts
}

// Closings are what closes the shares of the claim. st is what its Reserve
// answered; the zero Standing will do.
func (c *Claim) Closings(st Standing) []Closing {
	var list []Closing
	for i, part := range c.Parts()[1:] {
		closing := Closing{Subject: part.subject, Reservation: part.Reservation()}
		if i < len(st.Also) {
			closing.Stale = st.Also[i].Stale
		}
		list = append(list, closing)
	}
	return list
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

// Reservation is the claim as the key's counter item remembers it while it is open.
func (c *Claim) Reservation() Reservation {
	r := Reservation{ID: c.ID, At: c.At, Expires: c.Expires, Tokens: c.Tokens, Cost: c.Cost}
	if c.subject != "" {
		r.KeyID = c.KeyID
	}
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
