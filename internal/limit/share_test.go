package limit_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
)

const keyID = "3f2a9c10-7b64-4d1e-8a55-0c9f6e2b7d13"

var (
	perMinute = gateway.Limit{Measure: "requests", Per: "m", Max: 5}
	money     = gateway.Limit{Measure: "cost", Per: "lifetime", Max: 10_000_000}
	flight    = gateway.Limit{Measure: "concurrency", Max: 2}
)

// sharedClaim is a claim of a user and a tag.
func sharedClaim() *limit.Claim {
	c := claim(perMinute)
	c.Key, c.KeyID = "abc", keyID
	c.Also = []limit.Share{
		{Subject: "U#1", Version: 8, Limits: []gateway.Limit{money}},
		{Subject: "T#team", Version: 9, Limits: []gateway.Limit{flight}},
	}
	return c
}

func TestParts(t *testing.T) {
	type part struct {
		key     string
		version int64
		charges []limit.Charge
		keyID   string
	}
	var got []part
	for _, p := range sharedClaim().Parts() {
		if len(p.Also) != 0 || p.ID != "AAAAAAAA" || p.Reservation().Tokens != 1000 {
			t.Errorf("part %+v", p)
		}
		got = append(got, part{p.Key, p.Version, p.Charges(), p.Reservation().KeyID})
	}
	want := []part{
		{"abc", 7, []limit.Charge{{"q:m:29923820", 1, 5}, {"c:l", 2_000_000, limit.NoCap}, {"n", 1, limit.NoCap}}, ""},
		{"U#1", 8, []limit.Charge{{"c:l", 2_000_000, 10_000_000}, {"n", 1, limit.NoCap}}, keyID},
		{"T#team", 9, []limit.Charge{{"c:l", 2_000_000, limit.NoCap}, {"n", 1, 2}}, keyID},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(part{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestSettlementParts(t *testing.T) {
	c := sharedClaim()
	st := limit.Standing{Stale: []string{"a"}, Also: []limit.Standing{{Stale: []string{"b"}}, {}}}
	s := &limit.Settlement{Key: c.Key, Reservation: c.Reservation(), Also: c.Closings(st), Stale: st.Stale, Tokens: 5}
	var got []string
	for _, p := range s.Parts() {
		if p.Tokens != 5 || len(p.Also) != 0 {
			t.Errorf("part %+v", p)
		}
		got = append(got, p.Key+" "+p.Reservation.KeyID+" "+strings.Join(p.Stale, ","))
	}
	want := []string{"U#1 " + keyID + " b", "T#team " + keyID + " ", "abc  a"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the shares first, the key last (-want +got)\n%s", diff)
	}
	s.Key = ""
	if parts := s.Parts(); len(parts) != 2 || parts[1].Key != "T#team" {
		t.Errorf("without a key: %+v", parts)
	}
}

func TestJoin(t *testing.T) {
	standing := func(subject string, used int64) limit.Standing {
		return limit.Standing{Subject: subject, Limits: []limit.State{{Subject: subject, Used: used, Ask: 2}}, Spent: 2_000_005}
	}
	denied := func(subject string, l gateway.Limit, reset time.Time) error {
		s := limit.State{Subject: subject, Limit: l, Used: 5, Ask: 1, Reset: reset}
		return &limit.Denied{State: s, Standing: limit.Standing{Subject: subject, Limits: []limit.State{s}}}
	}
	minute := denied("", perMinute, at.Add(time.Minute))
	forever := denied("U#1", money, time.Time{})
	soon := denied("T#team", flight, time.Time{})
	for _, tt := range []struct {
		name  string
		errs  [3]error
		by    string
		stale error
		only  []string
	}{
		{"all pass", [3]error{}, "", nil, nil},
		{"the key denies", [3]error{minute, nil, nil}, "limit: requests per m: 5", nil, nil},
		{"the user denies", [3]error{nil, forever, nil}, "limit: cost per lifetime of U#1: 5", nil, nil},
		{"all deny: the lifetime has no end", [3]error{minute, forever, soon}, "limit: cost per lifetime of U#1: 5", nil, nil},
		{"calls in flight end soon", [3]error{minute, nil, soon}, "limit: requests per m: 5", nil, nil},
		{"the key is stale", [3]error{limit.ErrStale, forever, limit.ErrStale}, "", limit.ErrStale, nil},
		{"shares are stale", [3]error{minute, limit.ErrStale, limit.ErrStale}, "", limit.ErrStale, []string{"U#1", "T#team"}},
	} {
		standings := []limit.Standing{standing("", 4), standing("U#1", 6), standing("T#team", 8)}
		st, err := limit.Join(sharedClaim(), standings, tt.errs[:])
		var d *limit.Denied
		var only *limit.StaleShares
		switch {
		case tt.stale != nil:
			var got []string
			if errors.As(err, &only) {
				got = only.Subjects
			}
			if !errors.Is(err, tt.stale) || !limit.Refused(err) || !cmp.Equal(got, tt.only) {
				t.Errorf("%s: %v, want it stale, and %v", tt.name, err, tt.only)
			}
			continue
		case tt.by == "":
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
		default:
			if !errors.As(err, &d) || !strings.HasPrefix(err.Error(), tt.by) || !limit.Refused(err) {
				t.Errorf("%s: %v, want %s", tt.name, err, tt.by)
				continue
			}
			st = d.Standing
		}
		var subjects []string
		for _, s := range st.All() {
			subjects = append(subjects, s.Subject)
		}
		if diff := cmp.Diff([]string{"", "U#1", "T#team"}, subjects); diff != "" || len(st.Also) != 2 {
			t.Errorf("%s: standings (-want +got)\n%s", tt.name, diff)
		}
	}
	before := standing("", 4)
	if after := before.Without(sharedClaim()); after.Limits[0].Used != 2 || after.Spent != 5 || before.Limits[0].Used != 4 {
		t.Errorf("without the claim %+v, before %+v", after, before)
	}
	left := &limit.Unreleased{Refusal: minute, Cause: errors.New("no answer")}
	if !limit.Refused(left) || !strings.HasSuffix(left.Error(), "not released: no answer") {
		t.Errorf("%v is a refusal", left)
	}
}

// What was seen of one reservation on several counter items is closed at once.
func TestLapsed(t *testing.T) {
	own := limit.Reservation{ID: "A", At: at, Tokens: 3, Cost: 4}
	onShare := own
	onShare.KeyID = keyID
	foreign := limit.Reservation{ID: "A", At: at.Add(time.Second), Tokens: 5, Cost: 6, KeyID: "other"}
	st := limit.Standing{Expired: []limit.Reservation{own}, Also: []limit.Standing{
		{Subject: "U#1", Expired: []limit.Reservation{onShare}},
		{Subject: "T#team", Expired: []limit.Reservation{foreign, onShare}},
	}}
	if !st.AnyExpired() || (&limit.Standing{}).AnyExpired() {
		t.Error("AnyExpired")
	}
	got := st.Lapsed("abc", keyID)
	want := []*limit.Settlement{
		{Key: "abc", Reservation: own, Tokens: 3, Cost: 4, Also: []limit.Closing{{Subject: "U#1", Reservation: onShare}, {Subject: "T#team", Reservation: onShare}},
			Event: gateway.Event{ReservationID: "A", KeyID: keyID, At: at, Tokens: 3, Cost: 4, Basis: gateway.BasisReserved, Expired: true}},
		{Reservation: foreign, Tokens: 5, Cost: 6, Also: []limit.Closing{{Subject: "T#team", Reservation: foreign}},
			Event: gateway.Event{ReservationID: "A", KeyID: "other", At: at.Add(time.Second), Tokens: 5, Cost: 6, Basis: gateway.BasisReserved, Expired: true}},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestRelease(t *testing.T) {
	cl := claim(perMinute, gateway.Limit{Measure: "tokens", Per: "d", Max: 3000}, money, flight)
	c := &limit.Counters{Version: 7, Values: map[string]int64{"c:l": 5}}
	c.Apply(cl)
	if !c.Release(cl.Reservation(), at) || c.Release(cl.Reservation(), at) {
		t.Error("a reservation is released once")
	}
	want := map[string]int64{"q:m:29923820": 0, "t:d:20780": 0, "c:l": 5, "n": 0}
	if diff := cmp.Diff(want, c.Values); diff != "" || len(c.Open) != 0 {
		t.Errorf("%d open, (-want +got)\n%s", len(c.Open), diff)
	}
	r := cl.Reservation()
	late := r.Refunds(at.Add(time.Hour)) // the minute's counter may be gone
	if diff := cmp.Diff([]limit.Correction{{"t:d:20780", -1000}, {"c:l", -2_000_000}}, late); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// The key's id costs a shared marker 17 bytes if it is a uuid, and the key's own
// marker nothing.
func TestMarkerKeyID(t *testing.T) {
	plain := limit.Reservation{ID: "x", At: at, Expires: at, Tokens: 5}
	for _, tt := range []struct {
		id   string
		more int
	}{
		{"", 0}, {keyID, 17}, {strings.ToUpper(keyID), 37}, {strings.ReplaceAll(keyID, "-", ""), 33}, {"k1", 3}, {strings.Repeat("k", 16), 17}, {"--------", 9},
	} {
		r := plain
		r.KeyID = tt.id
		got, err := limit.DecodeReservation("x", r.Encode())
		if err != nil || got.KeyID != tt.id || got.Tokens != 5 {
			t.Errorf("%q becomes %q, %v", tt.id, got.KeyID, err)
		}
		if more := len(r.Encode()) - len(plain.Encode()); more != tt.more {
			t.Errorf("%q takes %d bytes, want %d", tt.id, more, tt.more)
		}
	}
	for _, rest := range [][]byte{{0}, {1}, {2}, {3, 'a'}, append([]byte{1}, make([]byte, 15)...), append([]byte{1}, make([]byte, 17)...)} {
		if _, err := limit.DecodeReservation("x", append(plain.Encode(), rest...)); err == nil {
			t.Errorf("a marker that ends in %x is read", rest)
		}
	}
}
