// Command admin is the control plane as a Lambda function: buffered, behind a REST
// API that lets in whom IAM allows. It only wires.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/awslabs/aws-lambda-go-api-proxy/core"
	"github.com/awslabs/aws-lambda-go-api-proxy/httpadapter"

	"tollgate/internal/admin"
	"tollgate/internal/awsconfig"
	"tollgate/internal/config"
	"tollgate/internal/secret/kmsbox"
	"tollgate/internal/store/dynamo"
	"tollgate/internal/telemetry"
	"tollgate/internal/web"
)

func main() {
	handler, err := wire(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "admin:", err)
		os.Exit(1)
	}
	lambda.Start(httpadapter.New(handler).ProxyWithContext)
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
	return admin.New(admin.Config{
		Store: store,
		Box:   kmsbox.New(cfg, env.KMSKeyID),
		Log:   telemetry.NewLogger(os.Stdout, env.Level),
		// No password: API Gateway lets nobody in whom IAM does not allow.
		Identity: identity,
		CORS:     web.CORS{Origins: env.AdminCORSOrigins}, AuditRetention: env.AuditRetention,
		AllowPrivate: env.AllowPrivate, ShowSecrets: env.ShowSecrets,
	}), nil
}

// identity is the ARN of whom IAM let in.
func identity(r *http.Request) string {
	c, ok := core.GetAPIGatewayContextFromContext(r.Context())
	if !ok || c.Identity.UserArn == "" {
		return "unknown"
	}
	return c.Identity.UserArn
}
