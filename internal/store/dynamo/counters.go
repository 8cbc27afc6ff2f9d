package dynamo

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
)

// The counter item of a key, or of a record with a subject. A write costs its size, so it is kept small:
//
//	v               version of the configuration that it belongs to
//	n               calls in flight
//	c:l             lifetime cost; other counters likewise, by limit.CounterName
//	<8 characters>  an open reservation by its id: the only binary attributes
const (
	skCounters = "COUNTERS"
	attrV      = "v"
)

func pkKey(hash string) string { return "K#" + hash }

// Counters is the raw state of a key's counter item; gateway.ErrNotFound if there
// is none.
func (s *Store) Counters(ctx context.Context, keyHash string) (limit.Counters, error) {
	it, err := s.get(ctx, s.gateway, pkCounters(keyHash), skCounters)
	if err != nil {
		return limit.Counters{}, err
	}
	if len(it) == 0 {
		return limit.Counters{}, gateway.ErrNotFound
	}
	return parseCounters(it)
}

// parseCounters reads a counter item. A marker that cannot be decoded was written
// by a newer version of this program, which will also close it: it is passed over.
func parseCounters(it item) (limit.Counters, error) {
	c := limit.Counters{
		Values: make(map[string]int64, len(it)),
		Open:   make(map[string]limit.Reservation, len(it)),
	}
	for name, v := range it {
		if name == attrPK || name == attrSK {
			continue
		}
		switch v := v.(type) {
		case *types.AttributeValueMemberB:
			if r, err := limit.DecodeReservation(name, v.Value); err == nil {
				c.Open[name] = r
			}
		case *types.AttributeValueMemberN:
			n, err := parseNumber(v.Value)
			if err != nil {
				return c, broken(fmt.Errorf("counter %q: %w", name, err))
			}
			if name == attrV {
				c.Version = n
			} else {
				c.Values[name] = n
			}
		}
	}
	return c, nil
}

// pkCounters is the partition of a counter item: a subject names it itself, a key
// is named by its hash, which is hexadecimal.
func pkCounters(name string) string {
	if strings.Contains(name, "#") {
		return name
	}
	return pkKey(name)
}
