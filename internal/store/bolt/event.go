package bolt

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"tollgate/internal/gateway"
)

// An event is stored under
//
//	16 bytes  scope of the key's id
//	 8 bytes  At, so that keys sort by it
//	rest      reservation id
//
// and its custom and user id point to it under
//
//	16 bytes  scope of the custom or user id
//	 8 bytes  At
//	16 bytes  scope of the key's id
//	rest      reservation id
//
// with an empty value. A scope is the beginning of a hash: ids may be of any
// length and hold any character. Whoever reads compares the id in the event.
const (
	scopeLen = 16
	timeLen  = 8
)

func scope(id string) []byte {
	sum := sha256.Sum256([]byte(id))
	return sum[:scopeLen]
}

// instant is t in milliseconds, in 8 bytes that sort as times do.
func instant(t time.Time) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(t.UnixMilli())^1<<63)
}

func eventKey(e *gateway.Event) []byte {
	return slices.Concat(scope(e.KeyID), instant(e.At), []byte(e.ReservationID))
}

// pointer is the key of an index entry of an event.
func pointer(id string, event []byte) []byte {
	return slices.Concat(scope(id), event[scopeLen:scopeLen+timeLen], event[:scopeLen], event[scopeLen+timeLen:])
}

// pointed is the event key in an index entry.
func pointed(p []byte) []byte {
	p = p[scopeLen:]
	return slices.Concat(p[timeLen:timeLen+scopeLen], p[:timeLen], p[timeLen+scopeLen:])
}

// eventRecord is an event made ready by its caller, so that the writer, which everybody
// waits for, does not have to.
type eventRecord struct {
	key      []byte
	json     []byte
	pointers []indexed

	event   gateway.Event // without bodies
	written bool          // by the last attempt at a transaction
}

type indexed struct{ bucket, key []byte }

func newRecord(e *gateway.Event) (*eventRecord, error) {
	b, err := json.Marshal(e)
	if err != nil {
		return nil, broken("event "+e.ID, err)
	}
	key := eventKey(e)
	r := &eventRecord{key: key, json: b, pointers: pointers(e, key), event: *e}
	r.event.Request, r.event.Response, r.event.Metadata = nil, nil, nil
	return r, nil
}

func pointers(e *gateway.Event, key []byte) []indexed {
	var list []indexed
	if e.CustomID != "" {
		list = append(list, indexed{bucketByCustom, pointer(e.CustomID, key)})
	}
	if e.UserID != "" {
		list = append(list, indexed{bucketByUser, pointer(e.UserID, key)})
	}
	return list
}

// event fails with gateway.ErrNotFound if there is none under the key.
func (t *txn) event(key []byte) (*gateway.Event, error) {
	b := t.get(bucketEvents, key)
	if b == nil {
		return nil, gateway.ErrNotFound
	}
	e := new(gateway.Event)
	if err := json.Unmarshal(b, e); err != nil {
		return nil, broken("event", err)
	}
	return e, nil
}

// putEvent writes the event and removes a few of the same key that are too old.
func (t *txn) putEvent(r *eventRecord, cutoff time.Time) error {
	if err := t.put(bucketEvents, r.key, r.json); err != nil {
		return err
	}
	if err := t.put(bucketUnfolded, r.key, nil); err != nil {
		return err
	}
	r.written = true
	for _, p := range r.pointers {
		if err := t.put(p.bucket, p.key, nil); err != nil {
			return err
		}
	}
	if cutoff.IsZero() {
		return nil
	}
	return t.deleteEvents(t.older(r.key[:scopeLen], cutoff, trimAtOnce))
}

// Record writes the event of a call that reserved nothing.
func (s *Store) Record(ctx context.Context, e gateway.Event) error {
	rec, err := newRecord(&e)
	if err != nil {
		return err
	}
	err = s.write(ctx, func(t *txn) error {
		rec.written = false
		if t.get(bucketEvents, rec.key) != nil {
			return nil
		}
		return t.putEvent(rec, s.cutoff())
	})
	s.wrote(rec, err)
	return err
}

var errNoSubject = &gateway.Error{
	Kind:    gateway.Invalid,
	Code:    "invalid_filter",
	Message: "Name at least one key, custom id or user to select events by.",
}

// Events returns what the filter selects, newest first: by time, reservation id and
// key, all descending, or with Oldest ascending.
func (s *Store) Events(ctx context.Context, f gateway.EventFilter) ([]gateway.Event, error) {
	if len(f.KeyIDs) == 0 && f.CustomID == "" && f.UserID == "" {
		return nil, errNoSubject
	}
	if cutoff := s.cutoff(); f.From.Before(cutoff) {
		f.From = cutoff
	}
	sel := selection{ctx: ctx, filter: f, keys: map[string]bool{}}
	for _, id := range f.KeyIDs {
		sel.keys[id] = true
	}
	err := s.view(ctx, sel.run)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(sel.found, func(a, b gateway.Event) int {
		order := cmp.Or(a.At.Compare(b.At), strings.Compare(a.ReservationID, b.ReservationID), strings.Compare(a.KeyID, b.KeyID))
		if !f.Oldest {
			order = -order
		}
		return order
	})
	if f.Limit > 0 && len(sel.found) > f.Limit {
		sel.found = sel.found[:f.Limit]
	}
	return sel.found, nil
}

// selection collects the events of a filter.
type selection struct {
	ctx    context.Context
	filter gateway.EventFilter
	keys   map[string]bool
	found  []gateway.Event
}

// run goes by the narrowest index and checks the other conditions on the way.
func (sel *selection) run(t *txn) error {
	switch f := &sel.filter; {
	case f.CustomID != "":
		return sel.scan(t, bucketByCustom, f.CustomID)
	case f.UserID != "":
		return sel.scan(t, bucketByUser, f.UserID)
	}
	for id := range sel.keys {
		if err := sel.scan(t, bucketEvents, id); err != nil {
			return err
		}
	}
	return nil
}

// scan reads the part of a bucket that belongs to the id and the filter's times, in
// the filter's order and up to its limit.
func (sel *selection) scan(t *txn, bucket []byte, id string) error {
	prefix := scope(id)
	begin, end := prefix, slices.Concat(prefix, bytes.Repeat([]byte{0xff}, timeLen+1))
	if from := sel.filter.From; !from.IsZero() {
		begin = slices.Concat(prefix, instant(from))
	}
	if to := sel.filter.To; !to.IsZero() {
		end = slices.Concat(prefix, instant(to), []byte{0xff})
	}
	cursor := t.tx.Bucket(bucket).Cursor()
	next, k, v := cursor.Next, []byte(nil), []byte(nil)
	if sel.filter.Oldest {
		k, v = cursor.Seek(begin)
	} else {
		next = cursor.Prev
		if k, v = cursor.Seek(end); k == nil {
			k, v = cursor.Last()
		}
		for k != nil && bytes.Compare(k, end) > 0 {
			k, v = next()
		}
	}
	for most := len(sel.found) + sel.filter.Limit; k != nil && bytes.Compare(k, begin) >= 0 && bytes.Compare(k, end) <= 0; k, v = next() {
		if err := sel.ctx.Err(); err != nil {
			return err
		}
		if len(v) == 0 {
			v = t.get(bucketEvents, pointed(k))
		}
		e, err := sel.decode(v)
		if err != nil {
			return broken("event", err)
		}
		if sel.wants(&e) {
			sel.found = append(sel.found, e)
		}
		if sel.filter.Limit > 0 && len(sel.found) == most {
			return nil
		}
	}
	return nil
}

// decode reads an event, without its bodies if they are not wanted.
func (sel *selection) decode(v []byte) (gateway.Event, error) {
	if !sel.filter.Bare {
		var e gateway.Event
		err := json.Unmarshal(v, &e)
		return e, err
	}
	var e struct {
		gateway.Event
		Request  length `json:"request"`
		Response length `json:"response"`
	}
	err := json.Unmarshal(v, &e)
	e.Bodies = int(e.Request + e.Response)
	return e.Event, err
}

// length takes the place of bytes in JSON, which are in base64, and says how many
// there are.
type length int

// UnmarshalJSON implements json.Unmarshaler.
func (n *length) UnmarshalJSON(text []byte) error {
	text = bytes.TrimRight(bytes.Trim(text, `"`), "=")
	*n = length(len(text) * 3 / 4)
	return nil
}

func (sel *selection) wants(e *gateway.Event) bool {
	f := &sel.filter
	return (len(sel.keys) == 0 || sel.keys[e.KeyID]) &&
		(f.CustomID == "" || f.CustomID == e.CustomID) &&
		(f.UserID == "" || f.UserID == e.UserID) &&
		(f.From.IsZero() || !e.At.Before(f.From)) &&
		(f.To.IsZero() || e.At.Before(f.To))
}
