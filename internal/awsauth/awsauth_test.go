package awsauth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"tollgate/internal/awsauth"
	"tollgate/internal/fakeai"
	"tollgate/internal/gateway"
	"tollgate/internal/provider"
)

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

// secrets are the secret access keys of whoever may sign.
var secrets = map[string]string{"AKIASETTING": "setting-secret", "AKIAPROCESS": "process-secret", "ASIAROLE": "role-secret"}

// fakeSTS hands out the keys of a role to whoever has signed.
type fakeSTS struct {
	url  string
	life time.Duration

	mu     sync.Mutex
	deny   bool
	seen   []url.Values
	signed []string // access key ids
}

func newSTS(t *testing.T) *fakeSTS {
	s := &fakeSTS{life: time.Hour}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *fakeSTS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	by, err := fakeai.VerifyAWS(r, body, func(id string) string { return secrets[id] })
	s.seen, s.signed = append(s.seen, form), append(s.signed, by.AccessKeyID)
	w.Header().Set("Content-Type", "text/xml")
	if err != nil || s.deny {
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, `<ErrorResponse><Error><Code>AccessDenied</Code><Message>not authorized to assume</Message></Error></ErrorResponse>`)
		return
	}
	fmt.Fprintf(w, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>`+
		`<AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>role-secret</SecretAccessKey><SessionToken>role-token</SessionToken>`+
		`<Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`, time.Now().Add(s.life).UTC().Format(time.RFC3339))
}

// signer is one whose process has credentials of its own.
func (s *fakeSTS) signer() *awsauth.Signer {
	return awsauth.New(awsauth.Options{Now: func() time.Time { return noon }, Load: func(context.Context) (aws.Config, error) {
		return aws.Config{BaseEndpoint: &s.url, Credentials: credentials.NewStaticCredentialsProvider("AKIAPROCESS", "process-secret", "process-token")}, nil
	}})
}

// sign signs a request and has it checked as it arrives at a server.
func sign(t *testing.T, s *awsauth.Signer, id provider.Identity, path string, header ...string) (fakeai.Signed, http.Header) {
	t.Helper()
	var got fakeai.Signed
	var seen http.Header
	var fault error
	const body = `{"max_tokens":5}`
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		seen = r.Header.Clone()
		got, fault = fakeai.VerifyAWS(r, b, func(id string) string { return secrets[id] })
	}))
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), "POST", server.URL+path, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Add(name, value)
	}
	if err := s.Sign(t.Context(), req, []byte(body), id); err != nil {
		t.Fatal(err)
	}
	res, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if fault != nil {
		t.Errorf("%s: %v", path, fault)
	}
	return got, seen
}

var keys = provider.Identity{AccessKeyID: "AKIASETTING", SecretAccessKey: "setting-secret", Region: "eu-central-1", Service: "bedrock"}

// AU-21, AU-22: the signature is that of the setting's keys, whatever the path holds,
// and covers what AWS reads.
func TestSign(t *testing.T) {
	s := awsauth.New(awsauth.Options{Now: func() time.Time { return noon }})
	for _, path := range []string{
		"/model/anthropic.claude-opus-5-5/invoke",
		"/model/anthropic.claude-haiku-4-5-20251001-v1%3A0/invoke",
		"/model/anthropic.claude-haiku-4-5-20251001-v1:0/invoke",
		"/model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A123456789012%3Ainference-profile%2Feu.anthropic.claude-opus-5-5/invoke-with-response-stream",
		"/prefix/model/m/converse?b=2&a=1",
	} {
		got, header := sign(t, s, keys, path, "Content-Type: application/json", "X-Amzn-Bedrock-Service-Tier: flex", "X-Stainless-Lang:  go  ", "Accept: a", "Accept: b")
		if got.AccessKeyID != "AKIASETTING" || got.Region != "eu-central-1" || got.Service != "bedrock" || got.Date != "20260314" {
			t.Errorf("%s: signed as %+v", path, got)
		}
		if want := "content-length;content-type;host;x-amz-date;x-amzn-bedrock-service-tier"; strings.Join(got.Headers, ";") != want {
			t.Errorf("%s: headers %v are signed, want %s", path, got.Headers, want)
		}
		if _, ok := header["X-Amz-Security-Token"]; ok {
			t.Errorf("%s: a session token was sent", path)
		}
	}
	with := keys
	with.SessionToken = "session-token"
	if _, header := sign(t, s, with, "/model/m/invoke"); header.Get("X-Amz-Security-Token") != "session-token" {
		t.Errorf("AU-22: sent %v", header)
	}
}

// The process's own credentials are asked for by the first call that needs them.
func TestOwnCredentials(t *testing.T) {
	sts := newSTS(t)
	got, header := sign(t, sts.signer(), provider.Identity{Region: "us-east-1", Service: "bedrock-mantle"}, "/model/m/invoke")
	if got.AccessKeyID != "AKIAPROCESS" || got.Service != "bedrock-mantle" || header.Get("X-Amz-Security-Token") != "process-token" {
		t.Errorf("signed as %+v with %v", got, header)
	}
	loads := 0
	s := awsauth.New(awsauth.Options{Load: func(context.Context) (aws.Config, error) { loads++; return aws.Config{}, errors.New("no region") }})
	sign(t, s, keys, "/model/m/invoke")
	if loads != 0 {
		t.Error("the process's configuration was read for keys of a setting")
	}
}

var role = provider.Identity{RoleARN: "arn:aws:iam::123456789012:role/bedrock", ExternalID: "tenant-7", Region: "eu-central-1", Service: "bedrock"}

// AU-22: a role is assumed once, by whoever may, and kept until shortly before its end.
func TestRole(t *testing.T) {
	for _, tt := range []struct {
		name  string
		id    provider.Identity
		life  time.Duration
		calls int
		by    string
	}{
		{"by the process", role, time.Hour, 1, "AKIAPROCESS"},
		{"by keys of the setting", provider.Identity{RoleARN: role.RoleARN, AccessKeyID: "AKIASETTING", SecretAccessKey: "setting-secret", Region: "eu-central-1", Service: "bedrock"}, time.Hour, 1, "AKIASETTING"},
		{"at its end", role, 4 * time.Minute, 3, "AKIAPROCESS"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sts := newSTS(t)
			sts.life = tt.life
			s := sts.signer()
			for range 3 {
				got, header := sign(t, s, tt.id, "/model/m/invoke")
				if got.AccessKeyID != "ASIAROLE" || header.Get("X-Amz-Security-Token") != "role-token" {
					t.Errorf("signed as %+v with %v", got, header)
				}
			}
			if len(sts.seen) != tt.calls {
				t.Fatalf("the role was assumed %d times, want %d", len(sts.seen), tt.calls)
			}
			form := sts.seen[0]
			if sts.signed[0] != tt.by || form.Get("Action") != "AssumeRole" || form.Get("RoleArn") != tt.id.RoleARN || form.Get("ExternalId") != tt.id.ExternalID || form.Get("RoleSessionName") != "tollgate" {
				t.Errorf("%s asked for %v", sts.signed[0], form)
			}
		})
	}
}

// Many calls at once assume a role once; another service of the same setting needs
// no role of its own.
func TestRoleTogether(t *testing.T) {
	sts := newSTS(t)
	s := sts.signer()
	var wg sync.WaitGroup
	for i := range 16 {
		id := role
		if i%2 == 1 {
			id.Service = "bedrock-mantle"
		}
		wg.Go(func() {
			req := httptest.NewRequest("POST", "https://bedrock.example/model/m/invoke", nil)
			if err := s.Sign(context.Background(), req, nil, id); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(sts.seen) != 1 {
		t.Errorf("the role was assumed %d times", len(sts.seen))
	}
}

// A role that cannot be had fails the call and says nothing of why to the caller; it
// is had as soon as it can be.
func TestRoleDenied(t *testing.T) {
	sts := newSTS(t)
	sts.deny = true
	s := sts.signer()
	req := httptest.NewRequest("POST", "https://bedrock.example/model/m/invoke", nil)
	err := s.Sign(t.Context(), req, nil, role)
	var e *gateway.Error
	if !errors.As(err, &e) || e.Kind != gateway.Unavailable || e.Code != "credential_unavailable" || strings.Contains(e.Message, "assume") || e.Err == nil {
		t.Fatalf("%+v", err)
	}
	if h := req.Header.Get("Authorization"); h != "" {
		t.Errorf("signed all the same: %s", h)
	}
	for _, secret := range []string{"process-secret", "process-token"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error tells a secret: %v", err)
		}
	}
	sts.mu.Lock()
	sts.deny = false
	sts.mu.Unlock()
	if err := s.Sign(t.Context(), req, nil, role); err != nil {
		t.Error(err)
	}
}

// A setting without a region, or a process without credentials, is an error and no panic.
func TestNoCredentials(t *testing.T) {
	s := awsauth.New(awsauth.Options{Load: func(context.Context) (aws.Config, error) { return aws.Config{}, nil }})
	for _, id := range []provider.Identity{{}, {Region: "eu-central-1", Service: "bedrock"}, role} {
		req := httptest.NewRequest("POST", "https://bedrock.example/model/m/invoke", nil)
		if err := s.Sign(t.Context(), req, nil, id); gateway.KindOf(err) != gateway.Unavailable {
			t.Errorf("%#v: %v", id, err)
		}
	}
	if got := fmt.Sprintf("%v %+v %#v", keys, keys, &keys); strings.Contains(got, "secret") {
		t.Errorf("printed: %s", got)
	}
}
