package admin_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"tollgate/internal/openapi/openapitest"
)

var document = sync.OnceValues(openapitest.Read)

// checkDocument holds an answer against the OpenAPI document, if the request is for
// what the document has. Every answer in this package's tests comes by here.
func checkDocument(t *testing.T, r *http.Request, w *httptest.ResponseRecorder) {
	t.Helper()
	d, err := document()
	if err != nil {
		t.Fatal(err)
	}
	o, ok := d.Find(r.Method, r.URL.EscapedPath())
	if !ok || strings.HasPrefix(o.Tags[0], "proxy") {
		return
	}
	if err := d.CheckAnswer(o, w.Code, w.Header().Get("Content-Type"), w.Body.Bytes()); err != nil {
		t.Errorf("the document does not agree: %v", err)
	}
}

func TestDocumentIsPublic(t *testing.T) { eachStore(t, testDocumentIsPublic) }

func testDocumentIsPublic(t *testing.T) {
	r := newGuardedRig(t, "letmein")
	if r.ok("GET", "/api/openapi.json", "")["openapi"] != "3.1.0" {
		t.Error("not the document")
	}
}
