package dynamo

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/internal/gateway"
)

// An event is an item of the usage table:
//
//	pk       E#<keyId>#<yyyymmdd>, the day in UTC
//	sk       <unix milliseconds, 13 digits>#<reservationId>
//	doc      the event without its bodies, which most readers do not want
//	request  its bodies, each only if there is one
//	response
//	bodies   how many bytes they have together
//	user     only with a user id: hash attribute of the index byUser
//	custom   likewise for byCustom; both indexes are sorted by sk
//	ttl      only with a retention
const (
	attrUser     = "user"
	attrCustom   = "custom"
	attrRequest  = "request"
	attrResponse = "response"
	attrBodies   = "bodies"
	indexUser    = "byUser"
	indexCustom  = "byCustom"
)

const day = 24 * time.Hour

// span is how much time a search covers that names no start, if there is no
// retention; ahead is how far beyond now one that names no end looks, for writers
// whose clocks are fast.
const (
	span  = 400 * day
	ahead = day
)

// maxEvent bounds an event, its JSON and its bodies, in bytes: an item may have
// 400 KB, and an event that is refused would keep its reservation open.
const maxEvent = 380 << 10

// Record writes the event of a call that reserved nothing. One that is there
// already stays as it is.
func (s *Store) Record(ctx context.Context, e gateway.Event) error {
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	_, err := s.putEvent(ctx, e)
	return err
}

// putEvent writes the event, unless one with its name is there, and returns the
// one that stands.
func (s *Store) putEvent(ctx context.Context, e gateway.Event) (gateway.Event, error) {
	it, err := s.eventItem(&e)
	if err != nil {
		return e, err
	}
	condition := "attribute_not_exists(pk)"
	_, err = s.db.PutItem(ctx, &dynamodb.PutItemInput{
		TableName:                           &s.usage,
		Item:                                it,
		ConditionExpression:                 &condition,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if old, there := conditionFailed(err); there {
		return decodeEvent(old)
	}
	return e, storageError(err)
}

// eventItem makes the item of an event. It changes what cannot be stored as it is.
func (s *Store) eventItem(e *gateway.Event) (item, error) {
	e.UserID, e.CustomID = valid(e.UserID), valid(e.CustomID)
	it := address(pkEvents(e.KeyID, e.At), skEvent(e.At, e.ReservationID))
	if e.UserID != "" {
		it[attrUser] = str(indexable(e.UserID))
	}
	if e.CustomID != "" {
		it[attrCustom] = str(indexable(e.CustomID))
	}
	if s.retention > 0 {
		it[attrTTL] = num(ttlAfter(e.At.Add(s.retention)))
	}
	doc := *e
	doc.Request, doc.Response = nil, nil
	it, err := document(it, &doc)
	if err == nil && len(text(it, attrDoc)) > maxEvent {
		// Beside the bodies, it is the only member without a small bound of its own.
		doc.Metadata, e.Metadata = nil, nil
		it, err = document(it, &doc)
	}
	room := maxEvent - len(text(it, attrDoc))
	size := 0
	for _, b := range bodiesOf(e) {
		if len(*b.of) > room-size {
			*b.of = nil
		}
		if n := len(*b.of); n > 0 {
			it[b.name] = &types.AttributeValueMemberB{Value: *b.of}
			size += n
		}
	}
	if size > 0 {
		it[attrBodies] = num(int64(size))
	}
	return it, err
}

// body is one of an event's bodies and the attribute that has it.
type body struct {
	name string
	of   *[]byte
}

// bodiesOf lists the bodies, first that which is rather kept.
func bodiesOf(e *gateway.Event) []body {
	return []body{{attrRequest, &e.Request}, {attrResponse, &e.Response}}
}

// decodeEvent reads an event, or what a query asked for of it.
func decodeEvent(it item) (gateway.Event, error) {
	e, err := decode[gateway.Event](it)
	if err != nil {
		return e, err
	}
	read := 0
	for _, b := range bodiesOf(&e) {
		if v, ok := it[b.name].(*types.AttributeValueMemberB); ok {
			*b.of = v.Value
			read += len(v.Value)
		}
	}
	n, err := number(it, attrBodies)
	if err != nil {
		return e, broken(fmt.Errorf("item %q %q: %w", text(it, attrPK), text(it, attrSK), err))
	}
	e.Bodies = int(n) - read
	return e, nil
}

func pkEvents(keyID string, at time.Time) string {
	return "E#" + keyID + "#" + at.UTC().Format("20060102")
}

func skEvent(at time.Time, reservationID string) string { return skTime(at) + "#" + reservationID }

// skTime is the time as events are sorted by it, before all events of the same
// millisecond.
func skTime(t time.Time) string { return fmt.Sprintf("%013d", max(t.UnixMilli(), 0)) }

// indexable is an id as the index has it: a hash attribute may have 2 KB at most,
// and the id is of the caller's choice.
func indexable(id string) string {
	id = valid(id)
	if len(id) <= 1024 {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// valid is s as UTF-8, which JSON and DynamoDB's strings are. Headers may be
// anything.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// Events lists events, newest first: by their time, reservation id and key, all
// descending, or with Oldest ascending. By custom or user id it asks an index, which
// may be a second late. By key it asks day after day, so there it bounds the time:
// at most the retention, or 400 days, before To or before now. A search that names
// both From and To, and not more than a few days, is the cheap one; one with a Limit
// ends with the day in which it is reached.
func (s *Store) Events(ctx context.Context, f gateway.EventFilter) ([]gateway.Event, error) {
	subjects, err := s.eventQueries(ctx, f)
	if err != nil {
		return nil, err
	}
	var events []gateway.Event
	if f.Limit > 0 {
		for _, queries := range subjects {
			first, err := s.first(ctx, queries, &f)
			if err != nil {
				return nil, err
			}
			events = append(events, first...)
		}
	} else if events, err = s.searchAll(ctx, slices.Concat(subjects...), &f); err != nil {
		return nil, err
	}
	slices.SortFunc(events, func(a, b gateway.Event) int {
		order := cmp.Or(a.At.Compare(b.At), strings.Compare(a.ReservationID, b.ReservationID), strings.Compare(a.KeyID, b.KeyID))
		if !f.Oldest {
			order = -order
		}
		return order
	})
	if f.Limit > 0 && len(events) > f.Limit {
		events = events[:f.Limit]
	}
	return events, nil
}

// first runs the queries of one subject, which are in order, until the limit is
// reached: one, then more and more at once, for a subject may have had no events
// for months.
func (s *Store) first(ctx context.Context, queries []*dynamodb.QueryInput, f *gateway.EventFilter) ([]gateway.Event, error) {
	var events []gateway.Event
	for n := 1; len(queries) > 0 && len(events) < f.Limit; n = min(2*n, atOnce) {
		n = min(n, len(queries))
		found, err := s.searchAll(ctx, queries[:n], f)
		if err != nil {
			return nil, err
		}
		events, queries = append(events, found...), queries[n:]
	}
	return events, nil
}

// eventQueries lists for each subject of the filter the queries whose answers hold
// what it selects, in the filter's order.
func (s *Store) eventQueries(ctx context.Context, f gateway.EventFilter) ([][]*dynamodb.QueryInput, error) {
	switch {
	case f.CustomID != "":
		return [][]*dynamodb.QueryInput{{s.indexQuery(indexCustom, attrCustom, f.CustomID, &f)}}, nil
	case f.UserID != "":
		return [][]*dynamodb.QueryInput{{s.indexQuery(indexUser, attrUser, f.UserID, &f)}}, nil
	case len(f.KeyIDs) > 0:
		return s.keyQueries(ctx, &f)
	}
	return nil, &gateway.Error{Kind: gateway.Invalid, Code: "invalid_filter",
		Message: "Events need a key id, a custom id or a user id to be searched by."}
}

// searchAll runs queries side by side and joins what they find, in their order.
func (s *Store) searchAll(ctx context.Context, queries []*dynamodb.QueryInput, f *gateway.EventFilter) ([]gateway.Event, error) {
	found := make([][]gateway.Event, len(queries))
	err := each(ctx, len(queries), func(ctx context.Context, i int) (err error) {
		found[i], err = s.search(ctx, queries[i], f)
		return err
	})
	return slices.Concat(found...), err
}

// search runs one query and keeps what the filter selects, up to its limit.
func (s *Store) search(ctx context.Context, in *dynamodb.QueryInput, f *gateway.EventFilter) ([]gateway.Event, error) {
	var events []gateway.Event
	now := s.now()
	err := s.query(ctx, in, func(it item) error {
		if expired(it, now) {
			return nil
		}
		e, err := decodeEvent(it)
		if err != nil || !selects(f, &e) {
			return err
		}
		if events = append(events, e); len(events) == f.Limit {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return events, err
}

// selects reports whether all conditions of the filter hold.
func selects(f *gateway.EventFilter, e *gateway.Event) bool {
	return (len(f.KeyIDs) == 0 || slices.Contains(f.KeyIDs, e.KeyID)) &&
		(f.CustomID == "" || indexable(f.CustomID) == indexable(e.CustomID)) &&
		(f.UserID == "" || indexable(f.UserID) == indexable(e.UserID)) &&
		(f.From.IsZero() || !e.At.Before(f.From)) &&
		(f.To.IsZero() || e.At.Before(f.To))
}

// indexQuery asks an index for one id.
func (s *Store) indexQuery(index, attribute, id string, f *gateway.EventFilter) *dynamodb.QueryInput {
	in := s.between(attribute, indexable(id), f.From, f.To, f)
	in.IndexName = &index
	return in
}

// keyQueries asks for each key and each day.
func (s *Store) keyQueries(ctx context.Context, f *gateway.EventFilter) ([][]*dynamodb.QueryInput, error) {
	from, to := s.bounds(f.From, f.To)
	keys := slices.Clone(f.KeyIDs)
	slices.Sort(keys)
	keys = slices.Compact(keys)
	starts := slices.Repeat([]time.Time{from}, len(keys))
	if f.From.IsZero() {
		err := each(ctx, len(keys), func(ctx context.Context, i int) (err error) {
			starts[i], err = s.firstDay(ctx, keys[i], from)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	subjects := make([][]*dynamodb.QueryInput, len(keys))
	consistent := true
	for i, key := range keys {
		for d := starts[i].UTC().Truncate(day); d.Before(to); d = d.Add(day) {
			in := s.between(attrPK, pkEvents(key, d), starts[i], to, f)
			in.ConsistentRead = &consistent
			subjects[i] = append(subjects[i], in)
		}
		if !f.Oldest {
			slices.Reverse(subjects[i])
		}
	}
	return subjects, nil
}

// firstDay is the day before the key was made, if that is after from: there are
// no older events. Of a deleted key it is not known any more.
func (s *Store) firstDay(ctx context.Context, keyID string, from time.Time) (time.Time, error) {
	k, err := s.Key(ctx, keyID)
	if errors.Is(err, gateway.ErrNotFound) {
		return from, nil
	}
	if start := k.CreatedAt.Add(-day); err == nil && start.After(from) {
		from = start
	}
	return from, err
}

// bounds closes an open search and bounds a long one. There is nothing to be found
// beyond now, so an end far ahead leaves as much of the past as none.
func (s *Store) bounds(from, to time.Time) (time.Time, time.Time) {
	most := span
	if s.retention > 0 {
		most = s.retention
	}
	end := to
	if now := s.now(); to.IsZero() || to.After(now.Add(ahead)) {
		end, to = now, now.Add(ahead)
	}
	if from.IsZero() || end.Sub(from) > most {
		from = end.Add(-most)
	}
	return from, to
}

// between asks for the items of one hash value from one time until another, as the
// filter wants them. The upper bound is rounded up to the next millisecond; selects
// is exact.
func (s *Store) between(attribute, value string, from, to time.Time, f *gateway.EventFilter) *dynamodb.QueryInput {
	lower, upper := "0", "9999999999999~"
	if !from.IsZero() {
		lower = skTime(from)
	}
	if !to.IsZero() {
		upper = skTime(to.Add(time.Millisecond - 1))
	}
	if upper < lower {
		upper = lower // nothing; DynamoDB refuses bounds in the wrong order
	}
	x := newExpression()
	condition := x.name(attribute) + " = " + x.value(str(value)) +
		" AND " + x.name(attrSK) + " BETWEEN " + x.value(str(lower)) + " AND " + x.value(str(upper))
	in := &dynamodb.QueryInput{
		TableName:                 &s.usage,
		KeyConditionExpression:    &condition,
		ExpressionAttributeNames:  x.names,
		ExpressionAttributeValues: x.values,
		ScanIndexForward:          &f.Oldest,
	}
	if f.Limit > 0 {
		limit := int32(min(f.Limit, 1<<30))
		in.Limit = &limit
	}
	if f.Bare {
		fields := strings.Join([]string{x.name(attrPK), x.name(attrSK), x.name(attrDoc), x.name(attrTTL), x.name(attrBodies)}, ", ")
		in.ProjectionExpression = &fields
	}
	return in
}
