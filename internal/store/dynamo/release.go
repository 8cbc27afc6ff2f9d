package dynamo

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/internal/limit"
)

const (
	// releaseWithin bounds taking back what a refused claim charged. The caller
	// waits for it, but not at the expense of Reserve's own time, which may be up.
	releaseWithin = time.Second
	releaseTries  = 3
)

// unreleased is a refusal after which something may have been left behind.
func unreleased(refusal, cause error) error {
	var already *limit.Unreleased
	if errors.As(refusal, &already) {
		refusal, cause = already.Refusal, errors.Join(already.Cause, cause)
	}
	return &limit.Unreleased{Refusal: refusal, Cause: cause}
}

// Release implements limit.Ledger.
func (s *Store) Release(ctx context.Context, claim *limit.Claim) error {
	if err := s.releaseParts(ctx, claim.Parts()); err != nil {
		return err
	}
	if claim.IdempotencyKey == "" {
		return nil
	}
	return s.forget(ctx, claim.Key, claim.IdempotencyKey, claim.ID)
}

// releaseParts takes back what the parts charged, each in one write, and tries again
// what fails. A write of these that arrives late finds nothing to take: a claim that
// was released once is never charged again.
func (s *Store) releaseParts(ctx context.Context, parts []*limit.Claim) error {
	if len(parts) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseWithin)
	defer cancel()
	errs := make([]error, len(parts))
	var wg sync.WaitGroup
	for i, part := range parts {
		wg.Go(func() {
			for n := 1; n <= releaseTries; n++ {
				if errs[i] = s.release(ctx, part); errs[i] == nil || pause(ctx, n) != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// release is closeReservation for a call that was refused: nothing is left of it.
func (s *Store) release(ctx context.Context, part *limit.Claim) error {
	x := newExpression()
	reservation := part.Reservation()
	marker := x.name(reservation.ID)
	adds := []string{x.name(limit.InFlight) + " " + x.number(-1)}
	for _, c := range reservation.Refunds(s.now()) {
		adds = append(adds, x.name(c.Counter)+" "+x.number(c.Delta))
	}
	update := "ADD " + strings.Join(adds, ", ") + " REMOVE " + marker
	condition := "attribute_exists(" + marker + ")"
	key := address(pkCounters(part.Key), skCounters)
	_, err := s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 &s.gateway,
		Key:                       key,
		UpdateExpression:          &update,
		ConditionExpression:       &condition,
		ExpressionAttributeNames:  x.names,
		ExpressionAttributeValues: x.values,
	})
	if _, gone := conditionFailed(err); gone {
		return nil
	}
	return storageError(err)
}
