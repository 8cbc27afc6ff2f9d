package gateway

import "time"

// Unit is the length of a limit's window. Windows are calendar windows in UTC.
type Unit string

// The units, as the public API spells them.
const (
	Second   Unit = "s"
	Minute   Unit = "m"
	Hour     Unit = "h"
	Day      Unit = "d"
	Month    Unit = "mo"
	Lifetime Unit = "lifetime" // one window without end
)

// Units lists all units, shortest first. A position in it is part of the stored
// form of a reservation: append only.
var Units = [...]Unit{Second, Minute, Hour, Day, Month, Lifetime}

// Valid reports whether u is one of Units.
func (u Unit) Valid() bool {
	for _, v := range Units {
		if u == v {
			return true
		}
	}
	return false
}

// Index numbers the window that t falls in; later windows have higher numbers.
// The number becomes part of the counter's name, so a counter is never reset.
func (u Unit) Index(t time.Time) int64 {
	switch u {
	case Second:
		return t.Unix()
	case Minute:
		return floorDiv(t.Unix(), 60)
	case Hour:
		return floorDiv(t.Unix(), 3600)
	case Day:
		return floorDiv(t.Unix(), 86400)
	case Month:
		y, m, _ := t.UTC().Date()
		return int64(y)*12 + int64(m) - 1
	}
	return 0
}

// End is the instant at which window index of unit u ends. It is the zero time
// for Lifetime, whose window does not end.
func (u Unit) End(index int64) time.Time {
	switch u {
	case Second:
		return time.Unix(index+1, 0).UTC()
	case Minute:
		return time.Unix((index+1)*60, 0).UTC()
	case Hour:
		return time.Unix((index+1)*3600, 0).UTC()
	case Day:
		return time.Unix((index+1)*86400, 0).UTC()
	case Month:
		next := index + 1
		return time.Date(int(next/12), time.Month(next%12+1), 1, 0, 0, 0, 0, time.UTC)
	}
	return time.Time{}
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
