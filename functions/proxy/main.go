// Command proxy is the data plane as a Lambda function: streaming, behind a REST
// API of its own. It only wires.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"

	"tollgate/internal/awsauth"
	"tollgate/internal/awsconfig"
	"tollgate/internal/config"
	"tollgate/internal/lambdahttp"
	"tollgate/internal/price"
	"tollgate/internal/price/stored"
	"tollgate/internal/proxy"
	"tollgate/internal/secret/kmsbox"
	"tollgate/internal/store/dynamo"
	"tollgate/internal/telemetry"
	"tollgate/internal/web"
)

func main() {
	handler, err := wire(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "proxy:", err)
		os.Exit(1)
	}
	lambda.Start(lambdahttp.Stream(handler, lambdahttp.Options{}))
}

// warmTimeout bounds the read that opens the connection to DynamoDB while the
// process still has its start-up share of the CPU.
const warmTimeout = 500 * time.Millisecond

// prepare does now, side by side, what the first call would have to wait for: it
// parses the embedded price table, looks for a stored one and opens the connection
// to DynamoDB.
func prepare(ctx context.Context, store *dynamo.Store, prices *stored.Source, log *slog.Logger) {
	var done sync.WaitGroup
	defer done.Wait()
	done.Go(func() { price.Embedded() })
	done.Go(func() { prices.Refresh(ctx) })
	ctx, cancel := context.WithTimeout(ctx, warmTimeout)
	defer cancel()
	if err := store.Warm(ctx); err != nil {
		log.Warn("DynamoDB did not answer at start", "error", err) // the first call tries again
	}
}

func wire(ctx context.Context) (http.Handler, error) {
	env, err := config.FromEnvironment()
	if err != nil {
		return nil, err
	}
	if err := env.RequireAWS(); err != nil {
		return nil, err
	}
	cfg, err := awsconfig.Load(ctx)
	if err != nil {
		return nil, err
	}
	store := dynamo.New(dynamo.NewClient(cfg), dynamo.Options{
		GatewayTable: env.GatewayTable, UsageTable: env.UsageTable, Retention: env.Retention,
	})
	log := telemetry.NewLogger(os.Stdout, env.Level)
	prices := stored.NewSource(store, log, time.Now)
	prepare(ctx, store, prices, log)
	return proxy.New(proxy.Config{
		Store:           store,
		Box:             kmsbox.New(cfg, env.KMSKeyID),
		Prices:          prices.Table,
		RefreshPrices:   prices.Refresh,
		Upstream:        proxy.NewTransport(os.Getenv("AWS_LAMBDA_RUNTIME_API")),
		Signer:          awsauth.New(awsauth.Options{Load: func(context.Context) (aws.Config, error) { return cfg, nil }}),
		Log:             telemetry.Log{Logger: log, Namespace: env.MetricsNamespace},
		Timeout:         env.ProxyTimeout,
		MaxBody:         env.MaxBody,
		CORS:            web.CORS{Origins: env.CORSOrigins},
		RemoveUserAgent: env.RemoveUserAgent,
	}), nil
}
