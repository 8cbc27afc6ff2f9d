package dynamo

import (
	"math"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
)

func TestParseCounters(t *testing.T) {
	r := limit.Reservation{
		ID: "abcdEFG-", At: time.UnixMilli(1_800_000_000_123).UTC(), Expires: time.UnixMilli(1_800_000_900_123).UTC(),
		Tokens: 1 << 40, Cost: 1<<53 + 1,
		Limits: []gateway.Limit{{Measure: gateway.Cost, Per: gateway.Day}},
	}
	binary := func(b []byte) types.AttributeValue { return &types.AttributeValueMemberB{Value: b} }
	for _, tt := range []struct {
		name string
		it   item
		want limit.Counters
	}{
		{"beyond what a float holds",
			item{"v": num(1<<53 + 1), "c:l": num(1<<53 + 3), "n": num(-1)},
			limit.Counters{Version: 1<<53 + 1, Values: map[string]int64{"c:l": 1<<53 + 3, "n": -1}}},
		{"beyond an int64",
			item{"c:l": &types.AttributeValueMemberN{Value: "99999999999999999999"}},
			limit.Counters{Values: map[string]int64{"c:l": math.MaxInt64}}},
		{"an open reservation",
			item{"pk": str("K#x"), "sk": str("COUNTERS"), r.ID: binary(r.Encode())},
			limit.Counters{Values: map[string]int64{}, Open: map[string]limit.Reservation{r.ID: r}}},
		{"attributes of a later version",
			item{"later": str("x"), "marker00": binary([]byte{2, 1})},
			limit.Counters{Values: map[string]int64{}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.want.Open == nil {
				tt.want.Open = map[string]limit.Reservation{}
			}
			got, err := parseCounters(tt.it)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
	_, err := parseCounters(item{"c:l": &types.AttributeValueMemberN{Value: "1.5"}})
	if gateway.KindOf(err) != gateway.Internal {
		t.Errorf("a fraction: error %v, want one of kind Internal", err)
	}
}

// FuzzParseCounters looks for panics, and for a reservation that differs from
// what is stored.
func FuzzParseCounters(f *testing.F) {
	r := limit.Reservation{ID: "abcdefgh", At: time.UnixMilli(1), Expires: time.UnixMilli(5000)}
	f.Add("c:l", "12", "abcdefgh", r.Encode())
	f.Add("v", "-1", "x", []byte{})
	f.Add("n", "1E+2", "", []byte("0123456789abcdef"))
	f.Fuzz(func(t *testing.T, name, number, marker string, value []byte) {
		c, err := parseCounters(item{
			name:   &types.AttributeValueMemberN{Value: number},
			marker: &types.AttributeValueMemberB{Value: value},
		})
		if err != nil {
			return
		}
		if got, ok := c.Open[marker]; ok {
			again, err := limit.DecodeReservation(marker, value)
			if err != nil || !cmp.Equal(got, again) {
				t.Errorf("%q: %v, want %v (%v)", value, got, again, err)
			}
		}
	})
}

// An amount above the cap is refused even if its counter is not there yet.
func TestFits(t *testing.T) {
	for _, tt := range []struct {
		amount, cap int64
		want, bound string
	}{
		{3, 10, "(attribute_not_exists(#0) OR #0 <= :0)", "7"},
		{10, 10, "(attribute_not_exists(#0) OR #0 <= :0)", "0"},
		{11, 10, "#0 <= :0", "-1"},
		{0, 0, "(attribute_not_exists(#0) OR #0 <= :0)", "0"},
	} {
		x := newExpression()
		got := fits(x, limit.Charge{Counter: "t:d:1", Amount: tt.amount, Cap: tt.cap})
		bound := x.values[":0"].(*types.AttributeValueMemberN).Value
		if got != tt.want || bound != tt.bound {
			t.Errorf("%d of %d: %s with %s, want %s with %s", tt.amount, tt.cap, got, bound, tt.want, tt.bound)
		}
	}
}

func TestNextVersion(t *testing.T) {
	at := time.UnixMicro(1000)
	s := New(nil, Options{Now: func() time.Time { return at }})
	for _, tt := range []struct{ old, want int64 }{
		{0, 1000}, {0, 1001}, {5, 1002}, {5000, 5001}, {0, 5002},
	} {
		if got := s.nextVersion(tt.old); got != tt.want {
			t.Errorf("after %d: %d, want %d", tt.old, got, tt.want)
		}
	}
}
