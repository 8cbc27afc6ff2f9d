package proxy_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"tollgate/internal/awsauth"
	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/provider"
)

// faulty is a vendor that panics where it is told to.
type faulty struct {
	provider.Vendor
	in string
}

func (f faulty) Parse(e *provider.Endpoint, contentType string, body []byte) (*provider.Call, error) {
	f.panicIn("Parse")
	return f.Vendor.Parse(e, contentType, body)
}

func (f faulty) Authorize(h http.Header, c provider.Credential) {
	f.panicIn("Authorize")
	f.Vendor.Authorize(h, c)
}

func (f faulty) Usage(c *provider.Call, m *provider.Members) (gateway.Usage, bool) {
	f.panicIn("Usage")
	return f.Vendor.Usage(c, m)
}

func (f faulty) panicIn(where string) {
	if f.in == where {
		panic("vendor fell over in " + where)
	}
}

// A panic in one call is that call's 500, and leaves the books in order.
func TestPanics(t *testing.T) {
	for _, where := range []string{"Parse", "Authorize"} {
		t.Run(where, func(t *testing.T) {
			r := newRig(t, func(r *rig) { r.config.Vendors = []provider.Vendor{faulty{provider.OpenAI, where}} })
			k := r.newKey()
			r.refused(r.chat(k, hello), 500, "internal_error")
			if e := r.event(k); e.Status != 500 || e.Refused != "internal_error" || e.Cost != 0 {
				t.Errorf("event %+v", e)
			}
			r.books(k)
			if log := r.log.String(); !strings.Contains(log, "vendor fell over in "+where) {
				t.Error("the log does not tell")
			}
		})
	}
	t.Run("Store", func(t *testing.T) {
		r := newRig(t)
		r.store.reserve = func(func() (limit.Standing, error)) (limit.Standing, error) { panic("store fell over") }
		k := r.newKey()
		r.refused(r.chat(k, hello), 500, "internal_error")
		if e := r.event(k); e.Status != 500 || r.fake.Calls() != 0 {
			t.Errorf("event %+v", e)
		}
		r.books(k)
	})
	t.Run("Usage", func(t *testing.T) {
		r := newRig(t, standing, func(r *rig) { r.config.Vendors = []provider.Vendor{faulty{provider.OpenAI, "Usage"}} })
		k := r.newKey()
		r.passed(r.chat(k, hello)) // the caller has its answer
		if e := r.event(k); e.Status != 200 || e.Basis != gateway.BasisReserved || e.Cost != 1_000_000 || e.Refused != "internal_error" {
			t.Errorf("event %+v", e)
		}
		r.books(k)
	})
}

var errDisk = errors.New("disk on fire at /var/marker-disk")

// ER-11: a store that fails, before or after it wrote.
func TestStoreFails(t *testing.T) {
	type reserve = func(next func() (limit.Standing, error)) (limit.Standing, error)
	before := func(func() (limit.Standing, error)) (limit.Standing, error) { return limit.Standing{}, errDisk }
	after := func(next func() (limit.Standing, error)) (limit.Standing, error) {
		next()
		return limit.Standing{}, errDisk
	}
	once := func(f reserve) reserve {
		done := false
		return func(next func() (limit.Standing, error)) (limit.Standing, error) {
			if !done {
				done = true
				return f(next)
			}
			return next()
		}
	}
	for _, test := range []struct {
		name    string
		reserve reserve
		status  int
		cost    gateway.NanoUSD
	}{
		{"before, once", once(before), 200, 1_000_000},
		{"after, once", once(after), 200, 1_000_000},
		{"ER-11 before, always", before, 503, 0},
		{"ER-11 after, always", after, 503, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.store.reserve = test.reserve
			k := r.newKey(limited(gateway.Limit{Measure: gateway.Concurrency, Max: 1}), budget(10_000_000))
			a := r.chat(k, hello)
			if test.status == 503 {
				r.refused(a, 503, "storage_unavailable")
				r.settled()
				if strings.Contains(a.body, "disk") || !strings.Contains(r.log.String(), "marker-disk") {
					t.Errorf("the cause belongs into the log, not into %s", a.body)
				}
				if n := r.fake.Calls(); n != 0 {
					t.Errorf("the provider was called %d times", n)
				}
			} else {
				r.passed(a)
			}
			if e := r.event(k); e.Status != test.status || e.Cost != test.cost {
				t.Errorf("event %+v", e)
			}
			if spent := r.books(k); spent != test.cost {
				t.Errorf("spent %v", spent)
			}
			r.store.reserve = nil
			r.passed(r.chat(k, hello)) // and nothing is left in the way
		})
	}
	t.Run("ER-11 reading the key", func(t *testing.T) {
		r := newRig(t)
		r.store.read = func() error { return errDisk }
		r.refused(r.chat(r.newKey(), hello), 503, "storage_unavailable")
	})
}

// A Settle that fails is tried again; before or after it wrote, the call counts once.
func TestSettleFails(t *testing.T) {
	for _, name := range []string{"before", "after"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			tries := 0
			r.store.settle = func(_ *limit.Settlement, next func() error) error {
				if tries++; tries == 8 { // the last
					return next()
				}
				if name == "after" {
					next()
				}
				return errDisk
			}
			k := r.newKey()
			r.passed(r.chat(k, hello))
			if e := r.event(k); e.Cost != 1_000_000 || e.Expired || tries != 8 {
				t.Errorf("event %+v after %d tries", e, tries)
			}
			r.books(k)
		})
	}
}

// EV-06: of a process that was killed before it settled, the money stays charged and
// the slot comes back when the reservation expires; the call has its event, once.
func TestKilledProcess(t *testing.T) {
	for _, test := range []struct {
		name   string
		limits []gateway.Limit
		early  int // status of a call before the reservation expires
	}{
		{"EV-06 concurrency", []gateway.Limit{{Measure: gateway.Concurrency, Max: 1}}, 429},
		{"EV-06 others", []gateway.Limit{perMinute(100)}, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, standing)
			k := r.newKey(limited(test.limits...), budget(10_000_000))
			killed := errors.New("killed")
			r.store.settle = func(*limit.Settlement, func() error) error { return killed }
			r.passed(r.chat(k, hello))
			r.settled()
			r.store.settle = nil

			r.clock.Add(20*time.Second + 15*time.Second - time.Millisecond) // the call's time and the settlement's
			a := r.chat(k, hello)
			if a.status != test.early {
				t.Errorf("before it expires: %d %s", a.status, a.body)
			}
			r.settled()
			r.clock.Add(time.Millisecond)
			r.passed(r.chat(k, hello))
			var expired []gateway.Event
			for _, e := range r.events(k) {
				if e.Expired {
					expired = append(expired, e)
				}
			}
			if len(expired) != 1 || expired[0].Cost != 1_000_000 || expired[0].Basis != gateway.BasisReserved || expired[0].Status != 0 || !expired[0].At.Equal(noon) {
				t.Errorf("expired events: %+v", expired)
			}
			want := gateway.NanoUSD(2_000_000)
			if test.early == 200 {
				want = 3_000_000
			}
			if spent := r.books(k); spent != want {
				t.Errorf("spent %v, want %v", spent, want)
			}
		})
	}
}

// EV-08, AU-10: no log line and no error holds a key, a credential or part of a body.
func testNothingLeaks(t *testing.T) {
	r := newRig(t)
	const mark = "marker-of-a-body"
	marked := strings.Replace(hello, `"hi"`, `"`+mark+`"`, 1)
	r.updateSetting(r.setting.ID, func(s *gateway.Setting) { r.seal(s, "sk-marker-credential") })
	k := r.newKey(func(k *gateway.Key) { k.LogRequest, k.LogResponse = true, true }, budget(gateway.OneUSD))
	revoked := r.newKey(func(k *gateway.Key) { k.Revoked = true })
	var answers []answer
	try := func(a answer) { answers = append(answers, a) }
	try(r.chat(k, marked, "X-Metadata: "+mark))
	try(r.chat(k, strings.Replace(marked, "{", `{"stream":true,`, 1)))
	try(r.chat(k, marked+"}"))
	try(r.chat(k, `{"model":["`+mark+`"]}`))
	try(r.chat(k, strings.Replace(marked, `"m"`, `"made-up"`, 1)))
	try(r.chat(revoked, marked))
	try(r.call("unknown-"+k.secret, "POST", chat, marked))
	try(r.chat(k, marked, "x-request-timeout: "+mark))
	r.store.reserve = func(func() (limit.Standing, error)) (limit.Standing, error) { return limit.Standing{}, errDisk }
	try(r.chat(k, marked))
	r.store.reserve = nil
	r.fake.Override = broken("data: {}\n\n")
	try(r.chat(k, strings.Replace(marked, "{", `{"stream":true,`, 1)))
	try(r.chat(k, marked))
	r.updateSetting(r.setting.ID, func(s *gateway.Setting) { s.Params = map[string]string{"url": "http://127.0.0.1:1"} })
	try(r.chat(k, marked))
	r.settled()
	log := r.log.String()
	if n := strings.Count(log, `"msg":"call"`); n != len(answers) {
		t.Errorf("%d lines for %d calls", n, len(answers))
	}
	for _, leak := range []string{mark, k.secret, revoked.secret, "sk-marker-credential", k.Hash} {
		if strings.Contains(log, leak) {
			t.Errorf("the log holds %q", leak)
		}
		for _, a := range answers {
			if strings.Contains(a.body, leak) {
				t.Errorf("an answer holds %q: %s", leak, a.body)
			}
		}
	}
	// EV-10: each answer's request id stands in the log.
	for _, a := range answers {
		if !strings.Contains(log, a.header.Get("X-Request-Id")) {
			t.Errorf("no line for %s", a.body)
		}
	}
}

// EV-08: no line of any endpoint holds what was sent or answered.
func TestNothingLeaksFromEndpoints(t *testing.T) {
	r := newRig(t, func(r *rig) { r.config.Signer = awsauth.New(awsauth.Options{}) })
	k := r.keyForAll()
	const mark = "marker-of-a-body"
	for _, status := range []int{200, 400, 500} {
		r.fake.Override = answers(status, "application/json", `{"model":"m","error":{"message":"`+mark+`"},"choices":[{"message":{"content":"`+mark+`"}}]}`)
		for _, e := range r.proxy.Endpoints() {
			path := peerIDs.Replace(e.Pattern)
			t.Run(fmt.Sprint("EV-08 ", status, " ", e.Method, " ", path), func(t *testing.T) {
				body, contentType := `{"model":"m","prompt":"`+mark+`","input":"`+mark+`","max_tokens":5,"messages":[{"role":"user","content":"`+mark+`"}],"contents":[{"parts":[{"text":"`+mark+`"}]}]}`, "application/json"
				switch {
				case e.Form:
					body, contentType = multipartForm(t, map[string]string{"model": "m", "prompt": mark, "purpose": "batch"}, "file", mark+".bin", mark)
				case e.Method != "POST":
					body = ""
				}
				req := r.request(k.secret, e.Method, path+"?q="+mark, body)
				req.Header.Set("Content-Type", contentType)
				if a := r.do(req); a.err != nil {
					t.Error(a.err)
				}
			})
		}
	}
	r.settled()
	log := r.log.String()
	if at := strings.Index(log, mark); at >= 0 {
		t.Errorf("the log holds it: %.600s", log[max(0, at-500):])
	}
	if n, want := strings.Count(log, `"msg":"call"`), 3*len(r.proxy.Endpoints()); n != want {
		t.Errorf("%d lines for %d calls", n, want)
	}
}

// An Idempotency-Key lets a call run once, and again only if it came to nothing.
func TestIdempotencyKey(t *testing.T) {
	r := newRig(t)
	k := r.newKey()
	const once = "Idempotency-Key: once-1"
	r.fake.Override = answers(503, "application/json", `{}`)
	if a := r.chat(k, hello, once); a.status != 503 {
		t.Fatalf("got %d", a.status)
	}
	r.settled()
	begun, release := make(chan bool, 1), make(chan bool)
	r.fake.Override = func(http.ResponseWriter, *http.Request, []byte) bool {
		begun <- true
		r.wait(release)
		return false
	}
	done := make(chan answer)
	go func() { done <- r.chat(k, hello, once) }()
	<-begun
	r.refused(r.chat(k, hello, once), 409, "idempotency_key_in_use")
	close(release)
	r.passed(<-done)
	r.settled()
	a := r.chat(k, hello, once)
	if r.refused(a, 409, "idempotency_key_used"); a.header.Get("X-Should-Retry") != "false" {
		t.Errorf("headers %v", a.header)
	}
	if spent := r.books(k); spent != 1_000_000 || r.fake.Calls() != 2 {
		t.Errorf("spent %v in %d calls to the provider", spent, r.fake.Calls())
	}
}
