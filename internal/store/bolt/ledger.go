package bolt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
)

var _ limit.Ledger = (*Store)(nil)

// Reserve implements limit.Ledger.
func (s *Store) Reserve(ctx context.Context, claim *limit.Claim) (limit.Standing, error) {
	if err := storable(claim); err != nil {
		return limit.Standing{}, err
	}
	var st limit.Standing
	var refusal error
	err := s.write(ctx, func(t *txn) (err error) {
		st, refusal, err = t.reserve(claim, s.now())
		return err
	})
	if err = cmp.Or(err, refusal); err != nil {
		return limit.Standing{}, err
	}
	return st, nil
}

// storable refuses a claim that would not come out of the store as it went in.
func storable(c *limit.Claim) error {
	if c.ID == "" || c.Key == "" || len(c.Also) > 0 && c.KeyID == "" || c.Tokens < 0 || c.Cost < 0 || c.At.UnixMilli() < 0 {
		return broken("claim "+c.ID, fmt.Errorf("%d tokens, %v, at %v", c.Tokens, c.Cost, c.At))
	}
	return nil
}

// reserve returns what limit.Join says as the refusal.
func (t *txn) reserve(claim *limit.Claim, now time.Time) (st limit.Standing, refusal, err error) {
	if err := t.checkIdempotency(claim, now); err != nil {
		return limit.Standing{}, nil, err
	}
	parts := claim.Parts()
	refusals := make([]error, len(parts))
	open := 0
	for i, part := range parts {
		c, err := t.counters(part.Key)
		switch {
		case errors.Is(err, gateway.ErrNotFound):
			refusals[i] = limit.ErrStale
		case err != nil:
			return limit.Standing{}, nil, err
		default:
			refusals[i] = c.Decide(part, now)
			if _, ok := c.Open[part.ID]; ok {
				open++
			}
		}
	}
	passed := !slices.ContainsFunc(refusals, func(err error) bool { return err != nil })
	switch {
	case passed && open < len(parts): // not a retry
		t.apply(parts)
		err = t.rememberIdempotency(claim, now)
	case !passed && open > 0:
		// A retry, but a share was deleted since the first try.
		t.release(parts, now)
	}
	st, refusal = limit.Join(claim, t.standings(parts, refusals, now), refusals)
	return st, refusal, err
}

func (t *txn) apply(parts []*limit.Claim) {
	for _, part := range parts {
		t.loaded[part.Key].Apply(part)
		t.keepCounters(part.Key)
	}
}

// standings are those of the parts that are not refused.
func (t *txn) standings(parts []*limit.Claim, refusals []error, now time.Time) []limit.Standing {
	list := make([]limit.Standing, len(parts))
	for i, part := range parts {
		if refusals[i] == nil {
			list[i] = t.loaded[part.Key].Standing(part, now)
		}
	}
	return list
}

// release takes back what the parts charged, where they stand. Their counters are
// loaded, unless there are none.
func (t *txn) release(parts []*limit.Claim, now time.Time) {
	for _, part := range parts {
		if c := t.loaded[part.Key]; c != nil && c.Release(part.Reservation(), now) {
			t.keepCounters(part.Key)
		}
	}
}

// Release implements limit.Ledger. What Reserve refused left nothing here, so there
// is something to do only for a claim that stands.
func (s *Store) Release(ctx context.Context, claim *limit.Claim) error {
	return s.write(ctx, func(t *txn) error {
		parts := claim.Parts()
		for _, part := range parts {
			if _, err := t.counters(part.Key); err != nil && !errors.Is(err, gateway.ErrNotFound) {
				return err
			}
		}
		t.release(parts, s.now())
		return nil
	})
}

// Settle implements limit.Ledger.
func (s *Store) Settle(ctx context.Context, v *limit.Settlement) (own bool, err error) {
	rec, err := newRecord(&v.Event)
	if err != nil {
		return false, err
	}
	w := newWrite(ctx, func(t *txn) (err error) {
		own, err = t.settle(*v, rec, s.now(), s.cutoff())
		return err
	})
	w.patient = true
	err = s.commitWrite(w)
	s.wrote(rec, err)
	return own && err == nil, err
}

// settle reports whether the event that stands is the settlement's.
func (t *txn) settle(v limit.Settlement, rec *eventRecord, now, cutoff time.Time) (own bool, err error) {
	rec.written = false
	written, err := t.event(rec.key)
	switch {
	case err == nil:
		v.Tokens, v.Cost = written.Tokens, written.Cost
	case !errors.Is(err, gateway.ErrNotFound):
		return false, err
	}
	parts := v.Parts()
	for _, part := range parts { // read before anything is written: see attempt
		if _, err := t.counters(part.Key); err != nil && !errors.Is(err, gateway.ErrNotFound) {
			return false, err
		}
	}
	if written == nil {
		if err := t.putEvent(rec, cutoff); err != nil {
			return false, err
		}
	}
	for _, part := range parts { // those of what was deleted are not there; its events still count
		if c := t.loaded[part.Key]; c != nil && c.Close(part, now) {
			t.keepCounters(part.Key)
		}
	}
	return written == nil || written.ID == v.Event.ID, t.endIdempotency(&v)
}
