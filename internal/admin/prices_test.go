package admin_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/price"
)

const P = "/api/prices"

// priceTable is a table of one model at so many dollars.
func priceTable(version, dollars string) string {
	return `{"version":"` + version + `","rows":[{"provider":"openai","exact":["m"],"prefix":["m-"],"input":"` + dollars + `","output":"10","tier_multipliers":{"flex":"0.5"},"source":"test"}]}`
}

func TestPrices(t *testing.T) { eachStore(t, testPrices) }

func testPrices(t *testing.T) {
	r := newRig(t)
	r.now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	embedded := object{"version": price.Embedded().Version(), "source": "embedded", "storedAt": nil,
		"ageDays": 13.0, "models": float64(price.Embedded().Names())}
	same(t, r.ok("GET", P, ""), embedded)
	stored := object{"version": "2026-11-20", "source": "stored", "storedAt": float64(r.now.Unix()), "ageDays": 3.0, "models": 2.0}

	same(t, r.ok("POST", P+"/check", priceTable("2026-11-20", "2.5")), object{"version": "2026-11-20", "storedAt": nil, "models": 2.0})
	same(t, r.ok("GET", P, ""), embedded) // a check changes nothing
	same(t, r.ok("PUT", P, priceTable("2026-11-20", "2.5")), stored)
	same(t, r.ok("GET", P, ""), stored)

	got := r.ok("GET", P+"?model=m-2026-01-01", "")["prices"].([]any)
	if len(got) != 1 {
		t.Fatalf("%v", got)
	}
	same(t, got[0].(object), object{"provider": "openai",
		"usdPerMillion": object{"input": "2.5", "cache_read": "2.5", "cache_write": "2.5", "cache_write_long": "2.5",
			"input_image": "2.5", "cached_image": "2.5", "input_video": "2.5", "output": "10"},
		"row": object{"provider": "openai", "exact": []any{"m"}, "prefix": []any{"m-"}, "input": "2.5", "output": "10",
			"tier_multipliers": object{"flex": "0.5"}, "source": "test"}})
	r.refused(404, "no provider has a price for the model gpt-4o", "GET", P+"?model=gpt-4o", "")
	r.refused(404, "", "GET", P+"?model=m&provider=anthropic", "")

	if w := r.call("GET", P+"?table=true", ""); w.Body.String() != priceTable("2026-11-20", "2.5") {
		t.Errorf("the table comes back as %s", w.Body)
	}
	same(t, r.ok("DELETE", P, ""), embedded)
	same(t, r.ok("DELETE", P, ""), embedded)
	same(t, r.ok("GET", P, ""), embedded)
}

// The embedded table can be fetched, changed, called by a new version and stored.
func TestPricesRoundTrip(t *testing.T) { eachStore(t, testPricesRoundTrip) }

func testPricesRoundTrip(t *testing.T) {
	r := newRig(t)
	file := r.call("GET", P+"?table=true", "").Body.String()
	r.ok("PUT", P, file) // it is what its version says
	changed := strings.Replace(file, price.Embedded().Version(), price.Embedded().Version()+".2", 1)
	same(t, r.ok("PUT", P, changed), object{"source": "stored", "models": float64(price.Embedded().Names())})
	for _, provider := range []string{"", "&provider=azure"} {
		got := r.ok("GET", P+"?model=gpt-4o"+provider, "")["prices"].([]any)[0].(object)
		same(t, got["usdPerMillion"].(object), object{"input": "2.5", "output": "10", "cache_read": "1.25", "web_searches": "10000", "file_searches": "2500"})
	}
}

func TestPricesRefuse(t *testing.T) { eachStore(t, testPricesRefuse) }

func testPricesRefuse(t *testing.T) {
	r := newRig(t)
	r.ok("PUT", P, priceTable("2026-11-20", "1"))
	for _, tt := range []struct {
		name, body string
		status     int
		details    []string
	}{
		{"not JSON", `{`, 400, []string{"unexpected end"}},
		{"nothing", ``, 400, nil},
		{"no table", `[]`, 400, []string{"price table"}},
		{"several faults", `{"version":"2026-11-21","rows":[{"provider":"p","exact":["a"],"input":"-1"},{"provider":"p","exact":["ok"],"input":"1"},{"provider":"p","exact":["b"],"output":"x","input":"1"}]}`,
			400, []string{`row 1 (p a): input: "-1"`, `row 3 (p b): output: "x"`}},
		{"a member that is not known", `{"version":"2026-11-21","rows":[{"provider":"p","exact":["a"],"inptu":"1"}]}`, 400, []string{"row 1 (p a)", "inptu"}},
		{"a version that is used", priceTable("2026-11-20", "2"), 409, []string{"2026-11-20.2"}},
		{"the embedded table's version", priceTable(price.Embedded().Version(), "2"), 409, []string{price.Embedded().Version()}},
		{"too large", `{"version":"2026-11-21","rows":[` + strings.Repeat(" ", 1<<20) + `]}`, 413, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, call := range [][2]string{{"PUT", P}, {"POST", P + "/check"}} {
				p := r.refused(tt.status, "", call[0], call[1], tt.body)
				for _, d := range tt.details {
					if !strings.Contains(p["detail"].(string), d) {
						t.Errorf("%v does not name %s", p["detail"], d)
					}
				}
			}
			same(t, r.ok("GET", P, ""), object{"version": "2026-11-20", "models": 2.0})
		})
	}
}

func TestPricesWithoutAStore(t *testing.T) {
	r := newRig(t)
	r.store.down = errors.New("down")
	r.refused(503, "", "GET", P, "")
	r.refused(503, "", "PUT", P, priceTable("2026-11-22", "1"))
	r.refused(503, "", "DELETE", P, "")
}

func FuzzPutPrices(f *testing.F) {
	fuzzBody(f, "PUT", P, priceTable("2026-11-20", "1"), `{"version":"2026-11-20","rows":[{"provider":"p","exact":["m"],"per_image":[{"price":"1"}]}]}`)
}

// costMap.models and costMap.deployments, which the peer does not have.
func TestCostMapByClass(t *testing.T) { eachStore(t, testCostMapByClass) }

func testCostMapByClass(t *testing.T) {
	const head = `{"provider":"openai","setting":{"apikey":"k"},"costMap":`
	r := newRig(t)
	for _, tt := range []struct {
		name, sent, shown string
		stored            map[string]int64
	}{
		{"texts and numbers", `{"input":"2.5","output":10,"cacheRead":1.5e-7}`, `{"input":"2.5","output":"10","cacheRead":"0.00000015"}`,
			map[string]int64{"input": 2_500_000_000, "output": 10_000_000_000, "cache_read": 150}},
		{"exact where floats are not", `{"input":0.1,"output":0.3,"cacheWriteLong":"123456.123456789"}`, `{"input":"0.1","output":"0.3","cacheWriteLong":"123456.123456789"}`,
			map[string]int64{"input": 100_000_000, "output": 300_000_000, "cache_write_long": 123_456_123_456_789}},
		{"free", `{"input":0}`, `{"input":"0"}`, map[string]int64{"input": 0}},
		{"by other units", `{"request":"0.005","fileSearch":2.5,"webSearch":10,"image":"0.04","audioSecond":"0.0001","characters":15}`,
			`{"characters":"15","audioSecond":"0.0001","image":"0.04","webSearch":"10","fileSearch":"2.5","request":"0.005"}`,
			map[string]int64{"characters": 15_000_000_000, "audio_ms": 100_000_000, "images": 40_000_000_000_000,
				"web_searches": 10_000_000_000_000, "file_searches": 2_500_000_000_000, "requests": 5_000_000_000_000}},
		{"all tokens", `{"input":1,"output":2,"cacheRead":3,"cacheWrite":4,"cacheWriteLong":5,"inputAudio":6,"cachedAudio":7,"outputAudio":8,"inputImage":9,"cachedImage":10,"outputImage":11}`,
			`{"input":"1","output":"2","cacheRead":"3","cacheWrite":"4","cacheWriteLong":"5","inputAudio":"6","cachedAudio":"7","outputAudio":"8","inputImage":"9","cachedImage":"10","outputImage":"11"}`, nil},
		{"no price", `{}`, `{}`, map[string]int64{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := r.call("PUT", S, head+`{"promptCostPerModel":{"m":0.05},"models":{"gpt-x":`+tt.sent+`},"deployments":{"prod":"gpt-x"}}}`)
			want := `"costMap":{"promptCostPerModel":{"m":0.05},"completionCostPerModel":null,"embeddingsCostPerModel":null,"models":{"gpt-x":` + tt.shown + `},"deployments":{"prod":"gpt-x"}}`
			if w.Code != 200 || !strings.Contains(w.Body.String(), want) {
				t.Fatalf("%d %s\nwant %s", w.Code, w.Body, want)
			}
			id := unpack[object](w.Body.Bytes())["id"].(string)
			m := r.storedSetting(id).CostMap
			if m.Deployments["prod"] != "gpt-x" {
				t.Errorf("%v", m.Deployments)
			}
			if got := m.Models["gpt-x"]; tt.stored != nil && fmt.Sprint(got) != fmt.Sprint(tt.stored) {
				t.Errorf("stored %v, want %v", got, tt.stored)
			}
			for class := range m.Models["gpt-x"] { // the store and the prices speak of the same classes
				known := class == gateway.PerRequest
				for _, name := range gateway.ClassNames {
					known = known || name == class
				}
				if !known {
					t.Errorf("%s is no class", class)
				}
			}
			// What was shown can be sent back.
			var shown struct{ CostMap json.RawMessage }
			if err := json.Unmarshal(w.Body.Bytes(), &shown); err != nil {
				t.Fatal(err)
			}
			again := r.call("PATCH", S+"/"+id, `{"costMap":`+string(shown.CostMap)+`}`)
			if !strings.Contains(again.Body.String(), want) {
				t.Errorf("sent back, it is %s", again.Body)
			}
		})
	}
	for sent, detail := range map[string]string{
		`{"models":{"m":{"inptu":1}}}`:                                 `costMap.models: m: there is no price inptu; there are input, output,`,
		`{"models":{"m":{"input":-1}}}`:                                `costMap.models: m: input: "-1" not a decimal number`,
		`{"models":{"m":{"input":"1e-10"}}}`:                           `costMap.models: m: input: "1e-10" has more decimals`,
		`{"models":{"m":{"image":"1000.01"}}}`:                         `costMap.models: m: image: "1000.01" is too large`,
		`{"models":{"m":{"input":true}}}`:                              `costMap.models: m: input: "true" not a decimal number`,
		`{"models":{"m":{"input":null}}}`:                              `costMap.models: m: input: "null" not a decimal number`,
		`{"models":{"m":5}}`:                                           `costMap.models: expected an object, got number`,
		`{"models":{"":{"input":1}}}`:                                  `a model without a name`,
		`{"deployments":{"":"m"}}`:                                     `costMap.deployments has a name that is empty`,
		`{"deployments":{"d":""}}`:                                     `the model of d is empty`,
		`{"deployments":{"d":"e","e":"m"}}`:                            `e is a deployment itself; name the model of d`,
		`{"deployments":{"d":5}}`:                                      `costMap.deployments`,
		`{"promptCostPerModel":{"m":-1},"models":{"m":{}}}`:            `is negative`,
		`{"models":{"m":{"input":"` + strings.Repeat("9", 60) + `"}}}`: `too large`,
	} {
		r.refused(400, detail, "PUT", S, head+sent+`}`)
	}
}
