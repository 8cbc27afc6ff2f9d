package bolt

import (
	"context"
	"errors"
	"fmt"
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
	err := s.write(ctx, func(t *txn) (err error) {
		st, err = t.reserve(claim, s.now())
		return err
	})
	if err != nil {
		return limit.Standing{}, err
	}
	return st, nil
}

// storable refuses a claim that would not come out of the store as it went in.
func storable(c *limit.Claim) error {
	if c.ID == "" || c.Key == "" || c.Tokens < 0 || c.Cost < 0 || c.At.UnixMilli() < 0 {
		return broken("claim "+c.ID, fmt.Errorf("%d tokens, %v, at %v", c.Tokens, c.Cost, c.At))
	}
	return nil
}

func (t *txn) reserve(claim *limit.Claim, now time.Time) (limit.Standing, error) {
	if err := t.checkIdempotency(claim, now); err != nil {
		return limit.Standing{}, err
	}
	c, err := t.counters(claim.Key)
	if errors.Is(err, gateway.ErrNotFound) {
		return limit.Standing{}, limit.ErrStale
	}
	if err != nil {
		return limit.Standing{}, err
	}
	if err := c.Decide(claim, now); err != nil {
		return limit.Standing{}, err
	}
	if _, retry := c.Open[claim.ID]; retry {
		return c.Standing(claim, now), nil
	}
	c.Apply(claim)
	t.keepCounters(claim.Key)
	return c.Standing(claim, now), t.rememberIdempotency(claim, now)
}

// Settle implements limit.Ledger.
func (s *Store) Settle(ctx context.Context, v *limit.Settlement) error {
	rec, err := newRecord(&v.Event)
	if err != nil {
		return err
	}
	w := newWrite(ctx, func(t *txn) error { return t.settle(*v, rec, s.now(), s.cutoff()) })
	w.patient = true
	return s.commitWrite(w)
}

func (t *txn) settle(v limit.Settlement, rec *eventRecord, now, cutoff time.Time) error {
	written, err := t.event(rec.key)
	switch {
	case err == nil:
		v.Tokens, v.Cost = written.Tokens, written.Cost
	case !errors.Is(err, gateway.ErrNotFound):
		return err
	}
	c, err := t.counters(v.Key)
	if err != nil && !errors.Is(err, gateway.ErrNotFound) { // a deleted key's event still counts
		return err
	}
	if written == nil {
		if err := t.putEvent(rec, cutoff); err != nil {
			return err
		}
	}
	if c != nil && c.Close(&v, now) {
		t.keepCounters(v.Key)
	}
	return t.endIdempotency(&v)
}
