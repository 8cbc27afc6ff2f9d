package proxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
)

const (
	// settleTime is what is left to a call after the deadline of its upstream call.
	// A reservation expires after both, and anybody may close it then.
	settleTime = 15 * time.Second
	// lastWords is the part of settleTime in which the caller may still take what
	// there is to say: how the call ended. The rest is for the books.
	lastWords = 2 * time.Second
	// reserveTime bounds one Reserve; it has to stay below limit.StaleAfter.
	reserveTime = 3 * time.Second
	// admitTries bounds how often a claim is made anew: for a changed key, for a
	// lowered cap that others were faster to use up, for expired calls closed.
	admitTries = 8
	// holdWait is what a caller is told to wait when calls in flight hold what
	// is left: they give back what they did not need as they end.
	holdWait = time.Second
	// maxReservation bounds the life of a reservation (see limit.Reservation).
	maxReservation = 18 * time.Hour
)

// admit reserves the worst case of the call against all limits: of the key, of the
// users that the call names, and of the key's tags. All of them stand, or none. If it does not fit, the cap on its output is lowered to what does.
func (x *exchange) admit(ctx context.Context) error {
	var err error
	if x.quote, err = x.newQuote(); err != nil {
		return err
	}
	swept := false
	for range admitTries {
		claim := x.newClaim(ctx)
		x.standing, err = x.reserve(ctx, claim)
		if err == nil {
			x.claim, x.call.Bound = claim, x.quote.read
			return x.applyCap()
		}
		var denied *limit.Denied
		switch {
		case errors.Is(err, limit.ErrStale):
			if err = x.renew(ctx, err); err != nil {
				return err
			}
		case errors.As(err, &denied):
			x.standing = denied.Standing
			if x.standing.AnyExpired() && !swept {
				swept = true
				x.sweep(ctx)
				continue
			}
			if !x.lower(denied) {
				return x.refuse(denied)
			}
		case errors.Is(err, limit.ErrRunning):
			return &gateway.Error{Kind: gateway.Conflict, Code: "idempotency_key_in_use",
				Message: "A call with this Idempotency-Key is running. It was not started again."}
		case errors.Is(err, limit.ErrRepeated):
			return &gateway.Error{Kind: gateway.Conflict, Code: "idempotency_key_used",
				Message: "A call with this Idempotency-Key has run in the last ten minutes. It was not run again."}
		default:
			// The claim may stand all the same: settling it, at nothing, gives
			// back what it reserved, now or when it expires.
			x.claim = claim
			return unavailable(err)
		}
	}
	return &gateway.Error{Kind: gateway.RateLimited, Code: "busy", RetryAfter: holdWait,
		Message: "The limits change faster than the call can be admitted. Try again."}
}

func (x *exchange) newClaim(ctx context.Context) *limit.Claim {
	now := x.server.Now().Truncate(time.Millisecond)
	x.end = now.Add(min(x.timeout, maxReservation-settleTime))
	if d, ok := ctx.Deadline(); ok && d.Before(x.end) {
		x.end = d
	}
	return &limit.Claim{
		ID:             limit.NewID(),
		Key:            x.entry.key.Hash,
		KeyID:          x.entry.key.ID,
		Also:           x.shares(),
		Version:        x.entry.key.Version,
		Limits:         x.entry.limits,
		Tokens:         x.quote.size(),
		Cost:           x.quote.reserve(x.limited(gateway.Cost)),
		At:             now,
		Expires:        x.end.Add(settleTime),
		IdempotencyKey: x.r.Header.Get("Idempotency-Key"),
	}
}

// reserve tries a claim, and once more if the store failed: a repeated claim
// stands at most once, whatever became of the first try.
func (x *exchange) reserve(ctx context.Context, claim *limit.Claim) (limit.Standing, error) {
	for try := 0; ; try++ {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reserveTime)
		st, err := x.server.Store.Reserve(ctx, claim)
		cancel()
		if left := new(limit.Unreleased); errors.As(err, &left) {
			x.refused = append(x.refused, claim)
		}
		if err == nil || try > 0 || decided(err) {
			return st, err
		}
	}
}

// decided reports whether an error of Reserve is its answer, not a failure.
func decided(err error) bool {
	return limit.Refused(err) || errors.Is(err, limit.ErrRunning) || errors.Is(err, limit.ErrRepeated)
}

// takeBack releases what refused claims have left, so that it need not wait until it
// expires.
func (x *exchange) takeBack(ctx context.Context) {
	for _, claim := range x.refused {
		if err := x.try(ctx, func() error { return x.server.Store.Release(ctx, claim) }); err != nil {
			x.server.Log.Logger.WarnContext(ctx, "refused call not taken back: what it reserved stays charged",
				"requestId", x.id, "keyId", claim.KeyID, "error", err)
		}
	}
}

// renew takes the call through its checks again under a changed configuration. It
// reads again what is stale.
func (x *exchange) renew(ctx context.Context, stale error) error {
	var shares *limit.StaleShares
	var err error
	if errors.As(stale, &shares) {
		err = x.renewShares(ctx, shares.Subjects)
	} else {
		err = x.renewKey(ctx)
	}
	if err == nil {
		err = x.identify(ctx)
	}
	if err == nil {
		err = x.enforce()
	}
	if err != nil {
		return err
	}
	x.quote, err = x.newQuote()
	return err
}

func (x *exchange) renewKey(ctx context.Context) error {
	x.server.directory.discard(x.entry)
	if err := x.refresh(ctx, x.server.Now()); err != nil {
		return err
	}
	return x.undefined(ctx, x.choose())
}

func (x *exchange) renewShares(ctx context.Context, subjects []string) error {
	x.server.users.forget(x.call.User, subjects)
	e, err := x.server.directory.retag(ctx, x.entry, subjects)
	if err != nil {
		return unavailable(err)
	}
	x.entry = e
	return nil
}

// lower makes the call smaller, if a smaller one would fit what was denied.
func (x *exchange) lower(d *limit.Denied) bool {
	limits := d.Standing.All()
	return d.Limit.Measure != gateway.Concurrency && !counts(limits) && x.quote.fit(limits, x.call)
}

// counts reports whether a limit on requests is among those that are used up: no
// smaller call would fit.
func counts(limits []limit.State) bool {
	return slices.ContainsFunc(limits, func(s limit.State) bool {
		return s.Limit.Measure == gateway.Requests && s.Used > s.Limit.Max-s.Ask
	})
}

// applyCap writes into the body what the reservation counts on, where a limit made it
// necessary: a lowered output cap, and caps on the provider's own tools.
func (x *exchange) applyCap() error {
	if !x.limited(gateway.Cost) && !x.limited(gateway.Tokens) {
		return nil
	}
	if err := writeToolCaps(x.call); err != nil {
		return fmt.Errorf("writing the cap on tools: %w", err)
	}
	if x.quote.cap == 0 {
		return nil
	}
	if err := writeCap(x.call, x.quote.cap); err != nil {
		return fmt.Errorf("writing the output cap: %w", err)
	}
	x.capped = x.quote.cap
	return nil
}

// limited reports whether any limit on the call counts m.
func (x *exchange) limited(m gateway.Measure) bool {
	measures := func(l gateway.Limit) bool { return l.Measure == m }
	return slices.ContainsFunc(x.entry.limits, measures) || slices.ContainsFunc(x.scopes(), func(s *scope) bool {
		return slices.ContainsFunc(s.share.Limits, measures)
	})
}

// deniesUnknown applies the key's rule for calls without a price. Without one it is
// to deny them where a cost limit applies, whosever that is.
func (x *exchange) deniesUnknown() bool {
	if x.entry.key.UnknownModel == gateway.UnknownModelDefault {
		return x.limited(gateway.Cost)
	}
	return x.entry.key.DeniesUnknownModel()
}

// sweepAtOnce bounds how many expired reservations one call closes.
const sweepAtOnce = 8

// sweep closes reservations whose own process never did, on the counter items where
// this call saw them. What they reserved stays charged, for nobody knows what became
// of them; their slot is free again.
func (x *exchange) sweep(ctx context.Context) {
	list := x.standing.Lapsed(x.entry.key.Hash, x.entry.key.ID)
	for _, s := range list[:min(len(list), sweepAtOnce)] {
		own := false
		err := x.describe(ctx, s)
		if err == nil {
			own, err = x.server.Store.Settle(ctx, s)
		}
		if err != nil {
			x.server.Log.Logger.WarnContext(ctx, "expired reservation not closed; the next call tries again",
				"keyId", s.Event.KeyID, "error", err)
			return
		}
		if own { // others saw it too, and one of them has recorded it
			x.server.Log.Call(ctx, &s.Event, nil)
		}
	}
	x.standing.Expired = nil
	for i := range x.standing.Also {
		x.standing.Also[i].Expired = nil
	}
}

// describe completes the event of an expired reservation, which may be of another key.
func (x *exchange) describe(ctx context.Context, s *limit.Settlement) error {
	e := &s.Event
	e.ID, e.Refused, e.Tags = uuid.NewString(), "expired", x.entry.key.Tags
	for _, c := range s.Also {
		if u := x.scopeOf(c.Subject); u != nil && u.user != nil {
			e.UserID = u.user.UserID
		}
	}
	if e.KeyID == x.entry.key.ID {
		return nil
	}
	k, err := x.server.Store.Key(ctx, e.KeyID)
	if errors.Is(err, gateway.ErrNotFound) {
		err = nil
	}
	e.Tags = k.Tags
	return err
}
