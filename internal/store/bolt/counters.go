package bolt

import (
	"context"
	"encoding/binary"
	"errors"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
)

// Counters are read and written with every call, so they are kept in a form of
// their own that costs a fraction of JSON:
//
//	1 byte   form, 1
//	varint   version
//	uvarint  number of values, then for each: name, varint
//	uvarint  number of open reservations, then for each: id, marker
//
// Names, ids and markers are preceded by their length as uvarint.
const countersForm = 1

// encodeCounters leaves out values of zero: absent means the same.
func encodeCounters(c *limit.Counters) []byte {
	b := make([]byte, 0, 32+24*len(c.Values)+40*len(c.Open))
	b = append(b, countersForm)
	b = binary.AppendVarint(b, c.Version)
	n := 0
	for _, v := range c.Values {
		if v != 0 {
			n++
		}
	}
	b = binary.AppendUvarint(b, uint64(n))
	for name, v := range c.Values {
		if v != 0 {
			b = appendString(b, name)
			b = binary.AppendVarint(b, v)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(c.Open)))
	for id, r := range c.Open {
		b = appendString(b, id)
		b = appendString(b, r.Encode())
	}
	return b
}

func appendString[S string | []byte](b []byte, s S) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

var errCounters = errors.New("malformed counters")

// decodeCounters is the inverse of encodeCounters. It keeps no part of b.
func decodeCounters(b []byte) (limit.Counters, error) {
	if len(b) == 0 || b[0] != countersForm {
		return limit.Counters{}, errCounters
	}
	r := reader{rest: b[1:]}
	c := limit.Counters{Version: r.varint()}
	n := r.count()
	c.Values = make(map[string]int64, n)
	for range n {
		name := string(r.bytes())
		c.Values[name] = r.varint()
	}
	n = r.count()
	c.Open = make(map[string]limit.Reservation, n)
	for range n {
		id := string(r.bytes())
		res, err := limit.DecodeReservation(id, r.bytes())
		if err != nil {
			return limit.Counters{}, err
		}
		c.Open[id] = res
	}
	if r.bad || len(r.rest) != 0 {
		return limit.Counters{}, errCounters
	}
	return c, nil
}

// reader takes a value apart. After the first thing that does not fit it is bad
// and returns zeros.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) fail() { r.rest, r.bad = nil, true }

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// count reads a number of things of at least two bytes each, so that a wrong one
// does not make room for more than there can be.
func (r *reader) count() int {
	n := r.uvarint()
	if n > uint64(len(r.rest)/2) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *reader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.fail()
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

// Counters is the raw state of a counter item: a key's by its hash, any other by its
// subject.
func (s *Store) Counters(ctx context.Context, keyHash string) (c limit.Counters, err error) {
	err = s.view(ctx, func(t *txn) error {
		p, err := t.counters(keyHash)
		if err == nil {
			c = *p // the transaction's own copy, and nobody uses it after this
		}
		return err
	})
	return c, err
}

// loaded is counters as the transaction has them. Calls of a busy key share a
// batch, and with it the work of decoding and encoding.
type loaded struct {
	limit.Counters
	changed bool
}

// counters fails with gateway.ErrNotFound if the key has none. Who changes them
// calls keepCounters.
func (t *txn) counters(keyHash string) (*limit.Counters, error) {
	if l := t.loaded[keyHash]; l != nil {
		return &l.Counters, nil
	}
	b := t.get(bucketCounters, []byte(keyHash))
	if b == nil {
		return nil, gateway.ErrNotFound
	}
	c, err := decodeCounters(b)
	if err != nil {
		return nil, broken("counters of "+keyHash, err)
	}
	return &t.load(keyHash, c).Counters, nil
}

func (t *txn) load(keyHash string, c limit.Counters) *loaded {
	if t.loaded == nil {
		t.loaded = make(map[string]*loaded)
	}
	l := &loaded{Counters: c}
	t.loaded[keyHash] = l
	return l
}

// keepCounters has the counters written at the end of the transaction.
func (t *txn) keepCounters(keyHash string) {
	t.writes++
	t.loaded[keyHash].changed = true
}

// setVersion gives a key's counters a version, and makes them if there are none.
func (t *txn) setVersion(keyHash string, version int64) error {
	c, err := t.counters(keyHash)
	if errors.Is(err, gateway.ErrNotFound) {
		c, err = &t.load(keyHash, limit.Counters{}).Counters, nil
	}
	if err != nil {
		return err
	}
	c.Version = version
	t.keepCounters(keyHash)
	return nil
}

func (t *txn) deleteCounters(keyHash string) error {
	delete(t.loaded, keyHash)
	return t.delete(bucketCounters, []byte(keyHash))
}

// flush writes the counters that changed.
func (t *txn) flush() error {
	for hash, l := range t.loaded {
		if !l.changed {
			continue
		}
		if err := t.put(bucketCounters, []byte(hash), encodeCounters(&l.Counters)); err != nil {
			return err
		}
	}
	return nil
}
