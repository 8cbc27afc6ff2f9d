package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// recorder is an AWS service on loopback that notes the operations asked of it.
type recorder struct {
	next http.Handler

	mu    sync.Mutex
	calls []string // "UpdateItem"
}

// newRecorder serves next until the test ends.
func newRecorder(t testing.TB, next http.Handler) (*recorder, string) {
	r := &recorder{next: next}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	return r, server.URL
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	_, operation, _ := strings.Cut(req.Header.Get("X-Amz-Target"), ".")
	r.mu.Lock()
	r.calls = append(r.calls, operation)
	r.mu.Unlock()
	r.next.ServeHTTP(w, req)
}

// mark is how many operations there were so far.
func (r *recorder) mark() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.calls)
}

// since lists the operations after a mark, as "UpdateItem PutItem".
func (r *recorder) since(mark int) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.calls[mark:], " ")
}

// forward passes requests on to another server, and each piece of an answer as it
// comes.
//
// It reads a request whole first. A ReverseProxy that streams it loses an answer now
// and then: the server closes the request's body when the answer begins, the client's
// side may not have seen its end yet, and drops the connection over that.
func forward(t testing.TB, base string) http.Handler {
	t.Helper()
	target, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 256}
	t.Cleanup(transport.CloseIdleConnections)
	passOn := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		FlushInterval: -1,
		Transport:     transport,
		// Programs are killed and streams are cut on purpose; who called sees it.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler) // the caller is gone
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		passOn.ServeHTTP(w, r)
	})
}

// fakeKMS encrypts nothing but keeps what matters here: a ciphertext opens only
// under the key and the encryption context that it was made for.
type fakeKMS struct{}

// kmsRequest has the members of Encrypt and Decrypt; bytes are base64 in JSON.
type kmsRequest struct {
	KeyID             string `json:"KeyId"`
	Plaintext         []byte
	CiphertextBlob    []byte
	EncryptionContext map[string]string
}

func (k fakeKMS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in kmsRequest
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), "TrentService.")
	var answer any
	switch {
	case err != nil || in.KeyID == "":
		k.refuse(w, "ValidationException")
		return
	case operation == "Encrypt":
		answer = map[string]any{"KeyId": in.KeyID, "CiphertextBlob": append(k.seal(&in), in.Plaintext...)}
	case operation == "Decrypt":
		plain, ok := bytes.CutPrefix(in.CiphertextBlob, k.seal(&in))
		if !ok {
			k.refuse(w, "InvalidCiphertextException")
			return
		}
		answer = map[string]any{"KeyId": in.KeyID, "Plaintext": plain}
	default:
		k.refuse(w, "UnknownOperationException")
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	json.NewEncoder(w).Encode(answer)
}

// seal is the part of a ciphertext that depends on key and context.
func (fakeKMS) seal(in *kmsRequest) []byte {
	context, _ := json.Marshal(in.EncryptionContext) // sorted by name
	sum := sha256.Sum256(append([]byte(in.KeyID+"\x00"), context...))
	return sum[:]
}

func (fakeKMS) refuse(w http.ResponseWriter, kind string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(http.StatusBadRequest)
	json.NewEncoder(w).Encode(map[string]string{"__type": kind, "message": kind})
}
