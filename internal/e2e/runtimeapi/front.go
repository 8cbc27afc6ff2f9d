package runtimeapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/uuid"
)

const bodyLimit = 10 << 20 // bytes of a request body at API Gateway

// ServeHTTP does for a request what a REST API does: it makes a proxy event of it,
// invokes the function, waiting for a free process, and passes the answer on.
func (f *Function) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e, status, err := f.event(r)
	if err != nil {
		refuse(w, status, err.Error())
		return
	}
	payload, err := json.Marshal(e)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	if len(payload) > f.config.EventLimit {
		refuse(w, http.StatusRequestEntityTooLarge, "the event is too large for the function")
		return
	}
	c := newCall(uuid.NewString(), payload, time.Now().Add(f.config.Timeout))
	go f.dispatch(c)
	select {
	case a := <-c.answer:
		w.Header().Set("X-Amzn-Requestid", e.RequestContext.RequestID)
		f.relay(w, r, a)
	case <-r.Context().Done(): // the function is not told, and goes on
		go c.discard()
	}
}

// dispatch waits for a process that takes the call.
func (f *Function) dispatch(c *call) {
	select {
	case f.calls <- c:
	case <-f.stopped:
		c.fail(http.StatusServiceUnavailable, "the function is stopped")
	case <-f.broken:
		c.fail(http.StatusBadGateway, f.why().Error())
	}
}

// discard reads what nobody waits for, so that the function can write on.
func (c *call) discard() {
	if a := <-c.answer; a.body != nil {
		io.Copy(io.Discard, a.body)
	}
}

func (f *Function) event(r *http.Request) (*events.APIGatewayProxyRequest, int, error) {
	path, ok := f.withoutStage(r.URL.EscapedPath())
	if !ok {
		return nil, http.StatusForbidden, errors.New("no such stage")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, bodyLimit+1))
	if err != nil {
		return nil, http.StatusBadRequest, fmt.Errorf("body: %w", err)
	}
	if len(body) > bodyLimit {
		return nil, http.StatusRequestEntityTooLarge, errors.New("the body is larger than 10 MiB")
	}
	e := &events.APIGatewayProxyRequest{
		Resource:          "/",
		Path:              path,
		HTTPMethod:        r.Method,
		MultiValueHeaders: f.headers(r),
		RequestContext:    f.requestContext(r, path),
	}
	e.Headers = lastOf(e.MultiValueHeaders)
	if path != "/" {
		proxy, err := url.PathUnescape(strings.TrimPrefix(path, "/"))
		if err != nil {
			return nil, http.StatusBadRequest, err
		}
		e.Resource, e.PathParameters = "/{proxy+}", map[string]string{"proxy": proxy}
	}
	if query := r.URL.Query(); len(query) > 0 {
		e.MultiValueQueryStringParameters = query
		e.QueryStringParameters = lastOf(query)
	}
	e.Body = string(body)
	if e.IsBase64Encoded = len(body) > 0 && !f.isText(r); e.IsBase64Encoded {
		e.Body = base64.StdEncoding.EncodeToString(body)
	}
	if f.config.Caller != nil {
		arn := f.config.Caller(r)
		if arn == "" {
			return nil, http.StatusForbidden, errMissingToken
		}
		e.RequestContext.Identity.UserArn, e.RequestContext.Identity.Caller = arn, arn
	}
	return e, 0, nil
}

// withoutStage takes the stage off a path and reports whether it was there.
func (f *Function) withoutStage(path string) (string, bool) {
	if f.config.Stage == "" {
		return path, true
	}
	rest, ok := strings.CutPrefix(path, "/"+f.config.Stage)
	if rest == "" {
		rest = "/"
	}
	return rest, ok && rest[0] == '/'
}

func (f *Function) isText(r *http.Request) bool {
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return slices.Contains(f.config.Text, strings.TrimSpace(media))
}

func (f *Function) headers(r *http.Request) http.Header {
	h := r.Header.Clone()
	for _, name := range []string{"Connection", "Content-Length", "Te", "Transfer-Encoding", "Upgrade"} {
		h.Del(name)
	}
	if f.config.Caller != nil {
		h.Del("Authorization") // it held the signature
	}
	ip := sourceIP(r)
	h.Set("Host", r.Host)
	h.Add("X-Forwarded-For", ip)
	h.Set("X-Forwarded-Port", "443")
	h.Set("X-Forwarded-Proto", "https")
	h.Set("X-Amzn-Trace-Id", "Root=1-00000000-000000000000000000000000")
	return h
}

func (f *Function) requestContext(r *http.Request, path string) events.APIGatewayProxyRequestContext {
	stage, now := f.config.Stage, time.Now().UTC()
	full := path
	if stage == "" {
		stage = "local"
	} else {
		full = "/" + stage + path
	}
	return events.APIGatewayProxyRequestContext{
		AccountID: account, APIID: "local", Stage: stage, Path: full,
		HTTPMethod: r.Method, Protocol: r.Proto, DomainName: r.Host,
		RequestID:   uuid.NewString(),
		RequestTime: now.Format("02/Jan/2006:15:04:05 -0700"), RequestTimeEpoch: now.UnixMilli(),
		Identity: events.APIGatewayRequestIdentity{
			SourceIP: sourceIP(r), UserAgent: r.UserAgent(), AccountID: account,
		},
	}
}

func sourceIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

func lastOf(multi map[string][]string) map[string]string {
	single := make(map[string]string, len(multi))
	for name, values := range multi {
		if len(values) > 0 {
			single[name] = values[len(values)-1]
		}
	}
	return single
}

// proxyAnswer is what a function answers, buffered or as the prelude of a stream.
type proxyAnswer struct {
	StatusCode        int                 `json:"statusCode"`
	Headers           map[string]string   `json:"headers"`
	MultiValueHeaders map[string][]string `json:"multiValueHeaders"`
	Cookies           []string            `json:"cookies"`
	Body              string              `json:"body"`
	IsBase64Encoded   bool                `json:"isBase64Encoded"`
}

func (p *proxyAnswer) answer() (answer, error) {
	if p.StatusCode < 100 || p.StatusCode > 599 {
		return answer{}, fmt.Errorf("status code %d", p.StatusCode)
	}
	header := make(http.Header)
	for name, value := range p.Headers {
		header.Set(name, value)
	}
	for name, values := range p.MultiValueHeaders {
		header[http.CanonicalHeaderKey(name)] = values
	}
	for _, cookie := range p.Cookies {
		header.Add("Set-Cookie", cookie)
	}
	body := []byte(p.Body)
	if p.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(p.Body); err != nil {
			return answer{}, fmt.Errorf("body: %w", err)
		}
	}
	return answer{status: p.StatusCode, header: header, body: bytes.NewReader(body)}, nil
}

// relay sends the answer to the caller, each piece as it comes. A response that the
// function cannot complete is cut off.
func (f *Function) relay(w http.ResponseWriter, r *http.Request, a answer) {
	if a.refused != "" {
		refuse(w, a.status, a.refused)
		return
	}
	if body, ok := a.body.(io.Closer); ok {
		defer body.Close() // the function's next write then finds nobody
	}
	for name, values := range a.header {
		switch name {
		case "Www-Authenticate", "Server", "Date": // the service renames these
			name = "X-Amzn-Remapped-" + name
		case "Connection", "Content-Length", "Transfer-Encoding":
			continue
		}
		w.Header()[name] = values
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(a.status)
	if f.config.Buffered {
		io.Copy(w, a.body)
		return
	}
	flush := http.NewResponseController(w).Flush
	piece := make([]byte, 32<<10)
	for flush() == nil {
		n, err := a.body.Read(piece)
		if _, gone := w.Write(piece[:n]); gone != nil {
			return
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

// refuse answers in the function's place, in the shape that the template gives to
// gateway responses.
func refuse(w http.ResponseWriter, status int, message string) {
	kind := "server_error"
	if status < http.StatusInternalServerError {
		kind = "invalid_request_error"
	}
	body, _ := json.Marshal(map[string]any{ // strings always marshal
		"type":  "error",
		"error": map[string]any{"type": kind, "message": message, "param": nil, "code": "gateway"},
	})
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body)
}

// errMissingToken has API Gateway's own words for a call without a signature.
//
//lint:ignore ST1005 a client sees them as they are
var errMissingToken = errors.New("Missing Authentication Token")
