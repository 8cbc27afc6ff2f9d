package gateway_test

import (
	"testing"
	"time"

	"tollgate/internal/gateway"
)

func TestWindows(t *testing.T) {
	for _, tt := range []struct {
		unit     gateway.Unit
		at       string
		index    int64
		from, to string // to is the end: the first instant that is not in it
	}{
		{gateway.Second, "2026-11-23T10:20:30.999Z", 1795429230, "2026-11-23T10:20:30Z", "2026-11-23T10:20:31Z"},
		{gateway.Minute, "2026-11-23T10:20:59.999999999Z", 29923820, "2026-11-23T10:20:00Z", "2026-11-23T10:21:00Z"},
		{gateway.Hour, "2026-11-23T10:00:00Z", 498730, "2026-11-23T10:00:00Z", "2026-11-23T11:00:00Z"},
		{gateway.Day, "2026-12-31T23:59:59Z", 20818, "2026-12-31T00:00:00Z", "2027-01-01T00:00:00Z"},
		{gateway.Day, "2028-02-29T12:00:00Z", 21243, "2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"},
		{gateway.Month, "2026-01-31T00:00:00Z", 24312, "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"},
		{gateway.Month, "2026-12-31T23:59:59.999Z", 24323, "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{gateway.Month, "2028-02-29T23:59:59Z", 24337, "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"},
		{gateway.Month, "2100-02-28T23:59:59Z", 25201, "2100-02-01T00:00:00Z", "2100-03-01T00:00:00Z"},
		// Windows are of UTC, wherever the clock is read.
		{gateway.Day, "2026-11-24T01:00:00+02:00", 20780, "2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z"},
		{gateway.Month, "2026-12-01T00:30:00+01:00", 24322, "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"},
		// Before 1970 they still are whole.
		{gateway.Minute, "1969-12-31T23:59:59Z", -1, "1969-12-31T23:59:00Z", "1970-01-01T00:00:00Z"},
		{gateway.Day, "1969-12-31T00:00:00Z", -1, "1969-12-31T00:00:00Z", "1970-01-01T00:00:00Z"},
	} {
		at, from, to := instant(t, tt.at), instant(t, tt.from), instant(t, tt.to)
		index := tt.unit.Index(at)
		if index != tt.index || !tt.unit.End(index).Equal(to) {
			t.Errorf("%s of %s: %d, ends %s; want %d, %s", tt.unit, tt.at, index, tt.unit.End(index), tt.index, to)
		}
		if tt.unit.Index(from) != index || tt.unit.Index(from.Add(-1)) != index-1 || tt.unit.Index(to.Add(-1)) != index || tt.unit.Index(to) != index+1 {
			t.Errorf("%s of %s does not reach from %s to %s", tt.unit, tt.at, from, to)
		}
	}
	if i := gateway.Lifetime.Index(time.Now()); i != 0 || !gateway.Lifetime.End(i).IsZero() {
		t.Errorf("a lifetime has the window %d, which ends", i)
	}
}

func instant(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// Units and Measures are part of the stored form of a reservation.
func TestStoredOrder(t *testing.T) {
	if gateway.Units != [...]gateway.Unit{"s", "m", "h", "d", "mo", "lifetime"} {
		t.Errorf("units are %v", gateway.Units)
	}
	if gateway.Measures != [...]gateway.Measure{"requests", "tokens", "cost"} {
		t.Errorf("measures are %v", gateway.Measures)
	}
	for _, u := range []gateway.Unit{"", "w", "M", "seconds"} {
		if u.Valid() || !u.End(1).IsZero() || u.Index(time.Now()) != 0 {
			t.Errorf("unit %q is taken for one", u)
		}
	}
	for _, m := range []gateway.Measure{"", "money", "Requests"} {
		if m.Valid() {
			t.Errorf("measure %q is taken for one", m)
		}
	}
	if !gateway.Concurrency.Valid() || !gateway.Lifetime.Valid() {
		t.Error("a measure or unit of the API is not valid")
	}
}
