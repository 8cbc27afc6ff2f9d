package fakeai

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Signed is what a request says of its AWS signature.
type Signed struct {
	AccessKeyID, Date, Region, Service string
	Headers                            []string // those that are signed
}

// VerifyAWS recomputes the AWS signature (version 4) of a request as it arrived, after
// the published description and with none of AWS's own code. secret is the secret
// access key of an access key id, "" for one that is not known.
func VerifyAWS(r *http.Request, body []byte, secret func(accessKeyID string) string) (Signed, error) {
	s, signature, err := readSignature(r.Header.Get("Authorization"))
	if err != nil {
		return s, err
	}
	key := secret(s.AccessKeyID)
	if key == "" {
		return s, fmt.Errorf("access key id %q is not known", s.AccessKeyID)
	}
	canonical, err := canonicalRequest(r, body, s.Headers)
	if err != nil {
		return s, err
	}
	stamp := r.Header.Get("X-Amz-Date")
	if !strings.HasPrefix(stamp, s.Date+"T") {
		return s, fmt.Errorf("X-Amz-Date %q is not of %s", stamp, s.Date)
	}
	scope := s.Date + "/" + s.Region + "/" + s.Service + "/aws4_request"
	toSign := "AWS4-HMAC-SHA256\n" + stamp + "\n" + scope + "\n" + hexSum(canonical)
	sum := []byte("AWS4" + key)
	for _, part := range []string{s.Date, s.Region, s.Service, "aws4_request", toSign} {
		h := hmac.New(sha256.New, sum)
		h.Write([]byte(part))
		sum = h.Sum(nil)
	}
	if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum)), []byte(signature)) != 1 {
		return s, fmt.Errorf("the signature does not match this request:\n%s", canonical)
	}
	return s, nil
}

func hexSum(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// readSignature takes an Authorization header apart.
func readSignature(v string) (s Signed, signature string, err error) {
	rest, ok := strings.CutPrefix(v, "AWS4-HMAC-SHA256 ")
	if !ok {
		return s, "", errors.New("the request is not signed")
	}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Credential":
			f := strings.Split(value, "/")
			if len(f) != 5 || f[4] != "aws4_request" {
				return s, "", fmt.Errorf("credential %q", value)
			}
			s.AccessKeyID, s.Date, s.Region, s.Service = f[0], f[1], f[2], f[3]
		case "SignedHeaders":
			s.Headers = strings.Split(value, ";")
		case "Signature":
			signature = value
		}
	}
	if s.AccessKeyID == "" || len(s.Headers) == 0 || signature == "" {
		return s, "", errors.New("the Authorization header is not whole")
	}
	return s, signature, nil
}

// canonicalRequest is what the signature is of. Host and AWS's own headers have to
// be signed.
func canonicalRequest(r *http.Request, body []byte, signed []string) (string, error) {
	for name := range r.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-amz-") && !slices.Contains(signed, lower) {
			return "", fmt.Errorf("header %s is not signed", lower)
		}
	}
	if !slices.Contains(signed, "host") || !slices.IsSorted(signed) {
		return "", fmt.Errorf("the signed headers %v are not sorted or lack host", signed)
	}
	headers := ""
	for _, name := range signed {
		value := strings.Join(strings.Fields(strings.Join(r.Header.Values(name), ",")), " ")
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = fmt.Sprint(len(body))
		}
		headers += name + ":" + value + "\n"
	}
	return strings.Join([]string{r.Method, canonicalPath(r.URL.EscapedPath()), canonicalQuery(r), headers,
		strings.Join(signed, ";"), hexSum(string(body))}, "\n"), nil
}

// canonicalPath encodes the path as it was sent, every segment once more: "%3A"
// becomes "%253A".
func canonicalPath(sent string) string {
	segments := strings.Split(sent, "/")
	for i, s := range segments {
		segments[i] = encodeAWS(s)
	}
	return strings.Join(segments, "/")
}

func canonicalQuery(r *http.Request) string {
	var pairs []string
	for name, values := range r.URL.Query() {
		for _, v := range values {
			pairs = append(pairs, encodeAWS(name)+"="+encodeAWS(v))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// encodeAWS percent-encodes all but the unreserved characters.
func encodeAWS(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
