package dynamo

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/internal/limit"
)

// Reserve implements limit.Ledger: one write for the key and one for each share, side
// by side, and one before them with an idempotency key.
func (s *Store) Reserve(ctx context.Context, claim *limit.Claim) (limit.Standing, error) {
	if len(claim.Also) > 0 && claim.KeyID == "" {
		return limit.Standing{}, broken(errors.New("a claim with shares needs the key's id"))
	}
	ctx, cancel := context.WithTimeout(ctx, reserveWithin)
	defer cancel()
	if claim.IdempotencyKey == "" {
		return s.chargeAll(ctx, claim)
	}
	if err := s.remember(ctx, claim); err != nil {
		return limit.Standing{}, err
	}
	standing, err := s.chargeAll(ctx, claim)
	if limit.Refused(err) {
		// Unless this succeeds the next call with the value would be told that
		// one is running, so a failure here outweighs the refusal.
		if failure := s.forget(ctx, claim.Key, claim.IdempotencyKey, claim.ID); failure != nil {
			if len(claim.Also) == 0 {
				return limit.Standing{}, failure
			}
			return limit.Standing{}, unreleased(err, failure)
		}
	}
	return standing, err
}

// chargeAll charges all parts of the claim at once. If one refuses, the others are
// released before the answer. A failure, after which nobody knows what stands, is
// answered as it is: the claim may be repeated, and finds what it had charged.
func (s *Store) chargeAll(ctx context.Context, claim *limit.Claim) (limit.Standing, error) {
	if len(claim.Also) == 0 {
		return s.charge(ctx, claim)
	}
	parts := claim.Parts()
	standings, errs := make([]limit.Standing, len(parts)), make([]error, len(parts))
	var wg sync.WaitGroup
	for i, part := range parts {
		wg.Go(func() { standings[i], errs[i] = s.charge(ctx, part) })
	}
	wg.Wait()
	var standing []*limit.Claim
	refused := false
	for i, err := range errs {
		switch {
		case err == nil:
			standing = append(standing, parts[i])
		case limit.Refused(err):
			refused = true
		default:
			return limit.Standing{}, err
		}
	}
	if refused {
		for i, part := range parts {
			if errs[i] == nil {
				standings[i] = standings[i].Without(part)
			}
		}
	}
	answer, err := limit.Join(claim, standings, errs)
	if refused {
		if failure := s.releaseParts(ctx, standing); failure != nil {
			err = unreleased(err, failure)
		}
	}
	return answer, err
}

// charge makes all charges of a part in one conditional write. If that write
// is sent twice, because its first answer was lost, the second finds the marker
// of the first and is answered as if it had been the first.
func (s *Store) charge(ctx context.Context, claim *limit.Claim) (limit.Standing, error) {
	out, err := s.db.UpdateItem(ctx, chargeInput(s.gateway, claim))
	if old, failed := conditionFailed(err); failed {
		return s.explain(old, claim)
	}
	if err != nil {
		return limit.Standing{}, storageError(err)
	}
	counters, err := parseCounters(out.Attributes)
	if err != nil {
		return limit.Standing{}, err
	}
	return counters.Standing(claim, s.now()), nil
}

// explain says why the counter item, as it was, did not admit the claim.
func (s *Store) explain(old item, claim *limit.Claim) (limit.Standing, error) {
	if len(old) == 0 {
		return limit.Standing{}, limit.ErrStale // deleted
	}
	counters, err := parseCounters(old)
	if err != nil {
		return limit.Standing{}, err
	}
	now := s.now()
	if err := counters.Decide(claim, now); err != nil {
		return limit.Standing{}, err
	}
	if _, ours := old[claim.ID]; !ours {
		return limit.Standing{}, broken(errors.New("the condition and the counters disagree"))
	}
	return counters.Standing(claim, now), nil
}

// chargeInput is the write that admits a call: the version is the one the caller
// decided by, the reservation is new, and every counter keeps within its cap.
func chargeInput(table string, claim *limit.Claim) *dynamodb.UpdateItemInput {
	x := newExpression()
	marker := x.name(claim.ID)
	conditions := []string{
		x.name(attrV) + " = " + x.number(claim.Version),
		"attribute_not_exists(" + marker + ")",
	}
	var adds []string
	for _, ch := range claim.Charges() {
		if ch.Cap != limit.NoCap {
			conditions = append(conditions, fits(x, ch))
		}
		if ch.Amount != 0 {
			adds = append(adds, x.name(ch.Counter)+" "+x.number(ch.Amount))
		}
	}
	reservation := claim.Reservation()
	update := "SET " + marker + " = " + x.value(&types.AttributeValueMemberB{Value: reservation.Encode()}) +
		" ADD " + strings.Join(adds, ", ") // never empty: every call is in flight
	condition := strings.Join(conditions, " AND ")
	return &dynamodb.UpdateItemInput{
		TableName:                           &table,
		Key:                                 address(pkCounters(claim.Key), skCounters),
		UpdateExpression:                    &update,
		ConditionExpression:                 &condition,
		ExpressionAttributeNames:            x.names,
		ExpressionAttributeValues:           x.values,
		ReturnValues:                        types.ReturnValueAllNew,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
}

// fits is the condition that a charge stays within its cap. An absent counter is
// zero, which is not enough for an amount above the cap: then only a counter
// below zero would do.
func fits(x *expression, ch limit.Charge) string {
	counter := x.name(ch.Counter)
	below := counter + " <= " + x.number(ch.Cap-ch.Amount)
	if ch.Amount > ch.Cap {
		return below
	}
	return "(attribute_not_exists(" + counter + ") OR " + below + ")"
}
