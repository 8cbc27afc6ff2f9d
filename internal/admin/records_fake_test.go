package admin_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"tollgate/internal/gateway"
	"tollgate/internal/record"
)

// The part of memory that keeps records.

func recordName(kind record.Kind, id string) string { return string(kind) + " " + id }

func groupOf(r *record.Record) string { return cmp.Or(r.Group, r.ID) }

// recordsOf is the live records of a kind, newest first. The caller holds the lock.
func (m *memory) recordsOf(kind record.Kind) (list []record.Record) {
	for _, r := range m.records {
		if r.Kind == kind && (r.Expires.IsZero() || m.now().Before(r.Expires)) {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(x, y record.Record) int {
		return cmp.Or(y.CreatedAt.Compare(x.CreatedAt), cmp.Compare(x.ID, y.ID))
	})
	return list
}

func (m *memory) recordsIn(kind record.Kind, group string) []record.Record {
	list := slices.DeleteFunc(m.recordsOf(kind), func(r record.Record) bool { return groupOf(&r) != group })
	slices.Reverse(list)
	return list
}

func (m *memory) CreateRecord(_ context.Context, r record.Record, check func([]record.Record) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return m.down
	}
	if check != nil {
		if err := check(m.recordsIn(r.Kind, groupOf(&r))); err != nil {
			return err
		}
	}
	name := recordName(r.Kind, r.ID)
	if old, ok := m.records[name]; ok && (old.Expires.IsZero() || m.now().Before(old.Expires)) {
		return gateway.ErrExists
	}
	m.version++
	r.Version = m.version
	m.records[name] = r
	return nil
}

// UpdateRecord runs change without the lock, as the stores do: it may use the store.
func (m *memory) UpdateRecord(ctx context.Context, kind record.Kind, id string, change func(*record.Record) error) (record.Record, error) {
	for {
		old, err := m.RecordByID(ctx, kind, id)
		if err != nil {
			return old, err
		}
		changed := old
		if m.racing {
			lost := old
			if err := change(&lost); err != nil {
				return old, err
			}
		}
		if err := change(&changed); err != nil {
			return old, err
		}
		if m.replaceRecord(&old, &changed) {
			return old, nil
		}
	}
}

// replaceRecord reports false if old is no longer what is stored; else it becomes
// the new one.
func (m *memory) replaceRecord(old, changed *record.Record) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := recordName(old.Kind, old.ID)
	if m.records[name].Version != old.Version {
		return false
	}
	m.version++
	old.Data, old.Expires, old.Version = changed.Data, changed.Expires, m.version
	m.records[name] = *old
	return true
}

func (m *memory) DeleteRecord(_ context.Context, kind record.Kind, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down == nil {
		delete(m.records, recordName(kind, id))
	}
	return m.down
}

func (m *memory) RecordByID(_ context.Context, kind record.Kind, id string) (record.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.records[recordName(kind, id)]
	if !ok || !r.Expires.IsZero() && !m.now().Before(r.Expires) {
		return r, cmp.Or(m.down, gateway.ErrNotFound)
	}
	return r, m.down
}

func (m *memory) RecordsIn(_ context.Context, kind record.Kind, group string) ([]record.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.recordsIn(kind, group), m.down
}

func (m *memory) Records(_ context.Context, kind record.Kind, page record.Page) ([]record.Record, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return paged(m.recordsOf(kind), page, m.down)
}

func (m *memory) KeysPage(_ context.Context, page record.Page) ([]gateway.Key, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	keys := all[gateway.Key](m.keys)
	slices.SortFunc(keys, func(x, y gateway.Key) int { return cmp.Compare(x.ID, y.ID) })
	return paged(keys, page, m.down)
}

// paged is a page of a list. Its cursor is the number of the next element.
func paged[T any](list []T, page record.Page, down error) ([]T, string, error) {
	from := 0
	if page.Cursor != "" {
		var err error
		if from, err = strconv.Atoi(page.Cursor); err != nil || from < 0 || from > len(list) {
			return nil, "", &gateway.Error{Kind: gateway.Invalid, Message: "the cursor is not one"}
		}
	}
	list, next := list[from:], ""
	if page.Limit > 0 && page.Limit < len(list) {
		list, next = list[:page.Limit], fmt.Sprint(from+page.Limit)
	}
	return list, next, down
}
