package fakeai_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"tollgate/internal/fakeai"
)

// The examples that AWS publishes for its signature, so that what checks ours is
// checked itself.
func TestVerifyAWS(t *testing.T) {
	const (
		id, secret = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
		vanilla    = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
		twoQueries = "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"
	)
	for _, tt := range []struct {
		name, target, signature, body string
		ok                            bool
	}{
		{"get-vanilla", "/", vanilla, "", true},
		{"get-vanilla-query-order-key-case", "/?Param2=value2&Param1=value1", twoQueries, "", true},
		{"another path", "/a", vanilla, "", false},
		{"another query", "/?a=b", vanilla, "", false},
		{"another body", "/", vanilla, "x", false},
		{"another signature", "/", strings.Replace(vanilla, "5", "6", 1), "", false},
	} {
		r := httptest.NewRequest("GET", tt.target, nil)
		r.Host = "example.amazonaws.com"
		r.Header.Set("X-Amz-Date", "20150830T123600Z")
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+id+"/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature="+tt.signature)
		_, err := fakeai.VerifyAWS(r, []byte(tt.body), func(got string) string {
			if got == id {
				return secret
			}
			return ""
		})
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestVerifyAWSRefuses(t *testing.T) {
	for name, authorization := range map[string]string{
		"nothing": "", "a bearer": "Bearer x", "no parts": "AWS4-HMAC-SHA256 x",
		"short credential": "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=c",
		"unknown key":      "AWS4-HMAC-SHA256 Credential=a/20150830/r/s/aws4_request, SignedHeaders=host, Signature=c",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", authorization)
		if _, err := fakeai.VerifyAWS(r, nil, func(string) string { return "" }); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
