package e2e

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"tollgate/internal/limit"
)

// TestSDKs runs the same checks with every SDK against every way to run the gateway.
func TestSDKs(t *testing.T) {
	for _, way := range []struct {
		name  string
		start func(*testing.T) *running
	}{
		{"local", startLocal},
		{"lambda", func(t *testing.T) *running { return startLambda(t, shape{processes: 2}) }},
		{"lambda with 8 at a time", func(t *testing.T) *running { return startLambda(t, shape{maxConcurrency: 8}) }},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			up := newUpstream(t)
			g := way.start(t)
			all := g.admin.setting(t, up.url)
			one := g.admin.setting(t, up.url, dearModel)
			for _, client := range []struct {
				name string
				run  func(*testing.T, *running, *keys)
			}{{"go", runGoSDK}, {"node", runNode}, {"python", runPython}} {
				t.Run(client.name, func(t *testing.T) {
					k := newKeys(t, g.admin, all, one)
					client.run(t, g, k)
					k.checkBooks(t, g)
				})
			}
			g.checkHealth(t)
		})
	}
}

// keys are the keys that one SDK is tested with.
type keys struct {
	open   key // limits that are not reached
	far    key // one request a month
	near   key // one request a second
	quota  key // half a cent
	models key // may use dearModel only
}

// openCalls is how many calls the checks make with the open key.
const openCalls = 29

// quotaUSD pays for 233 tokens of dearModel's output, and some input.
const quotaUSD = 0.0025

func newKeys(t *testing.T, a *adminAPI, all, one string) *keys {
	return &keys{
		open: a.key(t, all, keyLimit{"cost", "lifetime", 100}, keyLimit{"requests", "m", 10_000},
			keyLimit{"tokens", "d", 1e9}, keyLimit{"concurrency", "", 50}),
		far:    a.key(t, all, keyLimit{"requests", "mo", 1}),
		near:   a.key(t, all, keyLimit{"requests", "s", 1}),
		quota:  a.key(t, all, keyLimit{"cost", "lifetime", quotaUSD}),
		models: a.key(t, one),
	}
}

// checkBooks looks at what was recorded of the checks: how often each SDK tried,
// and whether events, counters and what is reported agree.
func (k *keys) checkBooks(t *testing.T, g *running) {
	t.Helper()
	for _, c := range []struct {
		name     string
		key      key
		statuses string
	}{
		{"rate limit, far reset", k.far, "200 429"},
		{"model not allowed", k.models, "403"},
	} {
		// A second attempt would be an event of its own.
		list := g.admin.awaitEvents(t, c.key, strings.Count(c.statuses, " ")+1)
		if got := statuses(list); got != c.statuses {
			t.Errorf("%s: attempts with status %s, want %s", c.name, got, c.statuses)
		}
	}
	k.checkNear(t, g)
	k.checkQuota(t, g)
	k.checkOpen(t, g)
}

// checkQuota: the refusal for good comes once. Before it the SDK may be told to
// wait, while the first call is not settled and may still give money back.
func (k *keys) checkQuota(t *testing.T, g *running) {
	t.Helper()
	total := g.settled(t, k.quota, 2)
	if total > quotaUSD*1e9 || total < quotaUSD*1e9*9/10 {
		t.Errorf("the key with a limit of %d nano-dollars spent %d", int64(quotaUSD*1e9), total)
	}
	times := make(map[string]int)
	for _, e := range g.admin.events(t, k.quota) {
		times[e.Refused]++
	}
	if times[""] != 1 || times["insufficient_quota"] != 1 || times["cost_limit_exceeded"] != len(times)-2 {
		t.Errorf("cost limit: outcomes %v, want one call that passes and one insufficient_quota", times)
	}
}

// checkNear: three calls a second apart, refused now and then, but never more often
// than an SDK retries.
func (k *keys) checkNear(t *testing.T, g *running) {
	t.Helper()
	eventually(t, 5*time.Second, func() bool {
		return strings.Count(statuses(g.admin.events(t, k.near)), "200") >= 3
	})
	got := statuses(g.admin.events(t, k.near))
	if ok, no := strings.Count(got, "200"), strings.Count(got, "429"); ok != 3 || no > 6 {
		t.Errorf("rate limit, near reset: attempts with status %s, want three times 200 and at most six times 429", got)
	}
}

// checkOpen: every call that reached a model is priced by what the provider said.
func (k *keys) checkOpen(t *testing.T, g *running) {
	t.Helper()
	g.settled(t, k.open, openCalls)
	priced, broken := 0, 0
	for _, e := range g.admin.awaitEvents(t, k.open, openCalls) {
		switch {
		case e.Expired || e.Basis == "" || len(e.ID) != 36:
			t.Errorf("odd event %+v", e)
		case e.Truncated:
			broken++
			if e.Basis != "reserved" || e.CostInUSD <= 0 { // the model may have thought unseen
				t.Errorf("a broken stream costs %v, basis %s; want what was reserved", e.CostInUSD, e.Basis)
			}
		case e.Status >= 400 && e.CostInUSD != 0:
			t.Errorf("a refused call costs %v", e.CostInUSD)
		case e.Basis == "reported" && e.CostInUSD > 0:
			priced++
		}
	}
	if priced < 14 || broken < 1 {
		t.Errorf("%d priced calls and %d broken ones, want at least 14 and 1", priced, broken)
	}
}

// settled waits until that many calls of a key are recorded and all are settled, and
// returns what they cost in nano-dollars. It fails if that is not what the
// counters say.
func (g *running) settled(t *testing.T, k key, calls int) (total int64) {
	t.Helper()
	var reported int64
	open := 0
	eventually(t, 5*time.Second, func() bool {
		if open = g.inFlight(t, k); open > 0 {
			return false
		}
		list := g.admin.events(t, k)
		total = 0
		for _, e := range list {
			total += int64(math.Round(e.CostInUSD * 1e9))
		}
		reported = g.admin.spent(t, k)
		return len(list) >= calls && reported == total/1000
	})
	if open > 0 {
		t.Errorf("%d calls of the key are not settled", open)
	}
	if reported != total/1000 {
		t.Errorf("events cost %d nano-dollars, the key has spent %d micro-dollars", total, reported)
	}
	if g.store == nil {
		return total
	}
	c, err := g.store.Counters(t.Context(), k.hash())
	if err != nil {
		t.Fatal(err)
	}
	if c.Values[limit.Spend] != total || c.Values[limit.InFlight] != 0 {
		t.Errorf("counters %v, want %d nano-dollars spent and nothing in flight", c.Values, total)
	}
	return total
}

// inFlight is the number of open reservations. The embedded store cannot be
// looked into while the gateway has it open: there it is 0.
func (g *running) inFlight(t *testing.T, k key) int {
	t.Helper()
	if g.store == nil {
		return 0
	}
	c, err := g.store.Counters(t.Context(), k.hash())
	if err != nil {
		t.Fatal(err)
	}
	return len(c.Open)
}

// checkHealth looks at how the programs themselves fared.
func (g *running) checkHealth(t *testing.T) {
	t.Helper()
	log := g.log.String()
	for _, bad := range []string{"panic", "goroutine ", keyPrefix, upstreamKey, "DATA RACE", "not settled"} {
		if at := strings.Index(log, bad); at >= 0 {
			t.Errorf("the log has %q: %s", bad, log[max(at-300, 0):min(at+300, len(log))])
		}
	}
	if !strings.Contains(log, `"msg":"call"`) {
		t.Error("the log has no access record")
	}
	if g.function == nil {
		return
	}
	if !strings.Contains(log, `"CloudWatchMetrics"`) {
		t.Error("no access record is a metric")
	}
	if s := g.function.Stats(); len(s.Failures) > 0 || len(s.Inits) != len(s.PIDs) {
		t.Errorf("the function failed: %s", fmt.Sprintf("%+v", s))
	}
}
