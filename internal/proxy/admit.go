package proxy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
)

const (
	// settleTime is how long settling may take after the upstream call's own
	// deadline. A reservation expires after both, and anybody may close it then.
	settleTime = 15 * time.Second
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

// admit reserves the worst case of the call against all limits of the key, in one
// write. If it does not fit, the cap on its output is lowered to what does.
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
			if err = x.renew(ctx); err != nil {
				return err
			}
		case errors.As(err, &denied):
			x.standing = denied.Standing
			if len(denied.Standing.Expired) > 0 && !swept {
				swept = true
				x.sweep(ctx)
				continue
			}
			if denied.Limit.Measure == gateway.Concurrency || counts(denied) || !x.quote.fit(denied.Standing.Limits, x.call) {
				return refusal(denied, x.server.Now())
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
		Message: "The API key's limits change faster than the call can be admitted. Try again."}
}

func (x *exchange) newClaim(ctx context.Context) *limit.Claim {
	now := x.server.Now().Truncate(time.Millisecond)
	end := now.Add(x.timeout)
	if d, ok := ctx.Deadline(); ok && d.Before(end) {
		end = d
	}
	expires := end.Add(settleTime)
	if latest := now.Add(maxReservation); expires.After(latest) {
		expires = latest
	}
	return &limit.Claim{
		ID:             limit.NewID(),
		Key:            x.entry.key.Hash,
		Version:        x.entry.key.Version,
		Limits:         x.entry.limits,
		Tokens:         x.quote.size(),
		Cost:           x.quote.reserve(&x.entry.key),
		At:             now,
		Expires:        expires,
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
		if err == nil || try > 0 || decided(err) {
			return st, err
		}
	}
}

// decided reports whether an error of Reserve is its answer, not a failure.
func decided(err error) bool {
	var denied *limit.Denied
	return errors.As(err, &denied) || errors.Is(err, limit.ErrStale) ||
		errors.Is(err, limit.ErrRunning) || errors.Is(err, limit.ErrRepeated)
}

// renew takes the call through its checks again under a changed configuration.
func (x *exchange) renew(ctx context.Context) error {
	x.server.directory.discard(x.entry)
	if err := x.refresh(ctx, x.server.Now()); err != nil {
		return err
	}
	if err := x.choose(); err != nil {
		return err
	}
	var err error
	x.quote, err = x.newQuote()
	return err
}

// counts reports whether a limit on requests is among those that are used up: no
// smaller call would fit.
func counts(d *limit.Denied) bool {
	for _, s := range d.Standing.Limits {
		if s.Limit.Measure == gateway.Requests && s.Used > s.Limit.Max-s.Ask {
			return true
		}
	}
	return false
}

// applyCap writes a lowered cap into the body, where a limit made it necessary.
func (x *exchange) applyCap() error {
	if x.quote.cap == 0 || !x.limited(gateway.Cost) && !x.limited(gateway.Tokens) {
		return nil
	}
	if err := writeCap(x.call, x.quote.cap); err != nil {
		return fmt.Errorf("writing the output cap: %w", err)
	}
	x.capped = x.quote.cap
	return nil
}

func (x *exchange) limited(m gateway.Measure) bool {
	for _, l := range x.entry.limits {
		if l.Measure == m {
			return true
		}
	}
	return false
}

// sweepAtOnce bounds how many expired reservations one call closes.
const sweepAtOnce = 8

// sweep closes reservations whose own process never did. What they reserved stays
// charged, for nobody knows what became of them; their slot is free again.
func (x *exchange) sweep(ctx context.Context) {
	list := x.standing.Expired
	for _, r := range list[:min(len(list), sweepAtOnce)] {
		e := gateway.Event{
			ID: uuid.NewString(), ReservationID: r.ID, KeyID: x.entry.key.ID, At: r.At, Tags: x.entry.key.Tags,
			Tokens: r.Tokens, Cost: r.Cost, Basis: gateway.BasisReserved, Expired: true, Refused: "expired",
		}
		s := &limit.Settlement{Key: x.entry.key.Hash, Reservation: r, Tokens: r.Tokens, Cost: r.Cost, Event: e}
		if err := x.server.Store.Settle(ctx, s); err != nil {
			x.server.Log.Logger.WarnContext(ctx, "expired reservation not closed; the next call tries again",
				"keyId", x.entry.key.ID, "error", err)
			return
		}
		x.server.Log.Call(ctx, &e, nil)
	}
	x.standing.Expired = nil
}

// refusal says which limit was reached, how much of it is used and when it resets.
func refusal(d *limit.Denied, now time.Time) error {
	e := &gateway.Error{Kind: gateway.RateLimited, Code: codes[d.Limit.Measure], Err: d}
	used, most, unit := amounts(&d.State)
	name := limitName(d.Limit)
	switch held := d.Used-d.Held < d.Limit.Max && d.Held > 0; {
	case d.Limit.Measure == gateway.Concurrency:
		e.RetryAfter = holdWait
		e.Message = fmt.Sprintf("Limit of the API key reached: %s of %s calls are in flight.", used, most)
	case held && d.Limit.Measure != gateway.Requests:
		e.RetryAfter = holdWait
		e.Message = fmt.Sprintf("The %s of the API key (%s%s) is held by calls in flight. Try again when they have ended.", name, most, unit)
	case d.Limit.Per == gateway.Lifetime && d.Limit.Measure == gateway.Cost:
		e.Kind, e.Code = gateway.QuotaExceeded, "insufficient_quota"
		e.Message = fmt.Sprintf("The %s of the API key is used up: %s of %s%s. Only its operator can raise it.", name, used, most, unit)
	case d.Limit.Per == gateway.Lifetime:
		e.NoRetry = true
		e.Message = fmt.Sprintf("The %s of the API key is used up: %s of %s%s. Only its operator can raise it.", name, used, most, unit)
	default:
		e.RetryAfter = max(d.Reset.Sub(now), time.Millisecond)
		e.Message = fmt.Sprintf("The %s of the API key is reached: %s of %s%s used. It resets at %s.",
			name, used, most, unit, d.Reset.UTC().Format(time.RFC3339))
		if d.Ask > d.Limit.Max {
			e.NoRetry = true
			e.Message += " This call asks for more than the whole limit."
		}
	}
	return e
}

var codes = map[gateway.Measure]string{
	gateway.Requests:    "rate_limit_exceeded",
	gateway.Tokens:      "token_limit_exceeded",
	gateway.Cost:        "cost_limit_exceeded",
	gateway.Concurrency: "concurrency_limit_exceeded",
}

var unitNames = map[gateway.Unit]string{
	gateway.Second: "per second", gateway.Minute: "per minute", gateway.Hour: "per hour",
	gateway.Day: "per day", gateway.Month: "per month", gateway.Lifetime: "for its lifetime",
}

func limitName(l gateway.Limit) string {
	kind := map[gateway.Measure]string{gateway.Requests: "rate", gateway.Tokens: "token", gateway.Cost: "cost"}[l.Measure]
	return kind + " limit " + unitNames[l.Per]
}

// amounts are the used and the allowed amount of a limit, for a person.
func amounts(s *limit.State) (used, most, unit string) {
	if s.Limit.Measure == gateway.Cost {
		return gateway.NanoUSD(s.Used).String(), gateway.NanoUSD(s.Limit.Max).String(), ""
	}
	switch s.Limit.Measure {
	case gateway.Tokens:
		unit = " tokens"
	case gateway.Requests:
		unit = " requests"
	}
	return fmt.Sprint(s.Used), fmt.Sprint(s.Limit.Max), unit
}
