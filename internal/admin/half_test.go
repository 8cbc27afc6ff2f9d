package admin_test

import (
	"context"
	"slices"
	"testing"

	"tollgate/internal/admin"
	"tollgate/internal/gateway"
	"tollgate/internal/record"
)

// faulty is a store some of whose writes fail.
type faulty struct {
	admin.Store
	updates   []string // ids of records and settings that cannot be changed
	keys      bool     // nor can any key
	deletions bool     // nor can records be deleted
}

var errFaulty = &gateway.Error{Kind: gateway.Unavailable, Message: "it broke"}

func (f *faulty) UpdateRecord(ctx context.Context, kind record.Kind, id string, change func(*record.Record) error) (record.Record, error) {
	if slices.Contains(f.updates, id) {
		return record.Record{}, errFaulty
	}
	return f.Store.UpdateRecord(ctx, kind, id, change)
}

func (f *faulty) DeleteRecord(ctx context.Context, kind record.Kind, id string) error {
	if f.deletions {
		return errFaulty
	}
	return f.Store.DeleteRecord(ctx, kind, id)
}

func (f *faulty) UpdateKey(ctx context.Context, id string, change func(*gateway.Key) error) (gateway.Key, error) {
	if f.keys {
		return gateway.Key{}, errFaulty
	}
	return f.Store.UpdateKey(ctx, id, change)
}

// UpdateSetting writes the setting and then fails, as if for its keys.
func (f *faulty) UpdateSetting(ctx context.Context, id string, change func(*gateway.Setting) error) (gateway.Setting, error) {
	s, err := f.Store.UpdateSetting(ctx, id, change)
	if err == nil && slices.Contains(f.updates, id) {
		err = errFaulty
	}
	return s, err
}

func newFaultyRig(t *testing.T) (*rig, *faulty) {
	var f *faulty
	r := newRigWith(t, func(c *admin.Config) {
		f = &faulty{Store: c.Store}
		c.Store = f
	})
	return r, f
}

// audited is how many entries of a kind there are.
func (r *rig) audited(kind string) int {
	r.t.Helper()
	return len(r.ok("GET", "/api/audit?kind="+kind, "")["entries"].([]any))
}

// AG-25: a write whose next step fails stands, so it is in the audit.
func TestAuditOfHalfAWrite(t *testing.T) {
	r, f := newFaultyRig(t)
	setting := r.setting()
	key := r.key(`"tags":["team"]`)["keyId"].(string)
	bot := r.custom("bot", routeConfig("/a", ""))["id"].(string)
	botSetting := r.ok("PUT", S, `{"provider":"bot","setting":{"apikey":"k"}}`)["id"].(string)
	one := r.user(`"userId":"u","tags":["a"]`)["id"].(string)
	two := r.user(`"userId":"u","tags":["b"]`)["id"].(string)
	f.keys, f.updates = true, []string{setting, botSetting, two}
	for _, tt := range []struct{ kind, method, path, body string }{
		{"setting", "PATCH", S + "/" + setting, `{"name":"new"}`},
		{"tag", "PUT", TG + "team", `{"limits":[{"measure":"cost","per":"mo","max":5}]}`},
		{"tag", "PUT", TG + "team", `{"limits":[{"measure":"cost","per":"mo","max":6}]}`},
		{"tag", "DELETE", TG + "team", ""},
		{"provider", "PATCH", CP + "/" + bot, `{"route_configs":[` + routeConfig("/b", "") + `]}`},
		{"user", "PATCH", US + "/" + one, `{"name":"new"}`},
	} {
		before := r.audited(tt.kind)
		r.refused(503, "it broke", tt.method, tt.path, tt.body)
		if n := r.audited(tt.kind) - before; n != 1 {
			t.Errorf("AG-25 %s %s: %d entries", tt.method, tt.path, n)
		}
	}
	before := r.audited("user")
	r.refused(503, "it broke", "PATCH", US+"/"+two, `{"name":"new"}`)
	r.refused(503, "it broke", "PATCH", K+"/"+key, `{"name":"new"}`)
	if r.audited("user") != before || r.audited("key") != 1 {
		t.Error("AG-25: what was not written is in the audit")
	}
}

// Half of a create does not stand: the same request once more succeeds.
func TestUserCreatedByHalf(t *testing.T) {
	r, f := newFaultyRig(t)
	first := r.user(`"userId":"u","tags":["a"]`)["id"].(string)
	second := `{"name":"n","userId":"u","tags":["b"]}`
	f.updates = []string{first}
	for range 2 {
		r.refused(503, "it broke", "POST", US, second)
		if w := r.call("POST", US, second, "Idempotency-Key: k"); w.Code != 503 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	if n := len(r.list(US + "?userIds=u")); n != 1 || r.audited("user") != 1 {
		t.Errorf("%d users, %d entries, want the first only", n, r.audited("user"))
	}
	f.deletions = true
	r.refused(503, "it broke", "POST", US, `{"name":"n","userId":"u","tags":["c"]}`)
	if n := len(r.list(US + "?userIds=u")); n != 2 || r.audited("user") != 2 {
		t.Errorf("%d users, %d entries, want that which could not be taken back too", n, r.audited("user"))
	}
	*f = faulty{Store: f.Store}
	if w := r.call("POST", US, second, "Idempotency-Key: k"); w.Code != 200 {
		t.Errorf("at last: %d %s", w.Code, w.Body)
	}
}
