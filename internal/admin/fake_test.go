package admin_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/record"
)

// memory is a store that keeps records as JSON, as the real ones do, so that what
// does not survive storing does not survive here either.
type memory struct {
	mu       sync.Mutex
	keys     map[string][]byte // by id
	settings map[string][]byte
	counters map[string]limit.Counters // by hash
	events   []gateway.Event
	down     error // of every call
	seen     gateway.EventFilter
	records  map[string]record.Record
	version  int64
	loseKey  bool // a key is created, and the answer to that lost
	now      func() time.Time
	racing   bool // every change runs once too often, as after a lost race
}

func newMemory() *memory {
	return &memory{keys: map[string][]byte{}, settings: map[string][]byte{}, counters: map[string]limit.Counters{},
		records: map[string]record.Record{}, now: time.Now}
}

func pack(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func unpack[T any](b []byte) (v T) {
	if err := json.Unmarshal(b, &v); err != nil {
		panic(err)
	}
	return v
}

func (m *memory) CreateKey(_ context.Context, k gateway.Key) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, taken := m.keys[k.ID]; taken || m.hasSecretOf(&k) {
		return gateway.ErrExists
	}
	if m.down == nil {
		m.version++
		k.Version = m.version
		m.keys[k.ID] = pack(k)
		if m.loseKey {
			return errors.New("the connection broke")
		}
	}
	return m.down
}

func (m *memory) UpdateKey(_ context.Context, id string, change func(*gateway.Key) error) (gateway.Key, error) {
	changeSecrets := func(k *gateway.Key) error {
		if err := change(k); err != nil {
			return err
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.hasSecretOf(k) {
			return gateway.ErrExists
		}
		return nil
	}
	return update(m, m.keys, id, changeSecrets, func(k *gateway.Key) { k.Version = m.version })
}

// hasSecretOf reports whether another key has one of the key's secrets.
func (m *memory) hasSecretOf(k *gateway.Key) bool {
	for _, b := range m.keys {
		other := unpack[gateway.Key](b)
		if other.ID != k.ID && slices.ContainsFunc(other.Hashes(), func(h string) bool { return slices.Contains(k.Hashes(), h) }) {
			return true
		}
	}
	return false
}

// update runs change without the lock, as the stores do: it may use the store.
func update[T any](m *memory, records map[string][]byte, id string, change func(*T) error, stamp func(*T)) (T, error) {
	var none T
	for {
		m.mu.Lock()
		old, ok := records[id]
		down := m.down
		m.mu.Unlock()
		if !ok || down != nil {
			return none, cmp.Or(down, gateway.ErrNotFound)
		}
		if m.racing {
			lost := unpack[T](old)
			if err := change(&lost); err != nil {
				return none, err
			}
		}
		r := unpack[T](old)
		if err := change(&r); err != nil {
			return none, err
		}
		m.mu.Lock()
		same := bytes.Equal(records[id], old)
		if same {
			m.version++
			stamp(&r)
			records[id] = pack(r)
		}
		m.mu.Unlock()
		if same {
			return unpack[T](pack(r)), nil
		}
	}
}

func (m *memory) DeleteKey(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down == nil {
		delete(m.keys, id)
	}
	return m.down
}

func (m *memory) Key(_ context.Context, id string) (k gateway.Key, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.keys[id]
	if !ok {
		return k, cmp.Or(m.down, gateway.ErrNotFound)
	}
	return unpack[gateway.Key](b), m.down
}

func (m *memory) Keys(context.Context) ([]gateway.Key, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return all[gateway.Key](m.keys), m.down
}

func (m *memory) KeysUsing(ctx context.Context, r gateway.Reference) (ids []string, err error) {
	keys, err := m.Keys(ctx)
	for i := range keys {
		if slices.Contains(keys[i].References(), r) {
			ids = append(ids, keys[i].ID)
		}
	}
	return ids, err
}

// all is the records in no order.
func all[T any](records map[string][]byte) (list []T) {
	for _, b := range records {
		list = append(list, unpack[T](b))
	}
	return list
}

func (m *memory) Counters(_ context.Context, hash string) (limit.Counters, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.counters[hash]
	if !ok {
		return c, cmp.Or(m.down, gateway.ErrNotFound)
	}
	return c, m.down
}

func (m *memory) CreateSetting(_ context.Context, s gateway.Setting) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down == nil {
		m.version++
		s.Version = m.version
		m.settings[s.ID] = pack(s)
	}
	return m.down
}

func (m *memory) UpdateSetting(_ context.Context, id string, change func(*gateway.Setting) error) (gateway.Setting, error) {
	return update(m, m.settings, id, change, func(s *gateway.Setting) { s.Version = m.version })
}

func (m *memory) DeleteSetting(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down == nil {
		delete(m.settings, id)
	}
	return m.down
}

func (m *memory) Settings(_ context.Context, ids []string) (list []gateway.Setting, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		if b, ok := m.settings[id]; ok {
			list = append(list, unpack[gateway.Setting](b))
		}
	}
	return list, m.down
}

func (m *memory) AllSettings(context.Context) ([]gateway.Setting, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return all[gateway.Setting](m.settings), m.down
}

func (m *memory) Record(_ context.Context, e gateway.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = append(m.events, e)
	return nil
}

func (m *memory) Events(_ context.Context, f gateway.EventFilter) (list []gateway.Event, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen = f
	for _, e := range m.events {
		if (len(f.KeyIDs) == 0 || slices.Contains(f.KeyIDs, e.KeyID)) &&
			(f.CustomID == "" || e.CustomID == f.CustomID) && (f.UserID == "" || e.UserID == f.UserID) &&
			(f.From.IsZero() || !e.At.Before(f.From)) && (f.To.IsZero() || e.At.Before(f.To)) {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(x, y gateway.Event) int {
		order := cmp.Or(x.At.Compare(y.At), strings.Compare(x.ReservationID, y.ReservationID), strings.Compare(x.KeyID, y.KeyID))
		if !f.Oldest {
			order = -order
		}
		return order
	})
	if f.Limit > 0 && len(list) > f.Limit {
		list = list[:f.Limit]
	}
	for i := range list {
		if e := &list[i]; f.Bare {
			e.Bodies = len(e.Request) + len(e.Response)
			e.Request, e.Response = nil, nil
		}
	}
	return list, m.down
}

func (m *memory) Ping(context.Context) error { return m.down }

// glassBox seals by reversing, so that a test can look inside without the plain
// text being in sight.
type glassBox struct{ broken bool }

var errBox = &gateway.Error{Kind: gateway.Unavailable, Err: errors.New("key service at 10.0.0.1 is down")}

func (b *glassBox) Seal(_ context.Context, plain []byte, bind map[string]string) ([]byte, error) {
	if b.broken {
		return nil, errBox
	}
	sealed := slices.Clone(plain)
	slices.Reverse(sealed)
	return append(append(pack(bind), 0), sealed...), nil
}

func (b *glassBox) Open(_ context.Context, sealed []byte, bind map[string]string) ([]byte, error) {
	if b.broken {
		return nil, errBox
	}
	head := append(pack(bind), 0)
	if len(sealed) < len(head) || !slices.Equal(sealed[:len(head)], head) {
		return nil, errors.New("sealed for another context")
	}
	plain := slices.Clone(sealed[len(head):])
	slices.Reverse(plain)
	return plain, nil
}
