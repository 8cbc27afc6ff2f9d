package dynamo

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/internal/gateway"
)

// Configuration is written in transactions, be it of one item: they carry a token,
// so an attempt that is repeated because its answer was lost does not find its own
// write and take it for somebody else's. The path of a call has none: on a busy
// item transactions cancel each other.

// most is how many items DynamoDB allows in a transaction.
const most = 100

// transact writes all or nothing. errCondition: some condition does not hold.
// errBusy: another write was in the way.
func (s *Store) transact(ctx context.Context, writes []types.TransactWriteItem) error {
	if len(writes) > most {
		return &gateway.Error{Kind: gateway.Invalid, Code: "too_many_references",
			Message: "The key refers to more settings and tags than can be stored, or exchanged at once; about 90 is the most."}
	}
	_, err := s.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: writes})
	if err != nil {
		return transactionError(err)
	}
	return nil
}

// again runs try until it is not disturbed any more: errBusy, and errCondition if
// try read what it wrote by. Other errors end it.
func again(ctx context.Context, try func(context.Context) error) error {
	return againWithin(ctx, writeWithin, try)
}

func againWithin(ctx context.Context, within time.Duration, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for n := 1; ; n++ {
		err := try(ctx)
		if !errors.Is(err, errBusy) && !errors.Is(err, errCondition) {
			return err
		}
		if late := pause(ctx, n); late != nil {
			return storageError(errors.Join(err, late))
		}
	}
}

// create is transact for new records: gateway.ErrExists if a condition fails.
func (s *Store) create(ctx context.Context, writes []types.TransactWriteItem) error {
	return again(ctx, func(ctx context.Context) error {
		err := s.transact(ctx, writes)
		if errors.Is(err, errCondition) {
			return gateway.ErrExists
		}
		return err
	})
}

// put writes an item, whatever is there.
func (s *Store) put(it item) types.TransactWriteItem {
	return types.TransactWriteItem{Put: &types.Put{TableName: &s.gateway, Item: it}}
}

// putNew writes an item that must not be there.
func (s *Store) putNew(it item) types.TransactWriteItem {
	w := s.put(it)
	condition := "attribute_not_exists(pk)"
	w.Put.ConditionExpression = &condition
	return w
}

// replace writes an item over that of the version.
func (s *Store) replace(it item, version int64) types.TransactWriteItem {
	w := s.put(it)
	w.Put.ConditionExpression, w.Put.ExpressionAttributeNames, w.Put.ExpressionAttributeValues = isVersion(version)
	return w
}

// remove deletes an item, if it is there.
func (s *Store) remove(pk, sk string) types.TransactWriteItem {
	return types.TransactWriteItem{Delete: &types.Delete{TableName: &s.gateway, Key: address(pk, sk)}}
}

// removeVersion deletes an item of the version.
func (s *Store) removeVersion(pk, sk string, version int64) types.TransactWriteItem {
	w := s.remove(pk, sk)
	w.Delete.ConditionExpression, w.Delete.ExpressionAttributeNames, w.Delete.ExpressionAttributeValues = isVersion(version)
	return w
}

// isVersion is the condition that an item is of the version.
func isVersion(version int64) (*string, map[string]string, item) {
	x := newExpression()
	condition := x.name(attrVersion) + " = " + x.number(version)
	return &condition, x.names, x.values
}

// each runs f for 0 to n-1, atOnce at a time, and returns the first error. After
// an error, or when ctx ends, it starts no more.
func each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i := 0; i < n && ctx.Err() == nil; i++ {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := f(ctx, i); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		var failure *gateway.Error
		if errors.As(err, &failure) {
			return err
		}
		return storageError(err)
	}
	return nil
}
