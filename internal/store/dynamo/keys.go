package dynamo

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/internal/gateway"
)

const (
	skKey     = "KEY"
	skPointer = "POINTER"
	attrHash  = "hash" // of a pointer or an alias: the first hash of the key it points to

	// The index of all records of a kind. Counters and pointers have no kind,
	// so they are not in it.
	indexKind    = "byKind"
	attrKind     = "kind"
	attrKindSort = "kindSort"
	kindKey      = "key"
	kindSetting  = "setting"
)

func pkPointer(id string) string { return "KEY#" + id }

// CreateKey stores a new key with its counters; gateway.ErrExists when its hash
// or id is taken. It assigns the version.
func (s *Store) CreateKey(ctx context.Context, k gateway.Key) error {
	k.Version = s.nextVersion(0)
	it, err := keyItem(&k)
	if err != nil {
		return err
	}
	counters := address(pkKey(k.Hash), skCounters)
	counters[attrV] = num(k.Version)
	pointer := address(pkPointer(k.ID), skPointer)
	pointer[attrHash] = str(k.Hash)
	writes := []types.TransactWriteItem{s.putNew(it), s.putNew(pointer), s.put(counters)}
	writes = append(writes, s.aliases(k.Hash, nil, k.Hashes()[1:])...)
	return s.create(ctx, append(writes, s.uses(&k, nil, k.References())...))
}

// UpdateKey changes a key and gives it and its counters a new version, in one
// transaction; gateway.ErrExists when change gives the key a secret that is taken.
// change may run more than once; its error ends the update.
func (s *Store) UpdateKey(ctx context.Context, id string, change func(*gateway.Key) error) (gateway.Key, error) {
	hash, err := s.hashOf(ctx, id)
	if err != nil {
		return gateway.Key{}, err
	}
	return s.rewriteKey(ctx, hash, func(k *gateway.Key) error {
		if k.ID != id {
			return gateway.ErrNotFound // deleted, and its secret given to another key
		}
		return change(k)
	})
}

// rewriteKey changes the key whose first hash it is.
func (s *Store) rewriteKey(ctx context.Context, hash string, change func(*gateway.Key) error) (k gateway.Key, err error) {
	err = again(ctx, func(ctx context.Context) error {
		k, err = s.keyAt(ctx, hash)
		if err != nil {
			return err
		}
		old, before := k, k.References()
		if err := change(&k); err != nil {
			return err
		}
		k.ID, k.Hash, k.CreatedAt = old.ID, old.Hash, old.CreatedAt
		k.Version = s.nextVersion(old.Version)
		renamed, err := s.rename(ctx, &old, &k)
		if err != nil {
			return err
		}
		it, err := keyItem(&k)
		if err != nil {
			return err
		}
		writes := []types.TransactWriteItem{s.replace(it, old.Version), s.setCountersVersion(hash, k.Version)}
		writes = append(writes, renamed...)
		return s.transact(ctx, append(writes, s.uses(&k, before, k.References())...))
	})
	if err != nil {
		return gateway.Key{}, err
	}
	return k, nil
}

// DeleteKey removes a key with everything of it but its events.
func (s *Store) DeleteKey(ctx context.Context, id string) error {
	err := again(ctx, func(ctx context.Context) error {
		hash, err := s.hashOf(ctx, id)
		if err != nil {
			return err
		}
		k, err := s.keyAt(ctx, hash)
		if err != nil {
			return err
		}
		if k.ID != id { // deleted meanwhile, and its secret given to another key
			return gateway.ErrNotFound
		}
		writes := []types.TransactWriteItem{
			s.removeVersion(pkKey(hash), skKey, k.Version),
			s.remove(pkKey(hash), skCounters),
			s.remove(pkPointer(id), skPointer),
		}
		writes = append(writes, s.aliases(hash, k.Hashes()[1:], nil)...)
		return s.transact(ctx, append(writes, s.uses(&k, k.References(), nil)...))
	})
	if errors.Is(err, gateway.ErrNotFound) {
		return nil
	}
	return err
}

// Key reads a key by its id; gateway.ErrNotFound.
func (s *Store) Key(ctx context.Context, id string) (gateway.Key, error) {
	hash, err := s.hashOf(ctx, id)
	if err != nil {
		return gateway.Key{}, err
	}
	k, err := s.keyAt(ctx, hash)
	if err == nil && k.ID != id {
		return gateway.Key{}, gateway.ErrNotFound
	}
	return k, err
}

// Keys lists all keys, newest first. A change may take a second to show.
func (s *Store) Keys(ctx context.Context) ([]gateway.Key, error) {
	keys, err := list[gateway.Key](ctx, s, kindKey)
	slices.SortFunc(keys, func(a, b gateway.Key) int {
		return newestFirst(a.CreatedAt, b.CreatedAt, a.ID, b.ID)
	})
	return keys, err
}

// hashOf follows the pointer from a key's id to its hash.
func (s *Store) hashOf(ctx context.Context, id string) (string, error) {
	it, err := s.get(ctx, s.gateway, pkPointer(id), skPointer)
	if err != nil {
		return "", err
	}
	if len(it) == 0 {
		return "", gateway.ErrNotFound
	}
	return text(it, attrHash), nil
}

func keyItem(k *gateway.Key) (item, error) {
	it := address(pkKey(k.Hash), skKey)
	indexAs(it, kindKey, k.CreatedAt, k.ID)
	it[attrVersion] = num(k.Version)
	return document(it, k)
}

// setCountersVersion makes reservations by older configurations fail.
func (s *Store) setCountersVersion(hash string, version int64) types.TransactWriteItem {
	x := newExpression()
	update := "SET " + x.name(attrV) + " = " + x.number(version)
	return types.TransactWriteItem{Update: &types.Update{
		TableName:                 &s.gateway,
		Key:                       address(pkKey(hash), skCounters),
		UpdateExpression:          &update,
		ExpressionAttributeNames:  x.names,
		ExpressionAttributeValues: x.values,
	}}
}

// indexAs puts an item into the index of its kind.
func indexAs(it item, kind string, created time.Time, id string) {
	it[attrKind] = str(kind)
	it[attrKindSort] = str(created.UTC().Format("2006-01-02T15:04:05.000000000Z") + "#" + id)
}

// list reads all records of a kind from the index.
func list[T any](ctx context.Context, s *Store, kind string) ([]T, error) {
	x := newExpression()
	condition := x.name(attrKind) + " = " + x.value(str(kind))
	index := indexKind
	in := &dynamodb.QueryInput{
		TableName:                 &s.gateway,
		IndexName:                 &index,
		KeyConditionExpression:    &condition,
		ExpressionAttributeNames:  x.names,
		ExpressionAttributeValues: x.values,
	}
	var all []T
	err := s.query(ctx, in, func(it item) error {
		record, err := decode[T](it)
		all = append(all, record)
		return err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// newestFirst orders by time, descending, then by id.
func newestFirst(a, b time.Time, idA, idB string) int {
	if c := b.Compare(a); c != 0 {
		return c
	}
	return strings.Compare(idA, idB)
}
