package kmsbox_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	"tollgate/internal/awsconfig"
	"tollgate/internal/gateway"
	"tollgate/internal/secret/kmsbox"
)

// fakeKMS seals by writing down what it was given, and opens for the same context.
type fakeKMS struct {
	t    *testing.T
	fail string // error type to answer with
	seen []string
}

type message struct {
	KeyId             string
	Plaintext         []byte `json:",omitempty"`
	CiphertextBlob    []byte `json:",omitempty"`
	EncryptionContext map[string]string
}

func (f *fakeKMS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.seen = append(f.seen, r.Header.Get("X-Amz-Target"))
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	refuse := func(status int, kind string) {
		w.WriteHeader(status)
		io.WriteString(w, `{"__type":"`+kind+`","message":"internal AWS words"}`)
	}
	if f.fail != "" {
		refuse(400, f.fail)
		return
	}
	var in, out message
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		f.t.Error(err)
	}
	if r.Header.Get("X-Amz-Target") == "TrentService.Encrypt" {
		out.CiphertextBlob, _ = json.Marshal(in)
	} else {
		var sealed message
		if json.Unmarshal(in.CiphertextBlob, &sealed) != nil || !reflect.DeepEqual(sealed.EncryptionContext, in.EncryptionContext) {
			refuse(400, "InvalidCiphertextException")
			return
		}
		out.Plaintext = sealed.Plaintext
	}
	out.KeyId = in.KeyId
	_ = json.NewEncoder(w).Encode(out)
}

func newBox(t *testing.T) (*kmsbox.Box, *fakeKMS) {
	f := &fakeKMS{t: t}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_KMS": server.URL, "AWS_REGION": "eu-central-1",
		"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s", "AWS_MAX_ATTEMPTS": "1",
	} {
		t.Setenv(name, value)
	}
	cfg, err := awsconfig.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return kmsbox.New(cfg, "alias/tollgate"), f
}

func TestSealAndOpen(t *testing.T) {
	box, f := newBox(t)
	bind := map[string]string{"setting": "s1", "provider": "openai"}
	sealed, err := box.Seal(t.Context(), []byte("sk-secret"), bind)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := box.Open(t.Context(), sealed, bind)
	if err != nil || !bytes.Equal(plain, []byte("sk-secret")) {
		t.Errorf("%q, %v", plain, err)
	}
	_, err = box.Open(t.Context(), sealed, map[string]string{"setting": "s2", "provider": "openai"})
	if err == nil || gateway.KindOf(err) == gateway.Unavailable {
		t.Errorf("opened for another setting: %v", err)
	}
	if want := []string{"TrentService.Encrypt", "TrentService.Decrypt", "TrentService.Decrypt"}; !reflect.DeepEqual(f.seen, want) {
		t.Errorf("calls %v, want %v", f.seen, want)
	}
}

func TestKeyServiceDown(t *testing.T) {
	box, f := newBox(t)
	for _, kind := range []string{"ThrottlingException", "AccessDeniedException", "KMSInternalException"} {
		f.fail = kind
		_, err := box.Seal(t.Context(), []byte("x"), nil)
		var e *gateway.Error
		if !errors.As(err, &e) || e.Kind != gateway.Unavailable || e.Message != "The key service does not answer." {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
