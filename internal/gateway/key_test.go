package gateway_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/internal/gateway"
)

func TestAllLimits(t *testing.T) {
	for _, tt := range []struct {
		name string
		key  gateway.Key
		want []gateway.Limit
		cost bool
	}{
		{"none", gateway.Key{}, []gateway.Limit{}, false},
		{"the peer's", gateway.Key{RateLimitOver: 5, RateLimitUnit: "m", CostLimitOver: 7, CostLimitUnit: "d", CostLimit: 9},
			[]gateway.Limit{{Measure: "requests", Per: "m", Max: 5}, {Measure: "cost", Per: "d", Max: 7}, {Measure: "cost", Per: "lifetime", Max: 9}}, true},
		{"others", gateway.Key{Limits: []gateway.Limit{{Measure: "tokens", Per: "h", Max: 1}, {Measure: "concurrency", Max: 2}}},
			[]gateway.Limit{{Measure: "tokens", Per: "h", Max: 1}, {Measure: "concurrency", Max: 2}}, false},
		{"same window, lower wins", gateway.Key{RateLimitOver: 5, RateLimitUnit: "m", Limits: []gateway.Limit{{Measure: "requests", Per: "m", Max: 3}, {Measure: "requests", Per: "h", Max: 9}}},
			[]gateway.Limit{{Measure: "requests", Per: "m", Max: 3}, {Measure: "requests", Per: "h", Max: 9}}, false},
		{"same window, higher does not", gateway.Key{CostLimit: 5, Limits: []gateway.Limit{{Measure: "cost", Per: "lifetime", Max: 8}}},
			[]gateway.Limit{{Measure: "cost", Per: "lifetime", Max: 5}}, true},
		{"cost in a list only", gateway.Key{Limits: []gateway.Limit{{Measure: "cost", Per: "mo", Max: 8}}},
			[]gateway.Limit{{Measure: "cost", Per: "mo", Max: 8}}, true},
		{"a cap of zero is a cap", gateway.Key{Limits: []gateway.Limit{{Measure: "requests", Per: "d", Max: 0}}},
			[]gateway.Limit{{Measure: "requests", Per: "d", Max: 0}}, false},
	} {
		if diff := cmp.Diff(tt.want, tt.key.AllLimits()); diff != "" || tt.key.HasCostLimit() != tt.cost {
			t.Errorf("%s: cost limit %v, (-want +got)\n%s", tt.name, tt.key.HasCostLimit(), diff)
		}
	}
}

func TestKeySettings(t *testing.T) {
	k := gateway.Key{SettingID: "a", SettingIDs: []string{"b", "a", "c"}}
	if got := k.AllSettingIDs(); !slices.Equal(got, []string{"a", "b", "c"}) || !k.UsesSetting("c") || k.UsesSetting("d") || k.UsesSetting("") {
		t.Errorf("settings are %v", got)
	}
	if got := (&gateway.Key{}).AllSettingIDs(); len(got) != 0 {
		t.Errorf("settings of none are %v", got)
	}
}

func TestKeyRules(t *testing.T) {
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	for at, want := range map[time.Time]bool{{}: false, now: true, now.Add(-1): true, now.Add(1): false} {
		if k := (gateway.Key{ExpiresAt: at}); k.Expired(now) != want {
			t.Errorf("a key that expires at %s: %v", at, !want)
		}
	}
	for _, tt := range []struct {
		rule  gateway.UnknownModel
		limit gateway.NanoUSD
		want  bool
	}{{"", 0, false}, {"", 1, true}, {"deny", 0, true}, {"deny", 1, true}, {"allow", 0, false}, {"allow", 1, false}} {
		if k := (gateway.Key{UnknownModel: tt.rule, CostLimit: tt.limit}); k.DeniesUnknownModel() != tt.want {
			t.Errorf("rule %q with cost limit %d denies: %v", tt.rule, tt.limit, !tt.want)
		}
	}
	s := gateway.Setting{AllowedModels: []string{"a", "b"}}
	for model, want := range map[string]bool{"a": true, "b": true, "A": false, "": false, "ab": false} {
		if s.AllowsModel(model) != want {
			t.Errorf("model %q is allowed: %v", model, !want)
		}
	}
	if all := (gateway.Setting{}); !all.AllowsModel("") || !all.AllowsModel("x") {
		t.Error("a setting without a list allows every model")
	}
}

func TestEventUsage(t *testing.T) {
	var u gateway.Usage
	for c := range u.Counts {
		u.Counts[c] = int64(c) + 1
	}
	u.Reasoning = 3
	var e gateway.Event
	e.SetUsage(u)
	if len(e.Usage) != int(gateway.NumClasses) || e.GetUsage() != u {
		t.Errorf("%v becomes %v", u, e.GetUsage())
	}
	if u.PromptTokens() != 1+2+3+4+6+7+9+10+11 || u.CompletionTokens() != 5+8+12 || u.IsZero() {
		t.Errorf("%d tokens in, %d out", u.PromptTokens(), u.CompletionTokens())
	}
	e.SetUsage(gateway.Usage{})
	if e.Usage != nil || e.Reasoning != 0 || e.GetUsage() != (gateway.Usage{}) {
		t.Errorf("nothing becomes %v", e.Usage)
	}
	seen := map[string]bool{}
	for c := range gateway.NumClasses {
		if name := c.String(); name == "" || seen[name] {
			t.Errorf("class %d has the name %q", c, name)
		} else {
			seen[name] = true
		}
	}
}

func TestErrors(t *testing.T) {
	cause := errors.New("cause")
	err := fmt.Errorf("outer: %w", &gateway.Error{Kind: gateway.Timeout, Message: "Too slow.", Err: cause})
	if gateway.KindOf(err) != gateway.Timeout || !errors.Is(err, cause) || err.Error() != "outer: Too slow.: cause" {
		t.Errorf("%v of kind %d", err, gateway.KindOf(err))
	}
	if gateway.KindOf(cause) != gateway.Internal || gateway.KindOf(nil) != gateway.Internal {
		t.Error("what has no kind is our fault")
	}
}
