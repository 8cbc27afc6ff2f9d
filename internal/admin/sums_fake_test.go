package admin_test

import (
	"context"
	"slices"

	"tollgate/internal/gateway"
	"tollgate/internal/rollup"
)

// The memory keeps no sums: it makes them of its events whenever it is asked.

func (m *memory) Fold(context.Context, []gateway.Event) (int, error) { return 0, m.down }
func (m *memory) Correct(context.Context, []rollup.Cell) error       { return m.down }

func (m *memory) Sums(_ context.Context, q rollup.Query, f func(*rollup.Cell) error) error {
	m.mu.Lock()
	cells := rollup.Fold(m.events)
	m.mu.Unlock()
	slices.SortFunc(cells, func(a, b rollup.Cell) int { return int(a.Start - b.Start) })
	for i := range cells {
		c := &cells[i]
		if c.Dimension == q.Dimension && c.Value == q.Value && c.Unit == q.Unit && c.Start >= q.From && c.Start < q.To {
			if err := f(c); err != nil {
				return err
			}
		}
	}
	return m.down
}

func (m *memory) UserIDs(_ context.Context, keyID string) ([]string, error) {
	return m.ids(keyID, func(e *gateway.Event) string { return e.UserID }), m.down
}

func (m *memory) CustomIDs(_ context.Context, keyID string) ([]string, error) {
	return m.ids(keyID, func(e *gateway.Event) string { return e.CustomID }), m.down
}

func (m *memory) ids(keyID string, of func(*gateway.Event) string) (ids []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.events {
		if id := of(&m.events[i]); m.events[i].KeyID == keyID && id != "" {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
