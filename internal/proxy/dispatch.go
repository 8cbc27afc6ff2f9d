package proxy

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"syscall"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/provider"
)

// NewTransport is the client side towards providers. One for the process. The
// platform's own addresses (host:port, such as that of Lambda's Runtime API) are not
// called, nor is any cloud's credential service.
func NewTransport(platform ...string) *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second, Control: refuse(platform)}).DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          2048,
		MaxIdleConnsPerHost:   1024, // the default of 2 makes a new connection for almost every call
		IdleConnTimeout:       90 * time.Second,
		ExpectContinueTimeout: time.Second,
		// A connection that died while a Lambda environment was frozen says nothing.
		// A call on it would wait for as long as it may.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
		// More than any provider sends; a megabyte of headers is not an answer.
		MaxResponseHeaderBytes: 256 << 10,
		WriteBufferSize:        16 << 10,
		ReadBufferSize:         16 << 10,
	}
}

// credentialServiceV6 is where EC2 has its credential service in IPv6.
var credentialServiceV6 = netip.MustParseAddr("fd00:ec2::254")

// refuse keeps connections from the link-local addresses where clouds hand out a
// machine's own credentials, and from the platform's own service on this machine,
// whatever name led there: the admin API refuses such URLs, but a name may come to
// mean something else later.
func refuse(platform []string) func(network, address string, _ syscall.RawConn) error {
	ports := make(map[uint16]bool)
	for _, own := range platform {
		if at, err := netip.ParseAddrPort(own); err == nil {
			ports[at.Port()] = true
		}
	}
	return func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return nil // not an IP address: a socket of another kind
		}
		addr := at.Addr().Unmap().WithZone("")
		switch {
		case addr.IsLinkLocalUnicast() || addr == credentialServiceV6:
			return errLinkLocal
		case (addr.IsLoopback() || addr.IsUnspecified()) && ports[at.Port()]:
			return errPlatform
		}
		return nil
	}
}

var errPlatform = errors.New("proxy: the platform's own service is not called")

var errLinkLocal = errors.New("proxy: link-local addresses are not called")

// dispatch sends the call and waits for the head of its answer, so that the
// provider's own status reaches the caller.
func (x *exchange) dispatch(ctx context.Context) error {
	cred, err := x.server.directory.open(ctx, x.setting)
	if err != nil {
		return err
	}
	// A plain call runs to its end even when the caller leaves: the provider bills it
	// in full, and only its end says what it cost. A stream is cancelled, and what had
	// passed is counted.
	caller := ctx
	ctx, x.cancel = context.WithTimeout(context.WithoutCancel(ctx), x.left())
	if x.call.Stream {
		x.stay = context.AfterFunc(caller, func() {
			if !errors.Is(caller.Err(), context.DeadlineExceeded) { // that is x.end, too
				x.leave()
			}
		})
	}
	req, err := x.upstreamRequest(ctx)
	if err != nil {
		return err
	}
	if err := x.credit(ctx, req, cred); err != nil {
		return err
	}
	x.response, err = x.server.Upstream.RoundTrip(req)
	if err != nil {
		return x.upstreamError(ctx, err)
	}
	provider.Answer(x.call, x.response)
	switch s := x.response.StatusCode; {
	case s < 200:
		x.response.Body.Close()
		return &gateway.Error{Kind: gateway.BadGateway, Code: "upstream_unreachable", NoRetry: true,
			Message: "The provider switched to another protocol, which was not asked for."}
	case s >= 300 && s < 400 && s != http.StatusNotModified:
		x.response.Body.Close()
		return &gateway.Error{Kind: gateway.BadGateway, Code: "upstream_redirect", NoRetry: true,
			Message: "The provider answered with a redirect, which is not followed. An operator should set the provider setting's url to its target."}
	}
	return nil
}

func (x *exchange) upstreamRequest(ctx context.Context) (*http.Request, error) {
	url := x.endpoint.Vendor.BaseURL(&x.setting.Setting) + x.path
	if x.call.Path == "" {
		url = withQuery(url, x.r.URL.RawQuery)
	}
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { x.sent = true },
	})
	req, err := http.NewRequestWithContext(ctx, x.r.Method, url, bytes.NewReader(x.call.Body))
	if err != nil {
		return nil, &gateway.Error{Kind: gateway.BadGateway, Code: "bad_upstream_url", NoRetry: true, Err: err,
			Message: "The provider setting's url cannot be called."}
	}
	req.Header = upstreamHeader(x.r.Header, x.server.RemoveUserAgent)
	for name, values := range x.call.Header {
		if req.Header[name] = values; len(values) == 0 {
			delete(req.Header, name)
		}
	}
	return req, nil
}

// credit puts the credential of the setting into the request: into its headers, or
// by signing all of it.
func (x *exchange) credit(ctx context.Context, req *http.Request, cred provider.Credential) error {
	v, ok := x.endpoint.Vendor.(provider.Signing)
	if !ok {
		x.endpoint.Vendor.Authorize(req.Header, cred)
		return nil
	}
	id, ok := v.Identity(cred, x.endpoint.Vendor.BaseURL(&x.setting.Setting))
	switch {
	case !ok:
		x.endpoint.Vendor.Authorize(req.Header, cred)
		return nil
	case x.server.Signer == nil:
		return errCannotSign
	}
	return x.server.Signer.Sign(ctx, req, x.call.Body, id)
}

var errCannotSign = &gateway.Error{Kind: gateway.Internal, Code: "cannot_sign",
	Message: "The gateway runs without the means to sign calls to AWS."}

// upstreamError sorts a failure to get an answer. A call that may have reached the
// provider may have been billed: clients are told not to repeat it by themselves.
func (x *exchange) upstreamError(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &gateway.Error{Kind: gateway.Timeout, NoRetry: x.sent, Err: err,
			Message: "The provider did not answer in time."}
	}
	if ctx.Err() != nil {
		return &gateway.Error{Kind: gateway.BadGateway, Code: "client_closed_request", Err: err,
			Message: "The caller left before the provider answered."}
	}
	return &gateway.Error{Kind: gateway.BadGateway, Code: "upstream_unreachable", NoRetry: x.sent, Err: err,
		Message: "The provider cannot be reached, or did not answer with HTTP."}
}
