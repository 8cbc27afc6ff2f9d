package proxy_test

import (
	"net/http"
	"net/url"
	"testing"

	"tollgate/internal/gateway"
)

// At OpenAI's regional hosts tokens cost a tenth more; at all others the list price.
func TestRegionalHosts(t *testing.T) {
	for _, test := range []struct {
		url  string
		cost gateway.NanoUSD
	}{
		// gpt-4o-mini is $0.15 and $0.60 a million: 10 and 20 tokens of it.
		{"https://api.openai.com/v1", 13_500},
		{"https://eu.api.openai.com/v1", 14_850},
		{"https://US.api.openai.com/v1", 14_850},
		{"https://xx.api.openai.com/v1", 13_500},
		{"https://eu.api.openai.com.example/v1", 13_500},
		{"https://proxy.example/v1", 13_500},
	} {
		t.Run(test.url, func(t *testing.T) {
			r := newRig(t)
			r.fake.Override = answers(200, "application/json", plain("gpt-4o-mini", tenTwenty))
			r.proxy.Upstream = &redirected{r.config.Upstream, r.upstream.URL}
			s := r.newSetting(upstreamKey, func(s *gateway.Setting) { s.Params["url"] = test.url })
			k := r.newKey(budget(gateway.OneUSD), func(k *gateway.Key) { k.SettingIDs = []string{s.ID} })
			r.passed(r.call(k.secret, "POST", chat, named("gpt-4o-mini")))
			if spent := r.books(k); spent != test.cost {
				t.Errorf("spent %v, want %v", spent, test.cost)
			}
		})
	}
}

// redirected sends every request to one host.
type redirected struct {
	http.RoundTripper
	to string
}

func (t *redirected) RoundTrip(req *http.Request) (*http.Response, error) {
	to, err := url.Parse(t.to)
	if err != nil {
		return nil, err
	}
	req.URL.Scheme, req.URL.Host, req.Host = to.Scheme, to.Host, to.Host
	return t.RoundTripper.RoundTrip(req)
}
