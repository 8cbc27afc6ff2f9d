package main

import (
	"context"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tollgate/internal/adminclient"
)

// connection says which admin API a command talks to.
type connection struct {
	local           bool
	url             string
	profile, region string
}

// localAdmin is where `tollgate local` serves the admin API unless told otherwise.
const localAdmin = "http://127.0.0.1:8001"

func (o *connection) flags(c *cobra.Command, getenv func(string) string) {
	f := c.PersistentFlags()
	f.BoolVar(&o.local, "local", false, "talk to 'tollgate local' on this machine; its password, if any, is taken from ADMIN_PASS")
	f.StringVar(&o.url, "url", getenv("TOLLGATE_ADMIN_URL"), "`URL` of the admin API (TOLLGATE_ADMIN_URL)")
	f.StringVar(&o.profile, "profile", "", "AWS `profile` to sign with (AWS_PROFILE)")
	f.StringVar(&o.region, "region", "", "AWS `region` of the deployment (AWS_REGION, or what the URL says)")
}

// client makes the client that the flags and the environment ask for.
func (p *program) client(ctx context.Context) (*adminclient.Client, error) {
	o := &p.connection
	base := o.url
	if o.local && base == "" {
		base = localAdmin
	}
	if base == "" {
		return nil, usageError("no gateway was named: set TOLLGATE_ADMIN_URL to its admin URL, or call with --local")
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, usage("%q is not a URL", base)
	}
	c := &adminclient.Client{Base: base, HTTP: p.http}
	region, onAWS := gatewayRegion(u.Hostname())
	if o.local || !onAWS && !o.signs(u.Hostname(), p.getenv) {
		c.Signer = adminclient.Password(p.getenv("ADMIN_PASS"))
		return c, nil
	}
	if o.region != "" {
		region = o.region
	}
	signer, err := adminclient.NewSigV4(ctx, o.profile, region)
	if err != nil {
		return nil, &adminclient.Error{Status: 401, Detail: err.Error()}
	}
	c.Signer = signer
	return c, nil
}

// signs reports whether requests to a host that is not API Gateway's own are signed:
// it may be a deployment's domain, or a gateway elsewhere that asks for a password, as
// the peer's clients send it. Whoever set a password has one to send; this machine is
// not on AWS.
func (o *connection) signs(host string, getenv func(string) string) bool {
	if o.profile != "" || o.region != "" {
		return true
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() || getenv("ADMIN_PASS") != "" {
		return false
	}
	return slices.ContainsFunc([]string{"AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID"},
		func(name string) bool { return getenv(name) != "" })
}

// gatewayRegion reads the region out of an API Gateway host name:
// <id>.execute-api.<region>.amazonaws.com.
func gatewayRegion(host string) (region string, onAWS bool) {
	_, rest, found := strings.Cut(host, ".execute-api.")
	if !found {
		return "", false
	}
	region, _, onAWS = strings.Cut(rest, ".")
	return region, onAWS
}

// call is one call of the admin API.
func (p *program) call(ctx context.Context, method, path string, query url.Values, body, answer any) error {
	_, err := p.page(ctx, method, path, query, body, answer)
	return err
}

func (p *program) page(ctx context.Context, method, path string, query url.Values, body, answer any) (next string, err error) {
	c, err := p.client(ctx)
	if err != nil {
		return "", err
	}
	page, err := c.Call(ctx, method, path, query, body, answer)
	return page.Next, err
}
