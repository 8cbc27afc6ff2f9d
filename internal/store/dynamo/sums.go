package dynamo

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/internal/gateway"
	"tollgate/internal/rollup"
)

var _ rollup.Store = (*Store)(nil)

// A sum is an item of the usage table:
//
//	pk     T#<dimension>#<value>#<unit>
//	sk     <start, unix seconds, 11 digits>#<hash of the group>
//	g      the group as JSON
//	n ok c t l f fn e   the numbers of rollup.Sums, by their names there
//	u:<class>           usage
//	h:<bucket>          latencies
//	ttl    of hours only: sumLife after the hour
//
// All numbers are added to, so writers need not read.
const (
	attrSumGroup = "g"
	usagePrefix  = "u:"
	latency      = "h:"
)

// sumLife is how long the sums of hours are kept. Those of days stay.
const sumLife = 400 * day

func pkSums(d rollup.Dimension, value string, u rollup.Unit) string {
	return "T#" + string(d) + "#" + indexable(value) + "#" + string(u)
}

func skSum(start int64) string { return fmt.Sprintf("%011d", max(start, 0)) }

// addSums is the write that adds to one sum.
func (s *Store) addSums(p rollup.Place, sums *rollup.Sums) *types.Update {
	group, _ := json.Marshal(p.Group) // strings and a number always marshal
	hash := sha256.Sum256(group)
	x := newExpression()
	set := x.name(attrSumGroup) + " = " + x.value(str(string(group)))
	if p.Unit == rollup.Hour {
		set += ", " + x.name(attrTTL) + " = " + x.number(p.Start+int64(sumLife.Seconds()))
	}
	var adds []string
	for name, n := range flatten(sums) {
		if n != 0 {
			adds = append(adds, x.name(name)+" "+x.number(n))
		}
	}
	update := "SET " + set + " ADD " + strings.Join(adds, ", ")
	return &types.Update{
		TableName:                 &s.usage,
		Key:                       address(pkSums(p.Dimension, p.Value, p.Unit), skSum(p.Start)+"#"+base64.RawURLEncoding.EncodeToString(hash[:12])),
		UpdateExpression:          &update,
		ExpressionAttributeNames:  x.names,
		ExpressionAttributeValues: x.values,
	}
}

// flatten gives each number of the sums the name of its attribute.
func flatten(s *rollup.Sums) map[string]int64 {
	flat := map[string]int64{
		"n": s.Requests, "ok": s.Successes, "c": int64(s.Cost), "t": s.Tokens,
		"l": s.LatencyMS, "f": s.FirstMS, "fn": s.Firsts, "e": s.Estimated,
	}
	for class, n := range s.Usage {
		flat[usagePrefix+class] = n
	}
	for bucket, n := range s.Latency {
		flat[latency+strconv.Itoa(bucket)] = n
	}
	return flat
}

// parseSums is the inverse of flatten. Zeros, which subtractions leave, are nothing.
func parseSums(it item) (s rollup.Sums, err error) {
	plain := map[string]*int64{
		"n": &s.Requests, "ok": &s.Successes, "c": (*int64)(&s.Cost), "t": &s.Tokens,
		"l": &s.LatencyMS, "f": &s.FirstMS, "fn": &s.Firsts, "e": &s.Estimated,
	}
	for name := range it {
		if _, is := it[name].(*types.AttributeValueMemberN); !is || name == attrTTL {
			continue
		}
		n, err := number(it, name)
		if err != nil {
			return s, broken(fmt.Errorf("sum %q: %w", name, err))
		}
		if to := plain[name]; to != nil {
			*to = n
		} else if n != 0 {
			s.Add(one(name, n))
		}
	}
	return s, nil
}

// one is the sums with one number of a map.
func one(name string, n int64) *rollup.Sums {
	if class, ok := strings.CutPrefix(name, usagePrefix); ok {
		return &rollup.Sums{Usage: map[string]int64{class: n}}
	}
	if text, ok := strings.CutPrefix(name, latency); ok {
		if bucket, err := strconv.Atoi(text); err == nil {
			return &rollup.Sums{Latency: rollup.Histogram{bucket: n}}
		}
	}
	return &rollup.Sums{} // of a newer version of this program
}

// Sums implements rollup.Store.
func (s *Store) Sums(ctx context.Context, q rollup.Query, f func(*rollup.Cell) error) error {
	if q.To <= q.From {
		return nil
	}
	x := newExpression()
	condition := x.name(attrPK) + " = " + x.value(str(pkSums(q.Dimension, q.Value, q.Unit))) +
		" AND " + x.name(attrSK) + " BETWEEN " + x.value(str(skSum(q.From))) + " AND " + x.value(str(skSum(q.To)))
	consistent := true
	return s.query(ctx, &dynamodb.QueryInput{
		TableName: &s.usage, KeyConditionExpression: &condition, ConsistentRead: &consistent,
		ExpressionAttributeNames: x.names, ExpressionAttributeValues: x.values,
	}, func(it item) error {
		cell, err := parseCell(q, it)
		if err != nil || cell.Sums.IsZero() {
			return err
		}
		return f(cell)
	})
}

func parseCell(q rollup.Query, it item) (*rollup.Cell, error) {
	sums, err := parseSums(it)
	if err != nil {
		return nil, err
	}
	cell := &rollup.Cell{Place: rollup.Place{Dimension: q.Dimension, Value: q.Value, Unit: q.Unit}, Sums: sums}
	if err := json.Unmarshal([]byte(text(it, attrSumGroup)), &cell.Group); err != nil {
		return nil, broken(fmt.Errorf("sum %q %q: %w", text(it, attrPK), text(it, attrSK), err))
	}
	start, _, _ := strings.Cut(text(it, attrSK), "#")
	if cell.Start, err = strconv.ParseInt(start, 10, 64); err != nil {
		return nil, broken(fmt.Errorf("sum %q %q: %w", text(it, attrPK), text(it, attrSK), err))
	}
	return cell, nil
}

// Correct implements rollup.Store, a transaction for every hundred cells.
func (s *Store) Correct(ctx context.Context, cells []rollup.Cell) error {
	for chunk := range slices.Chunk(cells, most) {
		var writes []types.TransactWriteItem
		for i := range chunk {
			if !chunk[i].Sums.IsZero() {
				writes = append(writes, types.TransactWriteItem{Update: s.addSums(chunk[i].Place, &chunk[i].Sums)})
			}
		}
		if len(writes) == 0 {
			continue
		}
		if err := again(ctx, func(ctx context.Context) error { return s.transact(ctx, writes) }); err != nil {
			return err
		}
	}
	return nil
}

// EventOfImage is the event in an item of the usage table as the stream has it:
// its member doc. ok is false for items that are no events.
func EventOfImage(pk, doc string) (e gateway.Event, ok bool, err error) {
	if !strings.HasPrefix(pk, "E#") {
		return e, false, nil
	}
	if err := json.Unmarshal([]byte(doc), &e); err != nil {
		return e, true, fmt.Errorf("event %q: %w", pk, err)
	}
	return e, true, nil
}
