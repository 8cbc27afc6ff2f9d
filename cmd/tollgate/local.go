package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"tollgate/internal/admin"
	"tollgate/internal/afterwork"
	"tollgate/internal/awsauth"
	"tollgate/internal/awsconfig"
	"tollgate/internal/config"
	"tollgate/internal/price/stored"
	"tollgate/internal/proxy"
	"tollgate/internal/record"
	"tollgate/internal/secret"
	"tollgate/internal/store/bolt"
	"tollgate/internal/store/dynamo"
	"tollgate/internal/telemetry"
	"tollgate/internal/web"
)

// localOptions is what `tollgate local` is called with.
type localOptions struct {
	adminAddr, proxyAddr, data string
	dynamodb                   bool
	quiet                      bool // no greeting, no access records: for benchmarks and the demo
	env                        config.Config
}

func (p *program) localCommand() *cobra.Command {
	var o localOptions
	c := &cobra.Command{
		Use:   "local",
		Short: "Run the proxy and the admin API on this machine",
		Long: `Runs the proxy and the admin API on this machine, with everything in one folder or,
with --dynamodb, in DynamoDB. SIGTERM finishes what is in flight and settles it.
docs/configuration.md lists the environment variables.`,
		Example: "  tollgate local --data ./.tollgate --proxy-addr 127.0.0.1:9002",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if o.env, err = config.Read(p.getenv); err != nil {
				return fmt.Errorf("the environment:\n%w", err)
			}
			return runLocal(c.Context(), o, p.out, p.stderr)
		},
	}
	or := func(name, preset string) string {
		if v := p.getenv(name); v != "" {
			return v
		}
		return preset
	}
	f := c.Flags()
	f.StringVar(&o.adminAddr, "admin-addr", or("TOLLGATE_ADMIN_ADDR", "127.0.0.1:8001"), "`address` of the admin API (TOLLGATE_ADMIN_ADDR)")
	f.StringVar(&o.proxyAddr, "proxy-addr", or("TOLLGATE_PROXY_ADDR", "127.0.0.1:8002"), "`address` of the proxy (TOLLGATE_PROXY_ADDR)")
	f.StringVar(&o.data, "data", or("TOLLGATE_DATA", "./.tollgate"), "`folder` of the embedded store and of the key file (TOLLGATE_DATA)")
	f.BoolVar(&o.dynamodb, "dynamodb", or("TOLLGATE_DYNAMODB", "false") == "true", "keep everything in DynamoDB, with the usual AWS variables (TOLLGATE_DYNAMODB)")
	f.BoolVar(&o.quiet, "quiet", false, "no greeting and no access records")
	return c
}

// store is what both stores offer.
type store interface {
	proxy.Store
	admin.Store
	record.Store
	Close() error
}

// openStore opens the store that the options name.
func openStore(ctx context.Context, o localOptions) (store, error) {
	if !o.dynamodb {
		return bolt.Open(filepath.Join(o.data, "tollgate.db"), bolt.Options{Retention: o.env.Retention, FoldEvery: foldEvery})
	}
	opts := dynamo.Options{GatewayTable: o.env.GatewayTable, UsageTable: o.env.UsageTable, Retention: o.env.Retention}
	if opts.GatewayTable == "" {
		opts.GatewayTable = "tollgate-gateway"
	}
	if opts.UsageTable == "" {
		opts.UsageTable = "tollgate-usage"
	}
	cfg, err := awsconfig.Load(ctx)
	if err != nil {
		return nil, err
	}
	client := dynamo.NewClient(cfg)
	if err := dynamo.CreateTables(ctx, client, opts); err != nil {
		return nil, fmt.Errorf("DynamoDB tables %s and %s: %w", opts.GatewayTable, opts.UsageTable, err)
	}
	return newFolding(dynamo.New(client, opts), telemetry.NewLogger(os.Stderr, o.env.Level)), nil
}

// local is the whole gateway on one machine.
type local struct {
	store   store
	admin   *http.Server
	proxy   *http.Server
	tracker afterwork.Tracker

	AdminURL, ProxyURL string
	listeners          [2]net.Listener
}

// startLocal listens and serves until Stop.
func startLocal(ctx context.Context, o localOptions, log io.Writer) (*local, error) {
	if o.env.AdminPass.Empty() && !loopback(o.adminAddr) {
		return nil, usageError("the admin API at " + o.adminAddr + " can be reached from other machines: set ADMIN_PASS")
	}
	if err := os.MkdirAll(o.data, 0o700); err != nil {
		return nil, err
	}
	box, err := secret.OpenFileBox(filepath.Join(o.data, "secret.key"))
	if err != nil {
		return nil, err
	}
	l := &local{}
	if l.store, err = openStore(ctx, o); err != nil {
		return nil, err
	}
	logger := telemetry.NewLogger(log, o.env.Level)
	if o.quiet {
		logger = telemetry.NewLogger(log, slog.LevelError)
	}
	l.admin = server(admin.New(admin.Config{
		Store: l.store, Box: box, Password: o.env.AdminPass, Log: logger,
		CORS: web.CORS{Origins: o.env.AdminCORSOrigins}, AuditRetention: o.env.AuditRetention,
		AllowPrivate: o.env.AllowPrivate, ShowSecrets: o.env.ShowSecrets,
	}))
	prices := stored.NewSource(l.store, logger, time.Now)
	l.proxy = server(afterwork.Handler(proxy.New(proxy.Config{
		Store: l.store, Box: box, Prices: prices.Table, RefreshPrices: prices.Refresh, Upstream: proxy.NewTransport(),
		Signer:  awsauth.New(awsauth.Options{}),
		Log:     telemetry.Log{Logger: logger, Namespace: o.env.MetricsNamespace},
		Timeout: o.env.ProxyTimeout, MaxBody: o.env.MaxBody,
		CORS: web.CORS{Origins: o.env.CORSOrigins}, RemoveUserAgent: o.env.RemoveUserAgent,
	}), &l.tracker))
	if err := l.listen(o); err != nil {
		return nil, errors.Join(err, l.store.Close())
	}
	return l, nil
}

// server has limits for clients that do not get on with it. Bodies have limits of
// their own: an answer may take as long as it takes.
func server(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
}

func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (l *local) listen(o localOptions) error {
	for i, addr := range []string{o.adminAddr, o.proxyAddr} {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			if i > 0 {
				l.listeners[0].Close()
			}
			return fmt.Errorf("cannot listen on %s: %w", addr, err)
		}
		l.listeners[i] = ln
	}
	l.AdminURL, l.ProxyURL = "http://"+l.listeners[0].Addr().String(), "http://"+l.listeners[1].Addr().String()
	return nil
}

// Serve serves until the context ends, then finishes what is in flight, settles
// it and closes the store.
func (l *local) Serve(ctx context.Context, grace time.Duration, stderr io.Writer) error {
	failed := make(chan error, 2)
	go func() { failed <- l.admin.Serve(l.listeners[0]) }()
	go func() { failed <- l.proxy.Serve(l.listeners[1]) }()
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	end, stop := signal.NotifyContext(end, os.Interrupt, syscall.SIGTERM)
	defer stop()
	if n := l.tracker.Busy(); n > 0 {
		fmt.Fprintf(stderr, "tollgate: finishing %d calls; interrupt again to end them now\n", n)
	}
	stopped := errors.Join(l.admin.Shutdown(end), l.proxy.Shutdown(end), l.tracker.Wait(end))
	if end.Err() != nil {
		stopped = l.cut()
	}
	return errors.Join(err, stopped, l.store.Close())
}

// lastWait is how long calls have to be settled that are cut.
const lastWait = 3 * time.Second

// cut ends what is in flight. Streams end with their connections and are settled; the
// reservation of a call that has not ended by then is closed when it has expired.
func (l *local) cut() error {
	_ = errors.Join(l.admin.Close(), l.proxy.Close()) // the listeners are closed already
	ctx, cancel := context.WithTimeout(context.Background(), lastWait)
	defer cancel()
	if l.tracker.Wait(ctx) == nil {
		return nil
	}
	return fmt.Errorf("%d calls were not finished: what they reserved stays charged", l.tracker.Busy())
}

// gcPercent lets the heap, a few megabytes, grow to five times what lives before
// it is collected: at the default the collector runs many times a second and takes
// a fifth of the CPU. GOGC in the environment has the last word.
const gcPercent = 400

func runLocal(ctx context.Context, o localOptions, stdout, stderr io.Writer) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	l, err := startLocal(ctx, o, stderr)
	if err != nil {
		return err
	}
	if !o.quiet {
		fmt.Fprintf(stdout, greeting, l.AdminURL, l.ProxyURL, l.AdminURL, l.AdminURL, l.ProxyURL)
	}
	return l.Serve(ctx, o.env.ProxyTimeout, stderr)
}

const greeting = `Tollgate is running.
  admin API  %s
  proxy      %s

Try next (the first answers with the id that the second needs):

curl -X PUT %s/api/provider-settings -H 'Content-Type: application/json' \
  -d '{"provider":"openai","setting":{"apikey":"YOUR_OPENAI_KEY"}}'

curl -X PUT %s/api/key-management/keys -H 'Content-Type: application/json' \
  -d '{"name":"My Secret Key","key":"my-secret-key","tags":["mykey"],"settingIds":["ID_FROM_ABOVE"],"rateLimitOverTime":2,"rateLimitUnit":"m","costLimitInUsd":0.25}'

curl -X POST %s/api/providers/openai/v1/chat/completions -H 'Authorization: Bearer my-secret-key' \
  -H 'Content-Type: application/json' -d '{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hi"}]}'

`
