package dynamo

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/internal/gateway"
)

const skSetting = "SETTING"

func pkSetting(id string) string { return "SETTING#" + id }

// CreateSetting stores a new setting; gateway.ErrExists when its id is taken. It
// assigns the version.
func (s *Store) CreateSetting(ctx context.Context, v gateway.Setting) error {
	v.Version = s.nextVersion(0)
	it, err := settingItem(&v)
	if err != nil {
		return err
	}
	return s.create(ctx, []types.TransactWriteItem{s.putNew(it)})
}

// UpdateSetting changes a setting, then gives the keys that use it a new version.
// change may run more than once; its error ends the update. If the second step
// fails, the setting as written comes with the error, and repeating the update
// completes it.
func (s *Store) UpdateSetting(ctx context.Context, id string, change func(*gateway.Setting) error) (gateway.Setting, error) {
	var v gateway.Setting
	err := again(ctx, func(ctx context.Context) error {
		var err error
		if v, err = s.Setting(ctx, id); err != nil {
			return err
		}
		old := v
		if err := change(&v); err != nil {
			return err
		}
		v.ID, v.CreatedAt = old.ID, old.CreatedAt
		v.Version = s.nextVersion(old.Version)
		it, err := settingItem(&v)
		if err != nil {
			return err
		}
		return s.transact(ctx, []types.TransactWriteItem{s.replace(it, old.Version)})
	})
	if err != nil {
		return gateway.Setting{}, err
	}
	return v, s.touchKeys(ctx, id)
}

// DeleteSetting removes a setting, then gives the keys that use it a new version.
func (s *Store) DeleteSetting(ctx context.Context, id string) error {
	err := again(ctx, func(ctx context.Context) error {
		return s.transact(ctx, []types.TransactWriteItem{s.remove(pkSetting(id), skSetting)})
	})
	if err != nil {
		return err
	}
	return s.touchKeys(ctx, id)
}

// touchKeys gives every key that uses the setting a new version.
//
// A reader must read the key before its settings. Then a key that starts to use
// the setting meanwhile, and is missed here, comes with the setting as it is now.
func (s *Store) touchKeys(ctx context.Context, settingID string) error {
	hashes, err := s.hashesUsing(ctx, gateway.Reference{To: gateway.ToSetting, ID: settingID})
	if err != nil {
		return err
	}
	same := func(*gateway.Key) error { return nil }
	return each(ctx, len(hashes), func(ctx context.Context, i int) error {
		_, err := s.rewriteKey(ctx, hashes[i], same)
		if errors.Is(err, gateway.ErrNotFound) {
			return nil // deleted meanwhile
		}
		return err
	})
}

// Setting reads a setting; gateway.ErrNotFound.
func (s *Store) Setting(ctx context.Context, id string) (gateway.Setting, error) {
	it, err := s.get(ctx, s.gateway, pkSetting(id), skSetting)
	if err != nil {
		return gateway.Setting{}, err
	}
	if len(it) == 0 {
		return gateway.Setting{}, gateway.ErrNotFound
	}
	return decode[gateway.Setting](it)
}

// Settings reads settings in the order of ids. Unknown ones are left out,
// repeated ones repeated.
func (s *Store) Settings(ctx context.Context, ids []string) ([]gateway.Setting, error) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	unique := slices.Clone(ids)
	slices.Sort(unique)
	found := make(map[string]gateway.Setting, len(ids))
	for some := range slices.Chunk(slices.Compact(unique), 100) { // DynamoDB's most
		if err := s.readSettings(ctx, some, found); err != nil {
			return nil, err
		}
	}
	list := make([]gateway.Setting, 0, len(ids))
	for _, id := range ids {
		if v, ok := found[id]; ok {
			list = append(list, v)
		}
	}
	return list, nil
}

// readSettings reads at most 100 settings, and again what DynamoDB left out.
func (s *Store) readSettings(ctx context.Context, ids []string, found map[string]gateway.Setting) error {
	consistent := true
	want := types.KeysAndAttributes{ConsistentRead: &consistent}
	for _, id := range ids {
		want.Keys = append(want.Keys, address(pkSetting(id), skSetting))
	}
	for n := 1; ; n++ {
		out, err := s.db.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
			RequestItems: map[string]types.KeysAndAttributes{s.gateway: want},
		})
		if err != nil {
			return storageError(err)
		}
		for _, it := range out.Responses[s.gateway] {
			v, err := decode[gateway.Setting](it)
			if err != nil {
				return err
			}
			found[v.ID] = v
		}
		if want = out.UnprocessedKeys[s.gateway]; len(want.Keys) == 0 {
			return nil
		}
		if err := pause(ctx, n); err != nil {
			return storageError(err)
		}
	}
}

// AllSettings lists all settings, newest first. A change may take a second to show.
func (s *Store) AllSettings(ctx context.Context) ([]gateway.Setting, error) {
	all, err := list[gateway.Setting](ctx, s, kindSetting)
	slices.SortFunc(all, func(a, b gateway.Setting) int {
		return newestFirst(a.CreatedAt, b.CreatedAt, a.ID, b.ID)
	})
	return all, err
}

func settingItem(v *gateway.Setting) (item, error) {
	it := address(pkSetting(v.ID), skSetting)
	indexAs(it, kindSetting, v.CreatedAt, v.ID)
	it[attrVersion] = num(v.Version)
	return document(it, v)
}
