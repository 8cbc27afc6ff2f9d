package dynamo

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/internal/gateway"
	"tollgate/internal/record"
)

var _ record.Store = (*Store)(nil)

// A record is an item of the gateway table:
//
//	pk        R#<kind>#<group>
//	sk        RECORD#<id>
//	kind      R#<kind>, kindSort <time inverted>#<id>: the index of all of a kind
//	version   as in the record
//	ttl       only with an end
//	doc       the record
//
// Records that are grouped by something else than their id have two items more: a
// pointer from the id to the group, and GROUP beside the records, whose version
// changes with everything in the group.
const (
	skRecord  = "RECORD#"
	skGroup   = "GROUP"
	attrGroup = "group" // of a pointer
)

func pkRecords(kind record.Kind, group string) string { return "R#" + string(kind) + "#" + group }

func pkRecordPointer(kind record.Kind, id string) string { return "RECORD#" + string(kind) + "#" + id }

func kindOfRecords(kind record.Kind) string { return "R#" + string(kind) }

// grouped reports whether records of the kind have groups.
func grouped(kind record.Kind) bool {
	switch kind {
	case record.Users, record.CustomProviders, record.Routes, record.Prices:
		return true
	}
	return false
}

// CreateRecord implements record.Store.
func (s *Store) CreateRecord(ctx context.Context, r record.Record, check func([]record.Record) error) error {
	r.Version = s.nextVersion(0)
	group := r.Group
	if !grouped(r.Kind) || group == "" {
		group = r.ID
	}
	return again(ctx, func(ctx context.Context) error {
		list, groupVersion, err := s.recordsIn(ctx, r.Kind, group)
		if err != nil {
			return err
		}
		if check != nil {
			if err := check(list); err != nil {
				return err
			}
		}
		writes, err := s.newRecord(&r, group, groupVersion)
		if err != nil {
			return err
		}
		err = s.transact(ctx, writes)
		if errors.Is(err, errCondition) {
			return s.whyNotCreated(ctx, &r)
		}
		return err
	})
}

// newRecord lists what creating a record writes.
func (s *Store) newRecord(r *record.Record, group string, groupVersion int64) ([]types.TransactWriteItem, error) {
	it, err := recordItem(r, group)
	if err != nil {
		return nil, err
	}
	writes := []types.TransactWriteItem{s.putUnlessLive(it)}
	if grouped(r.Kind) {
		pointer := address(pkRecordPointer(r.Kind, r.ID), skPointer)
		pointer[attrGroup] = str(group)
		lock := address(pkRecords(r.Kind, group), skGroup)
		lock[attrVersion] = num(r.Version)
		writes = append(writes, s.putNew(pointer))
		if groupVersion == 0 {
			writes = append(writes, s.putNew(lock))
		} else {
			writes = append(writes, s.replace(lock, groupVersion))
		}
	}
	if r.Subject != "" {
		counters := address(r.Subject, skCounters)
		counters[attrV] = num(r.Version)
		writes = append(writes, s.put(counters))
	}
	return writes, nil
}

// putUnlessLive writes an item over none, or over one whose end has come and that
// DynamoDB has not removed yet.
func (s *Store) putUnlessLive(it item) types.TransactWriteItem {
	w := s.put(it)
	x := newExpression()
	condition := "attribute_not_exists(pk) OR " + x.name(attrTTL) + " <= " + x.number(s.now().Unix())
	w.Put.ConditionExpression, w.Put.ExpressionAttributeNames, w.Put.ExpressionAttributeValues = &condition, x.names, x.values
	return w
}

// whyNotCreated tells a taken id, which is final, from a group that moved.
func (s *Store) whyNotCreated(ctx context.Context, r *record.Record) error {
	_, err := s.RecordByID(ctx, r.Kind, r.ID)
	switch {
	case err == nil:
		return gateway.ErrExists
	case errors.Is(err, gateway.ErrNotFound):
		return errCondition
	}
	return err
}

// UpdateRecord implements record.Store.
func (s *Store) UpdateRecord(ctx context.Context, kind record.Kind, id string, change func(*record.Record) error) (r record.Record, err error) {
	err = again(ctx, func(ctx context.Context) error {
		old, group, err := s.recordByID(ctx, kind, id)
		if err != nil {
			return err
		}
		r = old
		if err := change(&r); err != nil {
			return err
		}
		data, expires := r.Data, r.Expires
		r = old
		r.Data, r.Expires, r.Version = data, expires, s.nextVersion(old.Version)
		it, err := recordItem(&r, group)
		if err != nil {
			return err
		}
		writes := append([]types.TransactWriteItem{s.replace(it, old.Version)}, s.moveGroup(kind, group, r.Version)...)
		if r.Subject != "" {
			writes = append(writes, s.setVersion(r.Subject, skCounters, attrV, r.Version))
		}
		return s.transact(ctx, writes)
	})
	if err != nil {
		return record.Record{}, err
	}
	return r, nil
}

// DeleteRecord implements record.Store.
func (s *Store) DeleteRecord(ctx context.Context, kind record.Kind, id string) error {
	err := again(ctx, func(ctx context.Context) error {
		r, group, err := s.recordByID(ctx, kind, id)
		if err != nil {
			return err
		}
		writes := []types.TransactWriteItem{s.removeVersion(pkRecords(kind, group), skRecord+id, r.Version)}
		if grouped(kind) {
			writes = append(writes, s.remove(pkRecordPointer(kind, id), skPointer))
			writes = append(writes, s.moveGroup(kind, group, s.nextVersion(r.Version))...)
		}
		if r.Subject != "" {
			writes = append(writes, s.remove(r.Subject, skCounters))
		}
		return s.transact(ctx, writes)
	})
	if errors.Is(err, gateway.ErrNotFound) {
		return nil
	}
	return err
}

// moveGroup makes creates fail that looked at the group before.
func (s *Store) moveGroup(kind record.Kind, group string, version int64) []types.TransactWriteItem {
	if !grouped(kind) {
		return nil
	}
	return []types.TransactWriteItem{s.setVersion(pkRecords(kind, group), skGroup, attrVersion, version)}
}

// setVersion writes the version of an item, and leaves the rest of it as it is.
func (s *Store) setVersion(pk, sk, attribute string, version int64) types.TransactWriteItem {
	x := newExpression()
	update := "SET " + x.name(attribute) + " = " + x.number(version)
	return types.TransactWriteItem{Update: &types.Update{
		TableName:                 &s.gateway,
		Key:                       address(pk, sk),
		UpdateExpression:          &update,
		ExpressionAttributeNames:  x.names,
		ExpressionAttributeValues: x.values,
	}}
}

// RecordByID implements record.Store.
func (s *Store) RecordByID(ctx context.Context, kind record.Kind, id string) (record.Record, error) {
	r, _, err := s.recordByID(ctx, kind, id)
	return r, err
}

// recordByID also says in which group the record is.
func (s *Store) recordByID(ctx context.Context, kind record.Kind, id string) (r record.Record, group string, err error) {
	group = id
	if grouped(kind) {
		pointer, err := s.get(ctx, s.gateway, pkRecordPointer(kind, id), skPointer)
		if err != nil {
			return r, "", err
		}
		if len(pointer) == 0 {
			return r, "", gateway.ErrNotFound
		}
		group = text(pointer, attrGroup)
	}
	it, err := s.get(ctx, s.gateway, pkRecords(kind, group), skRecord+id)
	if err != nil {
		return r, "", err
	}
	if len(it) == 0 || expired(it, s.now()) {
		return r, "", gateway.ErrNotFound
	}
	r, err = decode[record.Record](it)
	return r, group, err
}

// RecordsIn implements record.Store.
func (s *Store) RecordsIn(ctx context.Context, kind record.Kind, group string) ([]record.Record, error) {
	list, _, err := s.recordsIn(ctx, kind, group)
	return list, err
}

// recordsIn also returns the version of the group, 0 if it has none.
func (s *Store) recordsIn(ctx context.Context, kind record.Kind, group string) (list []record.Record, version int64, err error) {
	x := newExpression()
	condition := x.name(attrPK) + " = " + x.value(str(pkRecords(kind, group)))
	consistent := true
	in := &dynamodb.QueryInput{
		TableName:                 &s.gateway,
		KeyConditionExpression:    &condition,
		ExpressionAttributeNames:  x.names,
		ExpressionAttributeValues: x.values,
		ConsistentRead:            &consistent,
	}
	err = s.query(ctx, in, func(it item) error {
		if text(it, attrSK) == skGroup {
			version, err = number(it, attrVersion)
			return err
		}
		if expired(it, s.now()) {
			return nil
		}
		r, err := decode[record.Record](it)
		list = append(list, r)
		return err
	})
	slices.SortFunc(list, func(a, b record.Record) int {
		if c := a.CreatedAt.Compare(b.CreatedAt); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list, version, err
}

// Records implements record.Store. The cursor is the sort key of the last record.
func (s *Store) Records(ctx context.Context, kind record.Kind, page record.Page) (list []record.Record, next string, err error) {
	in, err := s.recordsQuery(kind, page)
	if err != nil {
		return nil, "", err
	}
	last := ""
	err = s.query(ctx, in, func(it item) error {
		if expired(it, s.now()) {
			return nil
		}
		if page.Limit > 0 && len(list) == page.Limit {
			next = base64.RawURLEncoding.EncodeToString([]byte(last))
			return errEnough
		}
		last = text(it, attrKindSort)
		r, err := decode[record.Record](it)
		list = append(list, r)
		return err
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, "", err
	}
	return list, next, nil
}

// errEnough ends a query whose rest is not wanted.
var errEnough = errors.New("enough")

func (s *Store) recordsQuery(kind record.Kind, page record.Page) (*dynamodb.QueryInput, error) {
	x := newExpression()
	condition := x.name(attrKind) + " = " + x.value(str(kindOfRecords(kind)))
	if page.Cursor != "" {
		after, err := base64.RawURLEncoding.DecodeString(page.Cursor)
		if err != nil || len(after) < 2 {
			return nil, &gateway.Error{Kind: gateway.Invalid, Code: "invalid_cursor", Param: "cursor",
				Message: "The cursor is not one that a list ended with."}
		}
		condition += " AND " + x.name(attrKindSort) + " > " + x.value(str(valid(string(after))))
	}
	index := indexKind
	in := &dynamodb.QueryInput{
		TableName:                 &s.gateway,
		IndexName:                 &index,
		KeyConditionExpression:    &condition,
		ExpressionAttributeNames:  x.names,
		ExpressionAttributeValues: x.values,
	}
	if page.Limit > 0 {
		most := int32(min(page.Limit, 1000)) + 1 // one more shows whether there is another page
		in.Limit = &most
	}
	return in, nil
}

func recordItem(r *record.Record, group string) (item, error) {
	it := address(pkRecords(r.Kind, group), skRecord+r.ID)
	it[attrKind] = str(kindOfRecords(r.Kind))
	it[attrKindSort] = str(fmt.Sprintf("%019d#%s", math.MaxInt64-r.CreatedAt.UnixMilli(), r.ID))
	it[attrVersion] = num(r.Version)
	if !r.Expires.IsZero() {
		// Rounded up as ttlAfter does not: a record must not end before its time.
		it[attrTTL] = num(r.Expires.Unix())
		if r.Expires.Nanosecond() > 0 {
			it[attrTTL] = num(r.Expires.Unix() + 1)
		}
	}
	return document(it, r)
}
