package dynamo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/internal/gateway"
	"tollgate/internal/rollup"
)

// The stream delivers an event at least once, so each event that is counted leaves
// a marker, written in the same transaction as the sums that it went into:
//
//	pk    F#<pk of the event>
//	sk    <sk of the event>, and #<n> for the n-th part of an event of many tags
//	ttl   markerLife after it was written
//
// An event that comes again finds its marker, the transaction does not happen, and
// is tried without it. A transaction has room for a hundred items, so events of the
// same keys and hours share the writes to their sums: an event costs its marker, 2
// write units, and its part of about ten sums, 2 units each.
//
// markerLife is longer than the stream keeps anything (a day) and than a repair
// looks back (rollup.Recent).
const markerLife = rollup.Recent + 2*day

// foldWithin is how long one transaction of a fold is tried. Folds of several
// shards meet in the sums of all events, and nobody waits for them.
const foldWithin = 25 * time.Second

// partSums is how many sums one part of an event may touch.
const partSums = most / 2

// portion is what one marker stands for: an event, or a part of one.
type portion struct {
	event  string // id
	marker item
	places []rollup.Place
	sums   rollup.Sums
}

// portions splits events whose sums do not fit into one transaction.
func (s *Store) portions(events []gateway.Event) []portion {
	var list []portion
	seen := make(map[string]bool, len(events))
	ttl := num(ttlAfter(s.now().Add(markerLife)))
	for i := range events {
		e := &events[i]
		pk, sk := "F#"+pkEvents(e.KeyID, e.At), skEvent(e.At, e.ReservationID)
		if seen[pk+sk] {
			continue
		}
		seen[pk+sk] = true
		n := 0
		for places := range slices.Chunk(rollup.Places(e), partSums) {
			name := sk
			if n > 0 {
				name = fmt.Sprintf("%s#%d", sk, n)
			}
			marker := address(pk, name)
			marker[attrTTL] = ttl
			list = append(list, portion{e.ID, marker, places, rollup.Of(e)})
			n++
		}
	}
	return list
}

// Fold implements rollup.Store.
func (s *Store) Fold(ctx context.Context, events []gateway.Event) (int, error) {
	if err := s.rememberIDs(ctx, events); err != nil {
		return 0, err
	}
	waiting := s.portions(events)
	// Neighbours share sums.
	slices.SortStableFunc(waiting, func(a, b portion) int {
		return strings.Compare(text(a.marker, attrPK)+text(a.marker, attrSK), text(b.marker, attrPK)+text(b.marker, attrSK))
	})
	folded := 0
	var rejected rollup.Rejected
	for len(waiting) > 0 {
		var chunk []portion
		chunk, waiting = fill(waiting)
		n, err := s.foldApart(ctx, chunk, &rejected)
		folded += n
		if err != nil {
			return folded, err
		}
	}
	if rejected.Err != nil {
		return folded, &rejected
	}
	return folded, nil
}

// foldApart folds a chunk, or where DynamoDB will not take it as a whole, its halves:
// one event that does not fit must not keep others from being counted.
func (s *Store) foldApart(ctx context.Context, chunk []portion, rejected *rollup.Rejected) (folded int, err error) {
	folded, err = s.foldChunk(ctx, chunk)
	switch {
	case !invalid(err):
		return folded, err
	case len(chunk) == 1:
		rejected.EventIDs, rejected.Err = append(rejected.EventIDs, chunk[0].event), err
		return 0, nil
	}
	half := len(chunk) / 2
	for _, part := range [][]portion{chunk[:half], chunk[half:]} {
		n, err := s.foldApart(ctx, part, rejected)
		folded += n
		if err != nil {
			return folded, err
		}
	}
	return folded, nil
}

// mostBytes is how much of names one transaction of a fold holds at most: well below
// the 4 MB that it may have, for JSON makes some of them longer.
const mostBytes = 1 << 20

// fill takes as many portions as fit into a transaction.
func fill(waiting []portion) (chunk, rest []portion) {
	places := make(map[rollup.Place]bool)
	size := 0
	for i, p := range waiting {
		for _, place := range p.places {
			if !places[place] {
				places[place] = true
				size += bytesOf(&place)
			}
		}
		if i > 0 && (i+1+len(places) > most || size > mostBytes) {
			return waiting[:i], waiting[i:]
		}
	}
	return waiting, nil
}

func bytesOf(p *rollup.Place) int {
	g := &p.Group
	return len(p.Value) + len(g.Provider) + len(g.Model) + len(g.Endpoint) + len(g.KeyID) + len(g.UserID) + len(g.Tags)
}

// foldChunk counts those of the chunk that were not, and returns how many events
// that are; further parts of an event are not counted again.
func (s *Store) foldChunk(ctx context.Context, chunk []portion) (folded int, err error) {
	err = againWithin(ctx, foldWithin, func(ctx context.Context) error {
		if len(chunk) == 0 {
			return nil
		}
		_, err := s.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: s.foldWrites(chunk)})
		if err == nil {
			folded = len(chunk)
			return nil
		}
		var canceled *types.TransactionCanceledException
		if errors.As(err, &canceled) {
			chunk = unmarked(chunk, canceled.CancellationReasons)
		}
		return transactionError(err)
	})
	for _, p := range chunk {
		if strings.Count(text(p.marker, attrSK), "#") > 1 && folded > 0 {
			folded--
		}
	}
	return folded, err
}

// unmarked leaves out those whose marker was there.
func unmarked(chunk []portion, reasons []types.CancellationReason) []portion {
	var left []portion
	for i, p := range chunk {
		if i < len(reasons) && reasons[i].Code != nil && *reasons[i].Code == "ConditionalCheckFailed" {
			continue
		}
		left = append(left, p)
	}
	return left
}

// foldWrites is the markers of the chunk, in its order, then its sums.
func (s *Store) foldWrites(chunk []portion) []types.TransactWriteItem {
	condition := "attribute_not_exists(pk)"
	table := make(rollup.Table)
	var writes []types.TransactWriteItem
	for i := range chunk {
		p := &chunk[i]
		writes = append(writes, types.TransactWriteItem{Put: &types.Put{
			TableName: &s.usage, Item: p.marker, ConditionExpression: &condition,
		}})
		for _, place := range p.places {
			table.At(place).Add(&p.sums)
		}
	}
	for place, sums := range table {
		if !sums.IsZero() {
			writes = append(writes, types.TransactWriteItem{Update: s.addSums(place, sums)})
		}
	}
	return writes
}

// The ids that events of a key have had are items of their own:
//
//	pk    I#<key id>#user, or #custom
//	sk    the id, or a hash of one that is too long
//	id    the id
//	ttl   as that of the event
const (
	idsOfUsers   = "#user"
	idsOfCustoms = "#custom"
	attrID       = "id"
)

// known remembers ids that were written before, so that the same user does not
// cost a write every time.
type known struct {
	mu  sync.Mutex
	ids map[string]time.Time // to the time at which it is written again
}

const knownMost = 10_000

// news reports whether the id has to be written.
func (k *known) news(key string, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !now.Before(k.ids[key])
}

func (k *known) add(key string, until time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ids == nil || len(k.ids) >= knownMost {
		k.ids = make(map[string]time.Time)
	}
	k.ids[key] = until
}

// rememberIDs writes the ids of the events. Writing one twice changes nothing.
func (s *Store) rememberIDs(ctx context.Context, events []gateway.Event) error {
	now := s.now()
	items := make(map[string]item)
	add := func(e *gateway.Event, kind, id string) {
		if id == "" {
			return
		}
		it := address("I#"+e.KeyID+kind, indexable(id))
		it[attrID] = str(valid(id))
		if s.retention > 0 {
			it[attrTTL] = num(ttlAfter(e.At.Add(s.retention + 2*day)))
		}
		if name := e.KeyID + kind + "\x00" + id; s.known.news(name, now) {
			items[name] = it
		}
	}
	for i := range events {
		add(&events[i], idsOfUsers, events[i].UserID)
		add(&events[i], idsOfCustoms, events[i].CustomID)
	}
	var names []string
	for name := range items {
		names = append(names, name)
	}
	err := each(ctx, len(names), func(ctx context.Context, i int) error {
		_, err := s.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &s.usage, Item: items[names[i]]})
		return err
	})
	if err != nil {
		return err
	}
	for _, name := range names {
		s.known.add(name, now.Add(day))
	}
	return nil
}

// UserIDs implements rollup.Store.
func (s *Store) UserIDs(ctx context.Context, keyID string) ([]string, error) {
	return s.ids(ctx, "I#"+keyID+idsOfUsers)
}

// CustomIDs implements rollup.Store.
func (s *Store) CustomIDs(ctx context.Context, keyID string) ([]string, error) {
	return s.ids(ctx, "I#"+keyID+idsOfCustoms)
}

func (s *Store) ids(ctx context.Context, pk string) (ids []string, err error) {
	now := s.now()
	x := newExpression()
	condition := x.name(attrPK) + " = " + x.value(str(pk))
	err = s.query(ctx, &dynamodb.QueryInput{
		TableName: &s.usage, KeyConditionExpression: &condition,
		ExpressionAttributeNames: x.names, ExpressionAttributeValues: x.values,
	}, func(it item) error {
		if !expired(it, now) {
			ids = append(ids, text(it, attrID))
		}
		return nil
	})
	slices.Sort(ids)
	return ids, err
}
