package stored_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/price"
	"tollgate/internal/price/stored"
	"tollgate/internal/record"
	"tollgate/internal/store/bolt"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// newStore is a store on disk, which keeps records as it does in earnest.
func newStore(t *testing.T) *counted {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "db"), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return &counted{Store: db}
}

// counted counts reads of the head and fails on demand.
type counted struct {
	record.Store
	mu    sync.Mutex
	heads int
	down  error
	slow  func() // runs before the head is read
}

func (c *counted) RecordByID(ctx context.Context, kind record.Kind, id string) (record.Record, error) {
	c.mu.Lock()
	c.heads++
	down, slow := c.down, c.slow
	c.mu.Unlock()
	if slow != nil {
		slow()
	}
	if down != nil {
		return record.Record{}, down
	}
	return c.Store.RecordByID(ctx, kind, id)
}

func (c *counted) set(down error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
}

func (c *counted) looks() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heads
}

// table is a price list with one model at so many dollars.
func table(version string, dollars int) []byte {
	return fmt.Appendf(nil, `{"version": %q, "rows": [{"provider": "p", "exact": ["m"], "input": "%d"}]}`, version, dollars)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// costOf is the price of m in dollars per million tokens; 0 if there is none.
func costOf(tb *price.Table) int64 {
	m, ok := tb.Lookup("p", "m", noon)
	if !ok {
		return 0
	}
	return m.Rates[gateway.Input].Nano / int64(gateway.OneUSD)
}

func TestPutGetRemove(t *testing.T) {
	s, ctx := newStore(t), t.Context()
	if tb, _, err := stored.Get(ctx, s); tb != nil || err != nil {
		t.Fatalf("an empty store has %v, %v", tb, err)
	}
	must(t, stored.Remove(ctx, s, noon)) // nothing to remove is no error
	for i, version := range []string{"2026-11-20", "2026-11-21", "2026-11-21.2"} {
		put, err := stored.Put(ctx, s, table(version, i+1), noon.Add(time.Duration(i)*time.Hour))
		must(t, err)
		got, info, err := stored.Get(ctx, s)
		must(t, err)
		if put.Version() != version || got.Version() != version || costOf(got) != int64(i+1) {
			t.Errorf("put %s, got %s at $%d", version, got.Version(), costOf(got))
		}
		if !info.At.Equal(noon.Add(time.Duration(i)*time.Hour)) || string(info.File) != string(table(version, i+1)) {
			t.Errorf("%+v", info)
		}
	}
	must(t, stored.Remove(ctx, s, noon.Add(5*time.Hour)))
	if tb, _, err := stored.Get(ctx, s); tb != nil || err != nil {
		t.Fatalf("removed, but there is %v, %v", tb, err)
	}
	if list, _, err := s.Records(ctx, record.Prices, record.Page{}); err != nil || len(list) != 1 {
		t.Errorf("%d records are left of tables that nobody uses (%v)", len(list)-1, err)
	}
}

// A table larger than a record may be is kept in several.
func TestLargeTable(t *testing.T) {
	s, ctx := newStore(t), t.Context()
	var b strings.Builder
	b.WriteString(`{"version": "2026-11-20", "rows": [`)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 20_000 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"provider":"p","exact":["m%d-%x"],"input":"%d","output":"%d.%09d"}`, i, random.Uint64(), i, random.IntN(1000), random.IntN(1e9))
	}
	b.WriteString(`]}`)
	put, err := stored.Put(ctx, s, []byte(b.String()), noon)
	must(t, err)
	got, _, err := stored.Get(ctx, s)
	must(t, err)
	if put.Names() != 20_000 || got.Names() != 20_000 {
		t.Errorf("put %d names, got %d", put.Names(), got.Names())
	}
	list, _, err := s.Records(ctx, record.Prices, record.Page{})
	must(t, err)
	if len(list) < 3 {
		t.Errorf("%d records: the test is to need more parts than one", len(list)-1)
	}
	for _, r := range list {
		if len(r.Data) > 350<<10 {
			t.Errorf("record %s has %d bytes", r.ID, len(r.Data))
		}
	}
}

// Events name the version of their prices, so a version never names two tables.
func TestVersionsAreNotUsedTwice(t *testing.T) {
	s, ctx := newStore(t), t.Context()
	put := func(file []byte, want string) {
		t.Helper()
		_, err := stored.Put(ctx, s, file, noon)
		var e *gateway.Error
		switch {
		case want == "":
			must(t, err)
		case !errors.As(err, &e) || e.Kind != gateway.Conflict || !strings.Contains(e.Message, want):
			t.Errorf("got %v, want a conflict that names %s", err, want)
		}
	}
	put(table("2026-11-20", 1), "")
	put(table("2026-11-20", 2), "2026-11-20.2")
	put([]byte(strings.ReplaceAll(string(table("2026-11-20", 1)), " ", "\n ")), "") // the same, spaced otherwise
	put(table("2026-11-20.2", 2), "")
	put(table("2026-11-20", 3), "2026-11-20.2")
	must(t, stored.Remove(ctx, s, noon))
	put(table("2026-11-20", 3), "2026-11-20.2")
	put(table(price.Embedded().Version(), 1), price.Embedded().Version())
	put(price.EmbeddedFile(), "")
}

func TestPutRefuses(t *testing.T) {
	s, ctx := newStore(t), t.Context()
	_, err := stored.Put(ctx, s, table("2026-11-20", 1), noon)
	must(t, err)
	_, err = stored.Put(ctx, s, []byte(`{"version": "2026-11-22", "rows": [
		{"provider": "p", "exact": ["ok"], "input": "1"},
		{"provider": "p", "exact": ["m"], "input": "-1"},
		{"provider": "p", "exact": ["n"], "output": "1e3"}]}`), noon)
	var e *gateway.Error
	if !errors.As(err, &e) || e.Kind != gateway.Invalid {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"row 2 (p m): input", "row 3 (p n): output"} {
		if !strings.Contains(e.Message, want) {
			t.Errorf("%q does not name %q", e.Message, want)
		}
	}
	if got, _, err := stored.Get(ctx, s); err != nil || got.Version() != "2026-11-20" {
		t.Errorf("it was changed to %v (%v)", got, err)
	}
	s.set(errors.New("down"))
	if _, err := stored.Put(ctx, s, table("2026-11-23", 1), noon); err == nil || gateway.KindOf(err) != gateway.Internal {
		t.Errorf("a store that is down gives %v", err)
	}
}

// A Put that ends before its head is written leaves the old table, and what it left
// is cleared away later.
func TestInterruptedPut(t *testing.T) {
	s, ctx := newStore(t), t.Context()
	_, err := stored.Put(ctx, s, table("2026-11-20", 1), noon)
	must(t, err)
	broken := &failing{Store: s.Store}
	if _, err := stored.Put(ctx, broken, table("2026-11-21", 2), noon); err == nil {
		t.Fatal("the head could not be written, and nobody says so")
	}
	if got, _, err := stored.Get(ctx, s); err != nil || costOf(got) != 1 {
		t.Errorf("now %v (%v)", got, err)
	}
	if list, _, _ := s.Records(ctx, record.Prices, record.Page{}); len(list) != 3 {
		t.Errorf("%d records, want a head and the parts of two tables", len(list))
	}
	_, err = stored.Put(ctx, s, table("2026-11-22", 3), noon.Add(time.Hour))
	must(t, err)
	if list, _, _ := s.Records(ctx, record.Prices, record.Page{}); len(list) != 2 {
		t.Errorf("%d records, want a head and a part", len(list))
	}
}

// failing cannot change records, only make them.
type failing struct{ record.Store }

func (failing) UpdateRecord(context.Context, record.Kind, string, func(*record.Record) error) (record.Record, error) {
	return record.Record{}, errors.New("down")
}

func TestManyPutAtOnce(t *testing.T) {
	s, ctx := newStore(t), t.Context()
	var done sync.WaitGroup
	for i := range 16 {
		done.Go(func() {
			if _, err := stored.Put(ctx, s, table(fmt.Sprintf("2026-10-%02d", i+1), i+1), noon); err != nil {
				t.Error(err)
			}
			if got, _, err := stored.Get(ctx, s); err != nil || got == nil || fmt.Sprintf("2026-10-%02d", costOf(got)) != got.Version() {
				t.Errorf("half a table: %v (%v)", got, err)
			}
		})
	}
	done.Wait()
}

// log collects what a source logs.
type log struct{ strings.Builder }

func newSource(s record.Store, now func() time.Time) (*stored.Source, *log) {
	l := &log{}
	return stored.NewSource(s, slog.New(slog.NewTextHandler(l, nil)), now), l
}

func TestSourceFollows(t *testing.T) {
	s, ctx, now := newStore(t), t.Context(), noon
	src, _ := newSource(s, func() time.Time { return now })
	if src.Table() != price.Embedded() {
		t.Error("not the embedded table")
	}
	_, err := stored.Put(ctx, s, table("2026-11-22", 2), noon)
	must(t, err)
	src.Refresh(ctx) // too early
	if costOf(src.Table()) != 0 {
		t.Error("it looks more than once a minute")
	}
	now = now.Add(time.Minute)
	src.Refresh(ctx)
	if costOf(src.Table()) != 2 {
		t.Error("it has not seen the table after a minute")
	}
	before := s.looks()
	for range 100 {
		src.Table()
		src.Refresh(ctx)
	}
	if n := s.looks() - before; n != 0 {
		t.Errorf("%d reads within a minute", n)
	}
	now = now.Add(time.Minute)
	s.set(errors.New("down"))
	src.Refresh(ctx)
	if costOf(src.Table()) != 2 {
		t.Error("a store that is down took the last good table")
	}
	s.set(nil)
	must(t, stored.Remove(ctx, s, noon))
	now = now.Add(5 * time.Second)
	src.Refresh(ctx)
	if src.Table() != price.Embedded() {
		t.Error("the embedded table is not back")
	}
}

// The first call of a new process is priced by the stored table.
func TestSourceStartsCurrent(t *testing.T) {
	s, now := newStore(t), noon
	_, err := stored.Put(t.Context(), s, table("2026-11-22", 2), noon)
	must(t, err)
	src, _ := newSource(s, func() time.Time { return now })
	if costOf(src.Table()) != 2 {
		t.Error("priced by a table that was replaced")
	}
	s.set(errors.New("down"))
	src, l := newSource(s, func() time.Time { return now })
	before := s.looks()
	for range 100 {
		if src.Table() != price.Embedded() {
			t.Fatal("what else than the embedded table is there")
		}
	}
	if n := s.looks() - before; n != 1 || strings.Count(l.String(), "no look") != 1 {
		t.Errorf("%d reads of a store that is down:\n%s", n, l)
	}
	s.set(nil)
	now = now.Add(5 * time.Second)
	if costOf(src.Table()) != 2 {
		t.Error("it did not look again")
	}
}

// What a later program stored is not taken, and said once.
func TestSourceKeepsLastGood(t *testing.T) {
	s, ctx, now := newStore(t), t.Context(), noon
	_, err := stored.Put(ctx, s, table("2026-11-22", 2), noon)
	must(t, err)
	src, l := newSource(s, func() time.Time { return now })
	src.Table()
	later := &translated{Store: s.Store}
	_, err = stored.Put(ctx, later, table("2026-11-23", 3), noon)
	must(t, err)
	for range 3 {
		now = now.Add(time.Minute)
		src.Refresh(ctx)
	}
	if costOf(src.Table()) != 2 || strings.Count(l.String(), "cannot be read") != 1 {
		t.Errorf("$%d:\n%s", costOf(src.Table()), l)
	}
}

// translated spoils the parts of a table.
type translated struct{ record.Store }

func (s translated) CreateRecord(ctx context.Context, r record.Record, check func([]record.Record) error) error {
	// {"version": "2026-11-23", "rows": [{"tomorrow": 1}]}, compressed
	r.Data = []byte(`{"gzip":"` + tomorrow + `"}`)
	return s.Store.CreateRecord(ctx, r, check)
}

// One look at a time: who comes while one is under way neither waits nor reads.
func TestSourceLooksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &counted{Store: empty{}}
		src, _ := newSource(s, time.Now)
		src.Table()
		time.Sleep(time.Minute)
		release := make(chan bool)
		s.mu.Lock()
		s.heads, s.slow = 0, func() { <-release }
		s.mu.Unlock()
		go src.Refresh(t.Context())
		synctest.Wait()
		for range 10 {
			src.Refresh(t.Context())
			src.Table()
		}
		close(release)
		synctest.Wait()
		if n := s.looks(); n != 1 {
			t.Errorf("%d looks", n)
		}
	})
}

// A store that hangs is given up after a second.
func TestSourceGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, l := newSource(hanging{}, time.Now)
		start := time.Now()
		if src.Table() != price.Embedded() || time.Since(start) != time.Second {
			t.Errorf("after %s", time.Since(start))
		}
		if !strings.Contains(l.String(), "deadline") {
			t.Error(l)
		}
	})
}

type empty struct{ record.Store }

func (empty) RecordByID(context.Context, record.Kind, string) (record.Record, error) {
	return record.Record{}, gateway.ErrNotFound
}

type hanging struct{ record.Store }

func (hanging) RecordByID(ctx context.Context, _ record.Kind, _ string) (record.Record, error) {
	<-ctx.Done()
	return record.Record{}, ctx.Err()
}

func TestOldTableIsSaidOnce(t *testing.T) {
	s, ctx := newStore(t), t.Context()
	for _, test := range []struct {
		days  int
		lines int
	}{{0, 0}, {90, 0}, {91, 1}, {500, 1}} {
		now := time.Date(2026, 11, 10, 0, 0, 0, 0, time.UTC).AddDate(0, 0, test.days)
		src, l := newSource(s, func() time.Time { return now })
		for range 3 {
			src.Refresh(ctx)
			now = now.Add(time.Minute)
		}
		if n := strings.Count(l.String(), "table is old"); n != test.lines {
			t.Errorf("%d lines after %d days, want %d:\n%s", n, test.days, test.lines, l)
		}
	}
}

// tomorrow is a table with a member that this program does not know.
const tomorrow = "H4sIAAAAAAAC/6tWKkstKs7Mz1OyUlAyMjAy0zU01DUyVtJRUCrKLy8GikZXK5Xk5+YXAblAnmFtbC0AibOSqTQAAAA="
