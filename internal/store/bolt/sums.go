package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"slices"

	"tollgate/internal/rollup"
)

var _ rollup.Store = (*Store)(nil)

// The buckets of sums.
var (
	bucketUnfolded = []byte("events to fold") // event key -> nothing
	bucketSums     = []byte("sums")           // see sumKey
	bucketIDs      = []byte("ids of keys")    // see idKey
)

// A sum is stored under
//
//	16 bytes  scope of its dimension and value
//	 1 byte   unit
//	 8 bytes  start, so that keys sort by it
//	16 bytes  scope of its group
func sumKey(p *rollup.Place) []byte {
	return slices.Concat(sumPrefix(p.Dimension, p.Value, p.Unit), second(p.Start), scope(string(groupJSON(p.Group))))
}

func sumPrefix(d rollup.Dimension, value string, u rollup.Unit) []byte {
	return append(scope(string(d)+"\x00"+value), u[0])
}

// second is a unix second in 8 bytes that sort as numbers do.
func second(t int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(t)^1<<63) }

func groupJSON(g rollup.Group) []byte {
	b, _ := json.Marshal(g) // strings and a number always marshal
	return b
}

// sum is the stored form.
type sum struct {
	Group rollup.Group `json:"g"`
	Sums  rollup.Sums  `json:"s"`
}

// addSums adds to one sum; one that comes to nothing is removed.
func (t *txn) addSums(p rollup.Place, add *rollup.Sums) error {
	key := sumKey(&p)
	now := sum{Group: p.Group}
	if b := t.get(bucketSums, key); b != nil {
		if err := json.Unmarshal(b, &now); err != nil {
			return broken("sum", err)
		}
	}
	now.Sums.Add(add)
	if now.Sums.IsZero() {
		return t.delete(bucketSums, key)
	}
	b, err := json.Marshal(&now)
	if err != nil {
		return broken("sum", err)
	}
	return t.put(bucketSums, key, b)
}

// Sums implements rollup.Store. What waits to be folded is folded before.
func (s *Store) Sums(ctx context.Context, q rollup.Query, f func(*rollup.Cell) error) error {
	if _, err := s.foldWaiting(ctx); err != nil {
		return err
	}
	prefix := sumPrefix(q.Dimension, q.Value, q.Unit)
	end := slices.Concat(prefix, second(q.To))
	return s.view(ctx, func(t *txn) error {
		cursor := t.tx.Bucket(bucketSums).Cursor()
		for k, v := cursor.Seek(slices.Concat(prefix, second(q.From))); bytes.HasPrefix(k, prefix) && bytes.Compare(k, end) < 0; k, v = cursor.Next() {
			if err := ctx.Err(); err != nil {
				return err
			}
			var stored sum
			if err := json.Unmarshal(v, &stored); err != nil {
				return broken("sum", err)
			}
			start := int64(binary.BigEndian.Uint64(k[len(prefix):]) ^ 1<<63)
			cell := rollup.Cell{Place: rollup.Place{
				Dimension: q.Dimension, Value: q.Value, Unit: q.Unit, Start: start, Group: stored.Group,
			}, Sums: stored.Sums}
			if err := f(&cell); err != nil {
				return err
			}
		}
		return nil
	})
}

// Correct implements rollup.Store, in one transaction.
func (s *Store) Correct(ctx context.Context, cells []rollup.Cell) error {
	return s.write(ctx, func(t *txn) error {
		for i := range cells {
			if err := t.addSums(cells[i].Place, &cells[i].Sums); err != nil {
				return err
			}
		}
		return nil
	})
}

// An id that events of a key have had is stored under
//
//	16 bytes  scope of the key's id
//	 1 byte   kind of id
//	16 bytes  scope of the id
//
// with the id itself as value.
const (
	idsOfUsers   = 'u'
	idsOfCustoms = 'c'
)

func idKey(keyID string, kind byte, id string) []byte {
	return slices.Concat(scope(keyID), []byte{kind}, scope(id))
}

// UserIDs implements rollup.Store.
func (s *Store) UserIDs(ctx context.Context, keyID string) ([]string, error) {
	return s.ids(ctx, keyID, idsOfUsers)
}

// CustomIDs implements rollup.Store.
func (s *Store) CustomIDs(ctx context.Context, keyID string) ([]string, error) {
	return s.ids(ctx, keyID, idsOfCustoms)
}

func (s *Store) ids(ctx context.Context, keyID string, kind byte) (ids []string, err error) {
	if _, err := s.foldWaiting(ctx); err != nil {
		return nil, err
	}
	prefix := append(scope(keyID), kind)
	err = s.view(ctx, func(t *txn) error {
		cursor := t.tx.Bucket(bucketIDs).Cursor()
		for k, v := cursor.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = cursor.Next() {
			ids = append(ids, string(v))
		}
		return nil
	})
	slices.Sort(ids)
	return ids, err
}
