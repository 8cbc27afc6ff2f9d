package dynamo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/internal/gateway"
)

// An event is an item of the usage table:
//
//	pk       E#<keyId>#<yyyymmdd>, the day in UTC
//	sk       <unix milliseconds, 13 digits>#<reservationId>
//	doc      the event
//	user     only with a user id: hash attribute of the index byUser
//	custom   likewise for byCustom; both indexes are sorted by sk
//	ttl      only with a retention
const (
	attrUser    = "user"
	attrCustom  = "custom"
	indexUser   = "byUser"
	indexCustom = "byCustom"
)

const day = 24 * time.Hour

// span is how much time a search covers that names no start, if there is no
// retention; ahead is how far beyond now one that names no end looks, for writers
// whose clocks are fast.
const (
	span  = 400 * day
	ahead = day
)

// maxDoc bounds the JSON of an event, in bytes: an item may have 400 KB, and an
// event that is refused would keep its reservation open.
const maxDoc = 380 << 10

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
		return decode[gateway.Event](old)
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
	it, err := document(it, e)
	// The logged bodies are the only members without a small bound of their own.
	for _, body := range []*[]byte{&e.Response, &e.Request, &e.Metadata} {
		if err != nil || len(text(it, attrDoc)) <= maxDoc {
			break
		}
		*body = nil
		it, err = document(it, e)
	}
	return it, err
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

// Events lists events, newest first. By custom or user id it asks an index, which
// may be a second late. By key it asks day after day, so there it bounds the time:
// at most the retention, or 400 days, before To or before now. A search that names
// both From and To, and not more than a few days, is the cheap one.
func (s *Store) Events(ctx context.Context, f gateway.EventFilter) ([]gateway.Event, error) {
	queries, err := s.eventQueries(ctx, f)
	if err != nil {
		return nil, err
	}
	found := make([][]gateway.Event, len(queries))
	var read atomic.Int64
	err = each(ctx, len(queries), func(ctx context.Context, i int) (err error) {
		found[i], err = s.search(ctx, queries[i], &f, &read)
		return err
	})
	if err != nil {
		return nil, err
	}
	events := slices.Concat(found...)
	slices.SortFunc(events, func(a, b gateway.Event) int {
		return newestFirst(a.At, b.At, a.ReservationID, b.ReservationID)
	})
	return events, nil
}

// eventQueries lists the queries whose answers hold what the filter selects.
func (s *Store) eventQueries(ctx context.Context, f gateway.EventFilter) ([]*dynamodb.QueryInput, error) {
	switch {
	case f.CustomID != "":
		return []*dynamodb.QueryInput{s.indexQuery(indexCustom, attrCustom, f.CustomID, f)}, nil
	case f.UserID != "":
		return []*dynamodb.QueryInput{s.indexQuery(indexUser, attrUser, f.UserID, f)}, nil
	case len(f.KeyIDs) > 0:
		return s.keyQueries(ctx, f)
	}
	return nil, &gateway.Error{Kind: gateway.Invalid, Code: "invalid_filter",
		Message: "Events need a key id, a custom id or a user id to be searched by."}
}

// search runs one query and keeps what the filter selects. read counts for all
// queries of the filter.
func (s *Store) search(ctx context.Context, in *dynamodb.QueryInput, f *gateway.EventFilter, read *atomic.Int64) ([]gateway.Event, error) {
	var events []gateway.Event
	now := s.now()
	err := s.query(ctx, in, func(it item) error {
		if n := read.Add(1); f.Most > 0 && n > int64(f.Most) {
			return gateway.ErrTooManyEvents
		}
		if expired(it, now) {
			return nil
		}
		e, err := decode[gateway.Event](it)
		if err == nil && selects(f, &e) {
			events = append(events, e)
		}
		return err
	})
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
func (s *Store) indexQuery(index, attribute, id string, f gateway.EventFilter) *dynamodb.QueryInput {
	in := s.between(attribute, indexable(id), f.From, f.To)
	in.IndexName = &index
	return in
}

// keyQueries asks for each key and each day.
func (s *Store) keyQueries(ctx context.Context, f gateway.EventFilter) ([]*dynamodb.QueryInput, error) {
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
	var queries []*dynamodb.QueryInput
	consistent := true
	for i, key := range keys {
		for d := starts[i].UTC().Truncate(day); d.Before(to); d = d.Add(day) {
			in := s.between(attrPK, pkEvents(key, d), starts[i], to)
			in.ConsistentRead = &consistent
			queries = append(queries, in)
		}
	}
	return queries, nil
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

// bounds closes an open search and bounds a long one.
func (s *Store) bounds(from, to time.Time) (time.Time, time.Time) {
	most := span
	if s.retention > 0 {
		most = s.retention
	}
	end := to
	if to.IsZero() {
		end = s.now()
		to = end.Add(ahead)
	}
	if from.IsZero() || end.Sub(from) > most {
		from = end.Add(-most)
	}
	return from, to
}

// between asks for the items of one hash value from one time until another. The
// upper bound is rounded up to the next millisecond; selects is exact.
func (s *Store) between(attribute, value string, from, to time.Time) *dynamodb.QueryInput {
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
	return &dynamodb.QueryInput{
		TableName:                 &s.usage,
		KeyConditionExpression:    &condition,
		ExpressionAttributeNames:  x.names,
		ExpressionAttributeValues: x.values,
	}
}
