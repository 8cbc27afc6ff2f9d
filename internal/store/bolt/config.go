package bolt

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"tollgate/internal/gateway"
)

// errMoved is an update that rests on a version that is no longer the latest.
var errMoved = errors.New("changed meanwhile")

// nextVersion gives out a version: the time in microseconds, or one more than the
// last one if the clock is behind. The last one of the whole store, so that a key
// that is deleted and made again cannot get a version it had.
func (t *txn) nextVersion(now time.Time) (int64, error) {
	b := t.tx.Bucket(bucketKeys)
	v := max(uint64(max(now.UnixMicro(), 0)), b.Sequence()+1)
	t.writes++
	if err := b.SetSequence(v); err != nil {
		return 0, unavailable(err)
	}
	return int64(v), nil
}

// load reads a JSON record; gateway.ErrNotFound if there is none.
func load[T any](t *txn, bucket []byte, id string) (v T, err error) {
	b := t.get(bucket, []byte(id))
	if b == nil {
		return v, gateway.ErrNotFound
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return v, broken(string(bucket)+" "+id, err)
	}
	return v, nil
}

func save(t *txn, bucket []byte, id string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return broken(string(bucket)+" "+id, err)
	}
	return t.put(bucket, []byte(id), b)
}

// read is load in a transaction of its own.
func read[T any](ctx context.Context, s *Store, bucket []byte, id string) (v T, err error) {
	err = s.view(ctx, func(t *txn) error {
		v, err = load[T](t, bucket, id)
		return err
	})
	return v, err
}

// all reads every record of a bucket.
func all[T any](t *txn, bucket []byte) ([]T, error) {
	var list []T
	err := t.tx.Bucket(bucket).ForEach(func(id, b []byte) error {
		var v T
		if err := json.Unmarshal(b, &v); err != nil {
			return broken(string(bucket)+" "+string(id), err)
		}
		list = append(list, v)
		return nil
	})
	return list, err
}

// newestFirst sorts by creation, then by id.
func newestFirst[T any](list []T, of func(*T) (time.Time, string)) {
	slices.SortFunc(list, func(a, b T) int {
		at, aID := of(&a)
		bt, bID := of(&b)
		return cmp.Or(bt.Compare(at), strings.Compare(aID, bID))
	})
}

// CreateKey stores a new key and its counters.
func (s *Store) CreateKey(ctx context.Context, k gateway.Key) error {
	return s.write(ctx, func(t *txn) (err error) {
		if t.get(bucketKeys, []byte(k.ID)) != nil || t.anyTaken(k.Hashes()) {
			return gateway.ErrExists
		}
		k := k
		if k.Version, err = t.nextVersion(s.now()); err != nil {
			return err
		}
		if err := t.rename(k.ID, nil, k.Hashes()); err != nil {
			return err
		}
		return t.putKey(&k)
	})
}

// anyTaken reports whether some key is found under one of the hashes.
func (t *txn) anyTaken(hashes []string) bool {
	return slices.ContainsFunc(hashes, func(h string) bool { return t.get(bucketHashes, []byte(h)) != nil })
}

// rename makes a key that was found under some hashes be found under others.
func (t *txn) rename(id string, before, now []string) error {
	for _, h := range without(before, now) {
		if err := t.delete(bucketHashes, []byte(h)); err != nil {
			return err
		}
	}
	for _, h := range without(now, before) {
		if err := t.put(bucketHashes, []byte(h), []byte(id)); err != nil {
			return err
		}
	}
	return nil
}

// without is what is in list and not in others.
func without(list, others []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(others, s) })
}

// putKey writes the key, and its version into the counters.
func (t *txn) putKey(k *gateway.Key) error {
	if err := t.setVersion(k.Hash, k.Version); err != nil {
		return err
	}
	return save(t, bucketKeys, k.ID, k)
}

// UpdateKey changes a key by read-modify-write; gateway.ErrExists when it gives the
// key a secret that is taken. change runs here and not in the
// writer, so it may take its time, use the store or panic; if the key was changed
// meanwhile, it runs again on the newer one.
func (s *Store) UpdateKey(ctx context.Context, id string, change func(*gateway.Key) error) (gateway.Key, error) {
	for {
		old, err := s.Key(ctx, id)
		if err != nil {
			return gateway.Key{}, err
		}
		k := old
		if err := change(&k); err != nil {
			return gateway.Key{}, err
		}
		k.ID, k.Hash, k.CreatedAt = old.ID, old.Hash, old.CreatedAt
		err = s.write(ctx, func(t *txn) error { return t.replaceKey(&k, old.Version, s.now()) })
		if err == nil {
			return k, nil
		}
		if !errors.Is(err, errMoved) {
			return gateway.Key{}, err
		}
	}
}

// replaceKey writes k, with a new version, over the version it was made from.
func (t *txn) replaceKey(k *gateway.Key, from int64, now time.Time) error {
	current, err := load[gateway.Key](t, bucketKeys, k.ID)
	if err != nil {
		return err
	}
	if current.Version != from {
		return errMoved
	}
	before, hashes := current.Hashes(), k.Hashes()
	if t.anyTaken(without(hashes, before)) {
		return gateway.ErrExists
	}
	if k.Version, err = t.nextVersion(now); err != nil {
		return err
	}
	if err := t.rename(k.ID, before, hashes); err != nil {
		return err
	}
	return t.putKey(k)
}

// DeleteKey removes a key and its counters. Its events stay.
func (s *Store) DeleteKey(ctx context.Context, id string) error {
	return s.write(ctx, func(t *txn) error {
		k, err := load[gateway.Key](t, bucketKeys, id)
		if errors.Is(err, gateway.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return errors.Join(
			t.rename(id, k.Hashes(), nil),
			t.deleteCounters(k.Hash),
			t.delete(bucketKeys, []byte(id)))
	})
}

// Key returns the key with the id.
func (s *Store) Key(ctx context.Context, id string) (gateway.Key, error) {
	return read[gateway.Key](ctx, s, bucketKeys, id)
}

// KeyByHash returns the key one of whose secrets has the hash.
func (s *Store) KeyByHash(ctx context.Context, hash string) (k gateway.Key, err error) {
	err = s.view(ctx, func(t *txn) error {
		id := t.get(bucketHashes, []byte(hash))
		if id == nil {
			return gateway.ErrNotFound
		}
		k, err = load[gateway.Key](t, bucketKeys, string(id))
		return err
	})
	return k, err
}

// Keys returns all keys, newest first.
func (s *Store) Keys(ctx context.Context) (list []gateway.Key, err error) {
	err = s.view(ctx, func(t *txn) error {
		list, err = all[gateway.Key](t, bucketKeys)
		return err
	})
	newestFirst(list, func(k *gateway.Key) (time.Time, string) { return k.CreatedAt, k.ID })
	return list, err
}

// KeysUsing lists the ids of the keys with the reference.
func (s *Store) KeysUsing(ctx context.Context, r gateway.Reference) (ids []string, err error) {
	keys, err := s.Keys(ctx)
	for i := range keys {
		if slices.Contains(keys[i].References(), r) {
			ids = append(ids, keys[i].ID)
		}
	}
	return ids, err
}

// CreateSetting stores a new setting.
func (s *Store) CreateSetting(ctx context.Context, v gateway.Setting) error {
	return s.write(ctx, func(t *txn) (err error) {
		if t.get(bucketSettings, []byte(v.ID)) != nil {
			return gateway.ErrExists
		}
		v := v
		if v.Version, err = t.nextVersion(s.now()); err != nil {
			return err
		}
		return save(t, bucketSettings, v.ID, v)
	})
}

// UpdateSetting is to settings what UpdateKey is to keys. In the same transaction
// every key that uses the setting gets a new version.
func (s *Store) UpdateSetting(ctx context.Context, id string, change func(*gateway.Setting) error) (gateway.Setting, error) {
	for {
		old, err := s.Setting(ctx, id)
		if err != nil {
			return gateway.Setting{}, err
		}
		v := old
		if err := change(&v); err != nil {
			return gateway.Setting{}, err
		}
		v.ID, v.CreatedAt = old.ID, old.CreatedAt
		err = s.write(ctx, func(t *txn) error { return t.replaceSetting(&v, old.Version, s.now()) })
		if err == nil {
			return v, nil
		}
		if !errors.Is(err, errMoved) {
			return gateway.Setting{}, err
		}
	}
}

func (t *txn) replaceSetting(v *gateway.Setting, from int64, now time.Time) error {
	current, err := load[gateway.Setting](t, bucketSettings, v.ID)
	if err != nil {
		return err
	}
	if current.Version != from {
		return errMoved
	}
	if v.Version, err = t.nextVersion(now); err != nil {
		return err
	}
	if err := save(t, bucketSettings, v.ID, v); err != nil {
		return err
	}
	return t.renewUsers(v.ID, now)
}

// renewUsers gives every key that uses the setting a new version.
func (t *txn) renewUsers(settingID string, now time.Time) error {
	keys, err := all[gateway.Key](t, bucketKeys)
	if err != nil {
		return err
	}
	for i := range keys {
		k := &keys[i]
		if !k.UsesSetting(settingID) {
			continue
		}
		if k.Version, err = t.nextVersion(now); err != nil {
			return err
		}
		if err := t.putKey(k); err != nil {
			return err
		}
	}
	return nil
}

// DeleteSetting removes a setting and gives the keys that use it a new version.
func (s *Store) DeleteSetting(ctx context.Context, id string) error {
	return s.write(ctx, func(t *txn) error {
		if t.get(bucketSettings, []byte(id)) == nil {
			return nil
		}
		if err := t.delete(bucketSettings, []byte(id)); err != nil {
			return err
		}
		return t.renewUsers(id, s.now())
	})
}

// Setting returns the setting with the id.
func (s *Store) Setting(ctx context.Context, id string) (gateway.Setting, error) {
	return read[gateway.Setting](ctx, s, bucketSettings, id)
}

// Settings returns the settings with the ids, in their order. Unknown ids are
// left out.
func (s *Store) Settings(ctx context.Context, ids []string) (list []gateway.Setting, err error) {
	err = s.view(ctx, func(t *txn) error {
		for _, id := range ids {
			v, err := load[gateway.Setting](t, bucketSettings, id)
			if errors.Is(err, gateway.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			list = append(list, v)
		}
		return nil
	})
	return list, err
}

// AllSettings returns all settings, newest first.
func (s *Store) AllSettings(ctx context.Context) (list []gateway.Setting, err error) {
	err = s.view(ctx, func(t *txn) error {
		list, err = all[gateway.Setting](t, bucketSettings)
		return err
	})
	newestFirst(list, func(v *gateway.Setting) (time.Time, string) { return v.CreatedAt, v.ID })
	return list, err
}
