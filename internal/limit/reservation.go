package limit

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"tollgate/internal/gateway"
)

// Reservation is an admitted call that is not settled yet.
type Reservation struct {
	ID      string
	At      time.Time
	Expires time.Time
	Tokens  int64           // reserved
	Cost    gateway.NanoUSD // reserved
	Limits  []gateway.Limit // the limits that were charged, without their caps

	// KeyID is the id of the key whose call it is; empty on the key's own counter
	// item, where it goes without saying.
	KeyID string
}

// Encode packs a reservation, without its id, into the value of its marker: 16
// bytes or so. Small on purpose: a write to the counter item costs its size, and
// every open call has a marker in it.
//
//	6 bytes  At, milliseconds since 1970
//	2 bytes  Expires, seconds after At (rounded up)
//	3 bytes  one bit for each measure and unit that was charged
//	varint   tokens
//	varint   nano-dollars
//	rest     the key's id, on the counter item of a share
//
// The id is a 1 and the 16 bytes of a uuid, or a 2 and any other text.
func (r *Reservation) Encode() []byte {
	b := make([]byte, 8, 24)
	ms := r.At.UnixMilli()
	binary.BigEndian.PutUint64(b, uint64(ms)<<16)
	life := (r.Expires.UnixMilli() - ms + 999) / 1000
	binary.BigEndian.PutUint16(b[6:], uint16(min(max(life, 0), 1<<16-1)))
	var mask uint32
	for _, l := range r.Limits {
		m, u := slices.Index(gateway.Measures[:], l.Measure), slices.Index(gateway.Units[:], l.Per)
		if m >= 0 && u >= 0 {
			mask |= 1 << (m*len(gateway.Units) + u)
		}
	}
	b = append(b, byte(mask>>16), byte(mask>>8), byte(mask))
	b = binary.AppendUvarint(b, uint64(r.Tokens))
	return appendKeyID(binary.AppendUvarint(b, uint64(r.Cost)), r.KeyID)
}

// The forms of a key's id.
const (
	idUUID = 1
	idText = 2
)

func appendKeyID(b []byte, id string) []byte {
	if id == "" {
		return b
	}
	if raw, err := hex.DecodeString(strings.ReplaceAll(id, "-", "")); err == nil && len(raw) == 16 && uuidText(raw) == id {
		return append(append(b, idUUID), raw...)
	}
	return append(append(b, idText), id...)
}

func parseKeyID(b []byte) (id string, ok bool) {
	switch {
	case len(b) == 0:
		return "", true
	case b[0] == idUUID && len(b) == 17:
		return uuidText(b[1:]), true
	case b[0] == idText && len(b) > 1:
		return string(b[1:]), true
	}
	return "", false
}

func uuidText(raw []byte) string {
	s := hex.EncodeToString(raw)
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

var errMarker = errors.New("limit: malformed reservation marker")

// DecodeReservation is the inverse of Encode.
func DecodeReservation(id string, b []byte) (Reservation, error) {
	if len(b) < 13 {
		return Reservation{}, errMarker
	}
	at := time.UnixMilli(int64(binary.BigEndian.Uint64(b) >> 16)).UTC()
	r := Reservation{
		ID:      id,
		At:      at,
		Expires: at.Add(time.Duration(binary.BigEndian.Uint16(b[6:])) * time.Second),
	}
	mask := uint32(b[8])<<16 | uint32(b[9])<<8 | uint32(b[10])
	for i := range len(gateway.Measures) * len(gateway.Units) {
		if mask&(1<<i) != 0 {
			r.Limits = append(r.Limits, gateway.Limit{
				Measure: gateway.Measures[i/len(gateway.Units)],
				Per:     gateway.Units[i%len(gateway.Units)],
			})
		}
	}
	tokens, n := binary.Uvarint(b[11:])
	if n <= 0 {
		return Reservation{}, errMarker
	}
	cost, m := binary.Uvarint(b[11+n:])
	if m <= 0 || int64(tokens) < 0 || int64(cost) < 0 {
		return Reservation{}, errMarker
	}
	r.Tokens, r.Cost = int64(tokens), gateway.NanoUSD(cost)
	var ok bool
	if r.KeyID, ok = parseKeyID(b[11+n+m:]); !ok {
		return Reservation{}, errMarker
	}
	return r, nil
}

// Correction is a change of one counter at settlement.
type Correction struct {
	Counter string
	Delta   int64
}

// Corrections lists what turns the reserved amounts into the actual ones, zero
// deltas left out. Windows that ended more than StaleAfter before now are left
// alone: their counters may be gone, and nobody asks them any more. The in-flight
// count is not among them; closing the marker takes it down.
func (r *Reservation) Corrections(tokens int64, cost gateway.NanoUSD, now time.Time) []Correction {
	list := make([]Correction, 0, len(r.Limits)+1)
	add := func(name string, delta int64) {
		if delta != 0 {
			list = append(list, Correction{name, delta})
		}
	}
	for _, l := range r.Limits {
		name := CounterName(l.Measure, l.Per, r.At)
		if name == Spend || ended(l.Per, r.At, now) {
			continue
		}
		switch l.Measure {
		case gateway.Tokens:
			add(name, tokens-r.Tokens)
		case gateway.Cost:
			add(name, int64(cost-r.Cost))
		}
	}
	add(Spend, int64(cost-r.Cost))
	return list
}

// Refunds lists what takes the reservation back as if it had never been: beside the
// amounts also the requests. As with Corrections the in-flight count is not among
// them, and windows that ended are left alone.
func (r *Reservation) Refunds(now time.Time) []Correction {
	list := r.Corrections(0, 0, now)
	for _, l := range r.Limits {
		if l.Measure == gateway.Requests && !ended(l.Per, r.At, now) {
			list = append(list, Correction{CounterName(l.Measure, l.Per, r.At), -1})
		}
	}
	return list
}

// ended reports whether the window that at falls in is over for good at now.
func ended(per gateway.Unit, at, now time.Time) bool {
	end := per.End(per.Index(at))
	return !end.IsZero() && now.After(end.Add(StaleAfter))
}
