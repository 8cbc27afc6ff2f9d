package admin_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/secret"
)

// Bodies are stored sealed for their event and shown in clear. One that was copied
// from elsewhere is not shown, and the log says so.
func TestSealedBodies(t *testing.T) { eachStore(t, testSealedBodies) }

func testSealedBodies(t *testing.T) {
	r := newRig(t)
	e := gateway.Event{ID: "id-1", KeyID: "k1", At: r.now, Status: 200, Sealed: true}
	envelope := secret.NewEnvelope(r.box, time.Now)
	var err error
	if e.Request, err = envelope.Seal(t.Context(), []byte(`{"hello":1}`), e.RequestPurpose()); err != nil {
		t.Fatal(err)
	}
	e.Response = e.Request // sealed as the request
	r.record(e)

	got := r.list("/api/events?keyIds=k1&start=1&end=2000000000")
	if len(got) != 1 || got[0]["request"] != base64.StdEncoding.EncodeToString([]byte(`{"hello":1}`)) || got[0]["response"] != "e30=" {
		t.Errorf("shown are %v", got)
	}
	if log := r.log.String(); !strings.Contains(log, "body of an event does not open") || strings.Contains(log, "hello") {
		t.Errorf("logged is %s", log)
	}
	found := r.ok("POST", "/api/v2/events", `{"start":1,"end":2000000000,"keyIds":["k1"]}`)
	events, _ := found["events"].([]any)
	if len(events) != 1 || events[0].(object)["request"] != got[0]["request"] {
		t.Errorf("found are %v", found)
	}
}
