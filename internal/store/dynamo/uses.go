package dynamo

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/internal/gateway"
)

// For each reference of a key there is an item beside what it refers to:
//
//	pk    of the setting, or USES#<kind>#<id>
//	sk    K#<hash> of the key
//	user  the key's id
//
// It is written together with the key, so that a consistent read finds all keys that
// a change concerns. An index follows later, and a key that it does not show yet would
// go on with what was before the change.
const attrUserID = "user"

func pkUses(r gateway.Reference) string {
	if r.To == gateway.ToSetting {
		return pkSetting(r.ID)
	}
	return "USES#" + string(r.To) + "#" + valid(r.ID)
}

// uses writes what the key refers to now, when it referred to other things before.
func (s *Store) uses(k *gateway.Key, before, now []gateway.Reference) []types.TransactWriteItem {
	var writes []types.TransactWriteItem
	for _, r := range now {
		if !slices.Contains(before, r) {
			it := address(pkUses(r), pkKey(k.Hash))
			it[attrUserID] = str(k.ID)
			writes = append(writes, s.put(it))
		}
	}
	for _, r := range before {
		if !slices.Contains(now, r) {
			writes = append(writes, s.remove(pkUses(r), pkKey(k.Hash)))
		}
	}
	return writes
}

// KeysUsing lists the ids of the keys with the reference, consistently.
func (s *Store) KeysUsing(ctx context.Context, r gateway.Reference) (ids []string, err error) {
	err = s.users(ctx, r, func(it item) { ids = append(ids, text(it, attrUserID)) })
	return ids, err
}

// users calls f with the item of every key that has the reference.
func (s *Store) users(ctx context.Context, r gateway.Reference, f func(item)) error {
	x := newExpression()
	condition := x.name(attrPK) + " = " + x.value(str(pkUses(r))) +
		" AND begins_with(" + x.name(attrSK) + ", " + x.value(str(pkKey(""))) + ")"
	consistent := true
	in := &dynamodb.QueryInput{
		TableName:                 &s.gateway,
		KeyConditionExpression:    &condition,
		ExpressionAttributeNames:  x.names,
		ExpressionAttributeValues: x.values,
		ConsistentRead:            &consistent,
	}
	return s.query(ctx, in, func(it item) error {
		f(it)
		return nil
	})
}

// hashesUsing lists the hashes of the keys with the reference.
func (s *Store) hashesUsing(ctx context.Context, r gateway.Reference) (hashes []string, err error) {
	err = s.users(ctx, r, func(it item) { hashes = append(hashes, strings.TrimPrefix(text(it, attrSK), pkKey(""))) })
	return hashes, err
}
