package limit

import (
	"strconv"
	"strings"
	"time"

	"tollgate/internal/gateway"
)

// Counters is the state of one counter item.
type Counters struct {
	Version int64
	Values  map[string]int64       // by counter name; absent is zero
	Open    map[string]Reservation // by id
}

// Decide says whether the claim, or the part of one, fits: nil if it does, or was
// reserved before; ErrStale if the configuration changed; else a *Denied. It looks
// at no shares, and changes nothing.
func (c *Counters) Decide(claim *Claim, now time.Time) error {
	if _, ok := c.Open[claim.ID]; ok {
		return nil
	}
	if c.Version != claim.Version {
		return ErrStale
	}
	var worst *State
	for _, ch := range claim.Charges() {
		if c.Values[ch.Counter] <= ch.Cap-ch.Amount { // NoCap included: sums must not overflow
			continue
		}
		s := c.state(claim, ch, now)
		if worst == nil || s.after(worst) {
			worst = &s
		}
	}
	if worst == nil {
		return nil
	}
	return &Denied{State: *worst, Standing: c.Standing(claim, now)}
}

// Apply adds the claim to the counters. Only after Decide allowed it.
func (c *Counters) Apply(claim *Claim) {
	if _, ok := c.Open[claim.ID]; ok {
		return
	}
	if c.Values == nil {
		c.Values = make(map[string]int64)
	}
	if c.Open == nil {
		c.Open = make(map[string]Reservation)
	}
	for _, ch := range claim.Charges() {
		c.Values[ch.Counter] += ch.Amount
	}
	c.Open[claim.ID] = claim.Reservation()
}

// Close turns a reservation into its actual amounts and removes it, together
// with the stale counters. It reports false, and changes nothing, if the
// reservation is not open: it was closed before.
func (c *Counters) Close(s *Settlement, now time.Time) bool {
	if _, ok := c.Open[s.Reservation.ID]; !ok {
		return false
	}
	for _, d := range s.Reservation.Corrections(s.Tokens, s.Cost, now) {
		c.Values[d.Counter] += d.Delta
	}
	c.Values[InFlight]--
	delete(c.Open, s.Reservation.ID)
	for _, name := range s.Stale {
		delete(c.Values, name)
	}
	return true
}

// Release takes back all that the reservation charged, as if it had never been. It
// reports false, and changes nothing, if the reservation is not open.
func (c *Counters) Release(r Reservation, now time.Time) bool {
	if _, ok := c.Open[r.ID]; !ok {
		return false
	}
	for _, d := range r.Refunds(now) {
		c.Values[d.Counter] += d.Delta
	}
	c.Values[InFlight]--
	delete(c.Open, r.ID)
	return true
}

// Standing is how the limits of the claim, or of the part of one, stand in c.
func (c *Counters) Standing(claim *Claim, now time.Time) Standing {
	st := Standing{Subject: claim.subject, Stale: c.stale(now), Spent: gateway.NanoUSD(c.Values[Spend])}
	for _, r := range c.Open {
		if !now.Before(r.Expires) {
			st.Expired = append(st.Expired, r)
		}
	}
	for _, l := range claim.Limits {
		name := CounterName(l.Measure, l.Per, claim.At)
		st.Limits = append(st.Limits, c.state(claim, Charge{name, claim.amount(l.Measure), l.Max}, now))
	}
	return st
}

// state describes the limit behind a charge.
func (c *Counters) state(claim *Claim, ch Charge, now time.Time) State {
	s := State{Subject: claim.subject, Used: c.Values[ch.Counter], Ask: ch.Amount}
	for _, l := range claim.Limits {
		if CounterName(l.Measure, l.Per, claim.At) == ch.Counter {
			s.Limit = l
			if l.Measure != gateway.Concurrency {
				s.Reset = l.Per.End(l.Per.Index(claim.At))
			}
		}
	}
	for id, r := range c.Open {
		if id != claim.ID && now.Before(r.Expires) {
			s.Held += r.held(ch.Counter)
		}
	}
	return s
}

// held is how much of a counter the open reservation may still give back.
func (r *Reservation) held(counter string) int64 {
	if counter == InFlight {
		return 1
	}
	if counter == Spend {
		return int64(r.Cost)
	}
	for _, l := range r.Limits {
		if CounterName(l.Measure, l.Per, r.At) == counter {
			switch l.Measure {
			case gateway.Tokens:
				return r.Tokens
			case gateway.Cost:
				return int64(r.Cost)
			}
		}
	}
	return 0
}

// staleAtOnce bounds how many counters one settlement removes; the rest waits
// for the next.
const staleAtOnce = 16

// stale lists counters of windows that ended more than StaleAfter ago.
func (c *Counters) stale(now time.Time) []string {
	var names []string
	for name := range c.Values {
		_, rest, ok := strings.Cut(name, ":")
		if !ok {
			continue
		}
		unit, index, ok := strings.Cut(rest, ":")
		if !ok {
			continue
		}
		i, err := strconv.ParseInt(index, 10, 64)
		if err != nil {
			continue
		}
		end := gateway.Unit(unit).End(i)
		if !end.IsZero() && now.After(end.Add(StaleAfter)) {
			if names = append(names, name); len(names) == staleAtOnce {
				break
			}
		}
	}
	return names
}
