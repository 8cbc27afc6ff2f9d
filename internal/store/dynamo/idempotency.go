package dynamo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/internal/limit"
)

// A claimed idempotency key is an item beside its key's, named by the hash of
// the caller's value, because that is of any length and nobody's business:
//
//	claim   id of the claim that has it
//	until   remembered until then, milliseconds since 1970
//	ended   true once the call has ended
//	ttl     clean-up; until is what counts
const (
	attrClaim = "claim"
	attrUntil = "until"
	attrEnded = "ended"
)

func idempotencyAddress(keyHash, value string) item {
	sum := sha256.Sum256([]byte(value))
	return address(pkKey(keyHash), "I#"+hex.EncodeToString(sum[:]))
}

// remember claims the idempotency key for the claim. It succeeds again for the
// same claim, as long as that has not ended: a write that was delayed on its way
// must not make an ended call a running one.
func (s *Store) remember(ctx context.Context, claim *limit.Claim) error {
	until := claim.At.Add(limit.IdempotencyWindow)
	if claim.Expires.After(until) {
		until = claim.Expires
	}
	it := idempotencyAddress(claim.Key, claim.IdempotencyKey)
	it[attrClaim] = str(claim.ID)
	it[attrUntil] = num(until.UnixMilli())
	it[attrTTL] = num(ttlAfter(until))

	x := newExpression()
	condition := "attribute_not_exists(" + x.name(attrPK) + ")" +
		" OR " + x.name(attrUntil) + " <= " + x.number(s.now().UnixMilli()) +
		" OR (" + x.name(attrClaim) + " = " + x.value(str(claim.ID)) +
		" AND attribute_not_exists(" + x.name(attrEnded) + "))"
	_, err := s.db.PutItem(ctx, &dynamodb.PutItemInput{
		TableName:                           &s.gateway,
		Item:                                it,
		ConditionExpression:                 &condition,
		ExpressionAttributeNames:            x.names,
		ExpressionAttributeValues:           x.values,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	old, taken := conditionFailed(err)
	if !taken {
		return storageError(err)
	}
	if _, ended := old[attrEnded]; ended {
		return limit.ErrRepeated
	}
	return limit.ErrRunning
}

// end marks the idempotency key of a settled call. It is remembered for a window
// from its start, even if the call could have run for longer.
func (s *Store) end(ctx context.Context, st *limit.Settlement) error {
	until := st.Reservation.At.Add(limit.IdempotencyWindow)
	x := newExpression()
	update := "SET " + x.name(attrEnded) + " = " + x.value(&types.AttributeValueMemberBOOL{Value: true}) +
		", " + x.name(attrUntil) + " = " + x.number(until.UnixMilli()) +
		", " + x.name(attrTTL) + " = " + x.number(ttlAfter(until))
	condition := x.name(attrClaim) + " = " + x.value(str(st.Reservation.ID))
	_, err := s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 &s.gateway,
		Key:                       idempotencyAddress(st.Key, st.IdempotencyKey),
		UpdateExpression:          &update,
		ConditionExpression:       &condition,
		ExpressionAttributeNames:  x.names,
		ExpressionAttributeValues: x.values,
	})
	if _, gone := conditionFailed(err); gone {
		return nil // removed since, or claimed by a later call
	}
	return storageError(err)
}

// forget releases the idempotency key, if the claim still has it.
func (s *Store) forget(ctx context.Context, keyHash, value, claimID string) error {
	x := newExpression()
	condition := x.name(attrClaim) + " = " + x.value(str(claimID))
	_, err := s.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName:                 &s.gateway,
		Key:                       idempotencyAddress(keyHash, value),
		ConditionExpression:       &condition,
		ExpressionAttributeNames:  x.names,
		ExpressionAttributeValues: x.values,
	})
	if _, gone := conditionFailed(err); gone {
		return nil
	}
	return storageError(err)
}

// ttlAfter is the ttl of an item that is needed until t, in epoch seconds.
func ttlAfter(t time.Time) int64 { return t.Unix() + 1 }
