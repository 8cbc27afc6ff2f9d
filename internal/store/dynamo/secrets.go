package dynamo

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/internal/gateway"
)

// A key lies under the hash of its first secret, with its counters. A secret that it
// was rotated to has an alias: an item where a key with that secret would lie, so
// that each secret is given once, which holds no more than where the key is.

// KeyByHash reads a key by the hash of any of its secrets; gateway.ErrNotFound.
// A secret of a key that was rotated takes two reads.
func (s *Store) KeyByHash(ctx context.Context, hash string) (gateway.Key, error) {
	it, err := s.keyOrAlias(ctx, hash)
	if err != nil {
		return gateway.Key{}, err
	}
	first := text(it, attrHash)
	if first == "" {
		return decode[gateway.Key](it)
	}
	k, err := s.keyAt(ctx, first)
	if err == nil && !slices.Contains(k.Hashes(), hash) {
		return gateway.Key{}, gateway.ErrNotFound // between the reads the key was deleted, and another made with its first secret
	}
	return k, err
}

// keyAt reads the key whose first hash it is; gateway.ErrNotFound, also for the hash
// of a later secret.
func (s *Store) keyAt(ctx context.Context, hash string) (gateway.Key, error) {
	it, err := s.keyOrAlias(ctx, hash)
	if err != nil {
		return gateway.Key{}, err
	}
	if text(it, attrHash) != "" {
		return gateway.Key{}, gateway.ErrNotFound
	}
	return decode[gateway.Key](it)
}

func (s *Store) keyOrAlias(ctx context.Context, hash string) (item, error) {
	it, err := s.get(ctx, s.gateway, pkKey(hash), skKey)
	if err == nil && len(it) == 0 {
		err = gateway.ErrNotFound
	}
	return it, err
}

// rename writes the aliases of a changed key; gateway.ErrExists if one of its new
// hashes is taken. That is looked up first: the transaction would only say that
// something was not as it should be.
func (s *Store) rename(ctx context.Context, old, k *gateway.Key) ([]types.TransactWriteItem, error) {
	before, now := old.Hashes(), k.Hashes()
	for _, hash := range now {
		if slices.Contains(before, hash) {
			continue
		}
		it, err := s.get(ctx, s.gateway, pkKey(hash), skKey)
		if err != nil {
			return nil, err
		}
		if len(it) > 0 {
			return nil, gateway.ErrExists
		}
	}
	return s.aliases(k.Hash, before, now), nil
}

// aliases writes which hashes lead to the first one now, when others did before.
func (s *Store) aliases(first string, before, now []string) []types.TransactWriteItem {
	var writes []types.TransactWriteItem
	for _, hash := range now {
		if !slices.Contains(before, hash) {
			it := address(pkKey(hash), skKey)
			it[attrHash] = str(first)
			writes = append(writes, s.putNew(it))
		}
	}
	for _, hash := range before {
		if !slices.Contains(now, hash) {
			writes = append(writes, s.remove(pkKey(hash), skKey))
		}
	}
	return writes
}
