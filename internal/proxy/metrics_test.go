package proxy_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// EV-12: metrics of each call, by provider and model, and its status beside them.
func testMetrics(t *testing.T) {
	r := newRig(t, func(r *rig) { r.config.Log.Namespace = "Tollgate" })
	k := r.newKey()
	r.passed(r.chat(k, hello))
	r.fake.Override = answers(500, "application/json", `{}`)
	r.chat(k, hello)
	r.settled()
	log := r.log.String()
	for _, status := range []int{200, 500} {
		found := false
		for line := range strings.Lines(log) {
			var m struct {
				AWS                    any `json:"_aws"`
				Provider, Model        string
				Status                 int `json:"status"`
				Calls, Failed, Refused int
			}
			if json.Unmarshal([]byte(line), &m) == nil && m.AWS != nil && m.Status == status {
				found = true
				if m.Provider != "openai" || status == 200 && m.Model != "m" || m.Calls != 1 || m.Failed != status/500 {
					t.Errorf("%s", line)
				}
			}
		}
		if !found {
			t.Errorf("no metrics of the call with status %d in %s", status, log)
		}
	}
}
