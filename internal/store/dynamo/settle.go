package dynamo

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
)

// Settle implements limit.Ledger: the event first, then the counters, those of the
// shares before the key's, then the idempotency key if there is one. Each write may be repeated, and whoever stops
// between two of them leaves what the next closer needs.
func (s *Store) Settle(ctx context.Context, st *limit.Settlement) (own bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	event := st.Event
	// The reservation names the event, so that all its closers write the same
	// one, and it holds the amounts that the next closer needs.
	event.At, event.ReservationID = st.Reservation.At, st.Reservation.ID
	event.Tokens, event.Cost = st.Tokens, st.Cost
	stands, err := s.putEvent(ctx, event)
	if err != nil {
		return false, err
	}
	own = stands.ID == event.ID
	if err := s.closeAll(ctx, st, stands.Tokens, stands.Cost); err != nil {
		return own, err
	}
	switch {
	case st.IdempotencyKey == "":
		return own, nil
	case st.Forget:
		return own, s.forget(ctx, st.Key, st.IdempotencyKey, st.Reservation.ID)
	}
	return own, s.end(ctx, st)
}

func (s *Store) closeAll(ctx context.Context, st *limit.Settlement, tokens int64, cost gateway.NanoUSD) error {
	parts := st.Parts()
	if shares := len(st.Also); shares > 0 {
		err := each(ctx, shares, func(ctx context.Context, i int) error {
			return s.closeReservation(ctx, parts[i], tokens, cost)
		})
		if err != nil {
			return err
		}
		parts = parts[shares:]
	}
	for _, key := range parts { // none if only a share is closed
		if err := s.closeReservation(ctx, key, tokens, cost); err != nil {
			return err
		}
	}
	return nil
}

// closeReservation corrects the counters and removes the marker, in one write. A
// marker that is gone, with its key or without it, means that it was done before.
func (s *Store) closeReservation(ctx context.Context, st *limit.Settlement, tokens int64, cost gateway.NanoUSD) error {
	x := newExpression()
	marker := x.name(st.Reservation.ID)
	adds := []string{x.name(limit.InFlight) + " " + x.number(-1)}
	for _, c := range st.Reservation.Corrections(tokens, cost, s.now()) {
		adds = append(adds, x.name(c.Counter)+" "+x.number(c.Delta))
	}
	removes := []string{marker}
	for _, counter := range st.Stale {
		if !x.has(counter) { // DynamoDB refuses to name one attribute twice
			removes = append(removes, x.name(counter))
		}
	}
	update := "ADD " + strings.Join(adds, ", ") + " REMOVE " + strings.Join(removes, ", ")
	condition := "attribute_exists(" + marker + ")"
	_, err := s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 &s.gateway,
		Key:                       address(pkCounters(st.Key), skCounters),
		UpdateExpression:          &update,
		ConditionExpression:       &condition,
		ExpressionAttributeNames:  x.names,
		ExpressionAttributeValues: x.values,
		ReturnValues:              types.ReturnValueNone,
	})
	if _, closed := conditionFailed(err); closed {
		return nil
	}
	return storageError(err)
}
