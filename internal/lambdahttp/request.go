package lambdahttp

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-lambda-go/events"
)

// NewRequest turns a proxy event of a REST API (payload version 1.0) into a server
// request, as net/http would have made it. It returns an error, whose text may be
// shown to the caller, if the event holds no readable request.
//
// The path comes from the event's member path. A REST API leaves it
// percent-encoded, and without the stage, so %2F in an id stays different from a
// slash: r.URL.EscapedPath has it as the caller wrote it. (requestContext.path
// has the stage in front, and the {proxy} parameter is decoded.) On a custom
// domain path begins with the base path mapping; that is taken off with the help
// of the {proxy} parameter.
//
// The query is rebuilt from decoded parameters: equal in meaning, but its
// parameters come sorted by name.
func NewRequest(ctx context.Context, e events.APIGatewayProxyRequest) (*http.Request, error) {
	if !isToken(e.HTTPMethod) {
		return nil, errors.New("it has no valid method")
	}
	u, err := requestURL(&e)
	if err != nil {
		return nil, err
	}
	body, err := requestBody(&e)
	if err != nil {
		return nil, err
	}
	header, err := requestHeader(&e)
	if err != nil {
		return nil, err
	}
	host := header.Get("Host")
	if host == "" {
		host = e.RequestContext.DomainName
	}
	header.Del("Host")
	r := &http.Request{
		Method: e.HTTPMethod,
		URL:    u, RequestURI: u.RequestURI(),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Host: host,
		Body: http.NoBody, ContentLength: int64(len(body)),
		RemoteAddr: remoteAddr(e.RequestContext.Identity.SourceIP),
	}
	if len(body) > 0 {
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	return r.WithContext(ctx), nil
}

func requestURL(e *events.APIGatewayProxyRequest) (*url.URL, error) {
	escaped := "/"
	if e.Path != "" {
		escaped = escapePath(e.Path)
	}
	if escaped[0] != '/' {
		return nil, errors.New("its path does not begin with a slash")
	}
	escaped = withoutBasePath(escaped, e)
	path, err := url.PathUnescape(escaped)
	if err != nil {
		return nil, errors.New("its path has an invalid percent-encoding")
	}
	u := &url.URL{Path: path, RawQuery: requestQuery(e).Encode()}
	if u.EscapedPath() != escaped {
		u.RawPath = escaped
	}
	return u, nil
}

// escapePath encodes the bytes that an encoded path never has. The console's test
// call and local tools do not encode, and a "?" must not end the path.
func escapePath(path string) string {
	var b strings.Builder
	for i := range len(path) {
		c := path[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte("?#\"<>\\^`{|}[]", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// withoutBasePath takes off leading segments until what is left is what the
// resource /{proxy+} matched. If nothing fits, the path is as good as it was.
func withoutBasePath(escaped string, e *events.APIGatewayProxyRequest) string {
	if e.Resource == "/" {
		return "/"
	}
	proxy := strings.Trim(e.PathParameters["proxy"], "/")
	if e.Resource != "/{proxy+}" || proxy == "" {
		return escaped
	}
	// A mapping has at most 300 characters, and decoding never lengthens.
	for rest := escaped; len(rest) >= len(proxy) && len(escaped)-len(rest) <= 301; {
		trimmed := strings.Trim(rest, "/")
		decoded, err := url.PathUnescape(trimmed)
		if trimmed == proxy || err == nil && strings.Trim(decoded, "/") == proxy {
			return rest
		}
		next := strings.IndexByte(rest[1:], '/')
		if next < 0 {
			break
		}
		rest = rest[1+next:]
	}
	return escaped
}

func requestQuery(e *events.APIGatewayProxyRequest) url.Values {
	if len(e.MultiValueQueryStringParameters) > 0 {
		return e.MultiValueQueryStringParameters
	}
	query := make(url.Values, len(e.QueryStringParameters))
	for name, value := range e.QueryStringParameters {
		query.Set(name, value)
	}
	return query
}

func requestBody(e *events.APIGatewayProxyRequest) ([]byte, error) {
	if !e.IsBase64Encoded {
		return []byte(e.Body), nil
	}
	body, err := base64.StdEncoding.DecodeString(e.Body)
	if err != nil {
		return nil, errors.New("its body is not valid base64")
	}
	return body, nil
}

// requestHeader has the headers without those of the connection: the connection to
// API Gateway is not ours, and the length is that of the decoded body.
func requestHeader(e *events.APIGatewayProxyRequest) (http.Header, error) {
	h := make(http.Header, len(e.MultiValueHeaders))
	for name, values := range e.MultiValueHeaders {
		for _, value := range values {
			h.Add(name, value)
		}
	}
	if len(h) == 0 {
		for name, value := range e.Headers {
			h.Set(name, value)
		}
	}
	for name, values := range h {
		if !isToken(name) {
			return nil, errors.New("it has a header with an invalid name")
		}
		for _, value := range values {
			if strings.ContainsFunc(value, isControl) {
				return nil, fmt.Errorf("its header %s has an invalid value", name)
			}
		}
	}
	dropHopByHop(h)
	return h, nil
}

// remoteAddr has the form that net/http gives it; the port is not known.
func remoteAddr(ip string) string {
	if ip == "" {
		return ""
	}
	return net.JoinHostPort(ip, "0")
}

// isToken reports whether s is a token of RFC 9110: a method or header name.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && !('0' <= c && c <= '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
