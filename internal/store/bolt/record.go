package bolt

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/record"
)

var _ record.Store = (*Store)(nil)

// Records are in three buckets:
//
//	records            kind 0 id                        -> JSON
//	records by group   kind 0 length group id           -> nothing
//	records by age     kind 0 milliseconds inverted id  -> nothing
//
// so that a group and a page are read from one end to the other.
var (
	bucketRecords      = []byte("records")
	bucketRecordGroups = []byte("records by group")
	bucketRecordAges   = []byte("records by age")
)

func recordID(kind record.Kind, id string) string { return string(kind) + "\x00" + id }

func recordGroup(kind record.Kind, group string) []byte {
	return appendString([]byte(string(kind)+"\x00"), group)
}

func recordAge(kind record.Kind, at time.Time) []byte {
	return binary.BigEndian.AppendUint64([]byte(string(kind)+"\x00"), ^uint64(at.UnixMilli()))
}

// group is the record's group, which is its id if it has none.
func group(r *record.Record) string {
	if r.Group == "" {
		return r.ID
	}
	return r.Group
}

// CreateRecord implements record.Store.
func (s *Store) CreateRecord(ctx context.Context, r record.Record, check func([]record.Record) error) error {
	for {
		seen, err := s.RecordsIn(ctx, r.Kind, group(&r))
		if err != nil {
			return err
		}
		if check != nil {
			if err := check(seen); err != nil {
				return err
			}
		}
		err = s.write(ctx, func(t *txn) error { return t.createRecord(r, seen, s.now()) })
		if !errors.Is(err, errMoved) {
			return err
		}
	}
}

// createRecord fails with errMoved if the group is not as it was seen.
func (t *txn) createRecord(r record.Record, seen []record.Record, now time.Time) error {
	group, err := t.recordsIn(r.Kind, group(&r), now)
	if err != nil {
		return err
	}
	if !slices.EqualFunc(group, seen, func(a, b record.Record) bool { return a.ID == b.ID && a.Version == b.Version }) {
		return errMoved
	}
	old, err := load[record.Record](t, bucketRecords, recordID(r.Kind, r.ID))
	switch {
	case err == nil && !lapsed(&old, now):
		return gateway.ErrExists
	case err == nil:
		if err := t.dropRecord(&old); err != nil {
			return err
		}
	case !errors.Is(err, gateway.ErrNotFound):
		return err
	}
	if r.Version, err = t.nextVersion(now); err != nil {
		return err
	}
	if err := t.indexRecord(&r, t.put); err != nil {
		return err
	}
	return t.putRecord(&r)
}

// putRecord writes the record, and its version into its counters.
func (t *txn) putRecord(r *record.Record) error {
	if r.Subject != "" {
		if err := t.setVersion(r.Subject, r.Version); err != nil {
			return err
		}
	}
	return save(t, bucketRecords, recordID(r.Kind, r.ID), r)
}

// indexRecord puts the record's entries into the indexes.
func (t *txn) indexRecord(r *record.Record, put func(bucket, key, value []byte) error) error {
	return errors.Join(
		put(bucketRecordGroups, append(recordGroup(r.Kind, group(r)), r.ID...), nil),
		put(bucketRecordAges, append(recordAge(r.Kind, r.CreatedAt), r.ID...), nil))
}

// dropRecord removes the record and all that belongs to it.
func (t *txn) dropRecord(r *record.Record) error {
	err := t.indexRecord(r, func(bucket, key, _ []byte) error { return t.delete(bucket, key) })
	if r.Subject != "" {
		err = errors.Join(err, t.deleteCounters(r.Subject))
	}
	return errors.Join(err, t.delete(bucketRecords, []byte(recordID(r.Kind, r.ID))))
}

// UpdateRecord implements record.Store. As UpdateKey it runs change outside of the
// writer, and again if the record was changed meanwhile.
func (s *Store) UpdateRecord(ctx context.Context, kind record.Kind, id string, change func(*record.Record) error) (record.Record, error) {
	for {
		old, err := s.RecordByID(ctx, kind, id)
		if err != nil {
			return record.Record{}, err
		}
		r := old
		if err := change(&r); err != nil {
			return record.Record{}, err
		}
		data, expires := r.Data, r.Expires
		r = old
		r.Data, r.Expires = data, expires
		err = s.write(ctx, func(t *txn) error { return t.replaceRecord(&r, old.Version, s.now()) })
		if err == nil {
			return r, nil
		}
		if !errors.Is(err, errMoved) {
			return record.Record{}, err
		}
	}
}

func (t *txn) replaceRecord(r *record.Record, from int64, now time.Time) error {
	current, err := load[record.Record](t, bucketRecords, recordID(r.Kind, r.ID))
	if err != nil {
		return err
	}
	if current.Version != from {
		return errMoved
	}
	if r.Version, err = t.nextVersion(now); err != nil {
		return err
	}
	return t.putRecord(r)
}

// DeleteRecord implements record.Store.
func (s *Store) DeleteRecord(ctx context.Context, kind record.Kind, id string) error {
	return s.write(ctx, func(t *txn) error {
		r, err := load[record.Record](t, bucketRecords, recordID(kind, id))
		if errors.Is(err, gateway.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return t.dropRecord(&r)
	})
}

// RecordByID implements record.Store.
func (s *Store) RecordByID(ctx context.Context, kind record.Kind, id string) (record.Record, error) {
	r, err := read[record.Record](ctx, s, bucketRecords, recordID(kind, id))
	if err == nil && lapsed(&r, s.now()) {
		return record.Record{}, gateway.ErrNotFound
	}
	return r, err
}

func lapsed(r *record.Record, now time.Time) bool {
	return !r.Expires.IsZero() && !now.Before(r.Expires)
}

// RecordsIn implements record.Store.
func (s *Store) RecordsIn(ctx context.Context, kind record.Kind, group string) (list []record.Record, err error) {
	err = s.view(ctx, func(t *txn) error {
		list, err = t.recordsIn(kind, group, s.now())
		return err
	})
	return list, err
}

func (t *txn) recordsIn(kind record.Kind, group string, now time.Time) (list []record.Record, err error) {
	prefix := recordGroup(kind, group)
	cursor := t.tx.Bucket(bucketRecordGroups).Cursor()
	for k, _ := cursor.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = cursor.Next() {
		r, err := load[record.Record](t, bucketRecords, recordID(kind, string(k[len(prefix):])))
		if err != nil {
			return nil, err
		}
		if !lapsed(&r, now) {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b record.Record) int {
		if c := a.CreatedAt.Compare(b.CreatedAt); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list, nil
}

// Records implements record.Store. A cursor is the entry that the page ended with.
func (s *Store) Records(ctx context.Context, kind record.Kind, page record.Page) (list []record.Record, next string, err error) {
	prefix := []byte(string(kind) + "\x00")
	from, err := parseCursor(page.Cursor)
	if err != nil {
		return nil, "", err
	}
	err = s.view(ctx, func(t *txn) error {
		cursor := t.tx.Bucket(bucketRecordAges).Cursor()
		k, _ := cursor.Seek(append(bytes.Clone(prefix), from...))
		if page.Cursor != "" && bytes.Equal(bytes.TrimPrefix(k, prefix), from) {
			k, _ = cursor.Next()
		}
		for ; bytes.HasPrefix(k, prefix); k, _ = cursor.Next() {
			if page.Limit > 0 && len(list) == page.Limit {
				last := list[len(list)-1]
				end := append(recordAge(kind, last.CreatedAt), last.ID...)
				next = base64.RawURLEncoding.EncodeToString(end[len(prefix):])
				return nil
			}
			r, err := load[record.Record](t, bucketRecords, recordID(kind, string(k[len(prefix)+8:])))
			if err != nil {
				return err
			}
			if !lapsed(&r, s.now()) {
				list = append(list, r)
			}
		}
		return nil
	})
	return list, next, err
}

// parseCursor is the inverse of what Records made: eight bytes and an id.
func parseCursor(cursor string) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || cursor != "" && len(b) <= 8 {
		return nil, &gateway.Error{Kind: gateway.Invalid, Code: "invalid_cursor", Param: "cursor",
			Message: "The cursor is not one that a list ended with."}
	}
	return b, nil
}
