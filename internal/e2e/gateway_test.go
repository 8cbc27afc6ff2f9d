package e2e

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/internal/e2e/runtimeapi"
	"tollgate/internal/store/dynamo"
	"tollgate/internal/store/dynamo/dynoxidetest"
)

// running is a gateway that runs: either `tollgate local` or the two functions.
type running struct {
	admin *adminAPI
	proxy string // base URL
	log   *output

	// On Lambda only.
	function *runtimeapi.Function // the proxy
	store    *dynamo.Store        // beside the functions, not counted by db
	tables   *dynamodb.Client     // likewise
	usage    string               // the table
	env      []string             // names all of it to a function
	db, kms  *recorder
}

// shape is how the proxy function runs.
type shape struct {
	processes      int // execution environments; 1 if 0
	maxConcurrency int // AWS_LAMBDA_MAX_CONCURRENCY; unset if 0
	timeout        time.Duration
	env            []string
}

// startLambda runs both functions against a database and a key service of their own.
func startLambda(t *testing.T, s shape) *running {
	t.Helper()
	g := &running{log: &output{}}
	g.env = g.startAWS(t)
	env := append(slices.Clone(g.env), "GOMEMLIMIT=96MiB", "LOGGING_LEVEL=info", "METRICS_NAMESPACE=Tollgate")
	admin := startFunction(t, g, runtimeapi.Config{
		Binary: adminBinary(t), Name: "admin", Env: env, Timeout: 29 * time.Second,
		Buffered: true, Stage: "prod", Text: []string{"application/json"}, Caller: signedBy,
	})
	g.function = startFunction(t, g, runtimeapi.Config{
		Binary: proxyBinary(t), Name: "proxy", Env: append(env, s.env...), Timeout: s.timeout,
		Processes: s.processes, MaxConcurrency: s.maxConcurrency, Stage: "prod",
	})
	g.admin = newAdminAPI(serve(t, admin) + "/prod")
	g.proxy = serve(t, g.function) + "/prod"
	return g
}

// signedBy lets in whoever has signed, as IAM would.
func signedBy(r *http.Request) string {
	if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ") {
		return ""
	}
	return "arn:aws:iam::123456789012:user/operator"
}

// startFunction runs a function until the test ends, and then looks whether it
// was well all the time.
func startFunction(t *testing.T, g *running, c runtimeapi.Config) *runtimeapi.Function {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c.Output = g.log
	f, err := runtimeapi.Start(ctx, c)
	if err != nil {
		t.Fatalf("function %s: %v\n%s", c.Name, err, g.log)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func serve(t testing.TB, h http.Handler) (url string) {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

var tables atomic.Int64

// startAWS makes the tables and tells the environment in which the functions find
// them.
func (g *running) startAWS(t *testing.T) (env []string) {
	t.Helper()
	if os.Getenv("DYNAMODB_ENDPOINT") == "" {
		need(t, ".ci/tools/dynoxide/node_modules/@dynoxide/linux-x64/dynoxide")
	}
	endpoint := dynoxidetest.Start(t)
	client := dynamodb.New(dynamodb.Options{
		Region: "eu-central-1", BaseEndpoint: &endpoint,
		Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""),
	})
	name := fmt.Sprintf("%x-%d", time.Now().UnixNano(), tables.Add(1))
	opts := dynamo.Options{GatewayTable: "gateway-" + name, UsageTable: "usage-" + name}
	if err := dynamo.CreateTables(t.Context(), client, opts); err != nil {
		t.Fatal(err)
	}
	g.store, g.tables, g.usage = dynamo.New(client, opts), client, opts.UsageTable
	var db, kms string
	g.db, db = newRecorder(t, forward(t, endpoint))
	g.kms, kms = newRecorder(t, fakeKMS{})
	return []string{
		"AWS_ENDPOINT_URL_DYNAMODB=" + db, "AWS_ENDPOINT_URL_KMS=" + kms, "KMS_KEY_ID=alias/tollgate",
		"GATEWAY_TABLE=" + opts.GatewayTable, "USAGE_TABLE=" + opts.UsageTable,
	}
}

// startLocal runs `tollgate local` on its embedded store until the test ends.
func startLocal(t *testing.T) *running {
	t.Helper()
	g := &running{log: &output{}}
	g.local(t)
	return g
}

// local runs `tollgate local` in that environment until the test ends, and fills in
// where it listens.
func (g *running) local(t *testing.T, env ...string) {
	t.Helper()
	cmd := exec.Command(localBinary(t), "local", "--admin-addr", "127.0.0.1:0",
		"--proxy-addr", "127.0.0.1:0", "--data", t.TempDir())
	cmd.Env = append([]string{"HOME=" + t.TempDir()}, env...)
	cmd.Stderr = g.log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
		defer late.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("tollgate local: %v\n%s", err, g.log)
		}
	})
	admin, proxy := greeted(t, stdout)
	g.admin, g.proxy = newAdminAPI(admin), proxy
}

// greeted reads the addresses that the program prints when it is ready.
func greeted(t *testing.T, stdout io.Reader) (admin, proxy string) {
	t.Helper()
	lines := bufio.NewScanner(stdout)
	for lines.Scan() && proxy == "" {
		switch f := strings.Fields(lines.Text()); {
		case len(f) == 3 && f[0] == "admin":
			admin = f[2]
		case len(f) == 2 && f[0] == "proxy":
			proxy = f[1]
		}
	}
	if proxy == "" {
		t.Fatal("tollgate local did not say where it listens")
	}
	go io.Copy(io.Discard, stdout) // the rest of the greeting; ends with the program
	return admin, proxy
}

// openAI is the base URL that an OpenAI SDK is given.
func (g *running) openAI() string { return g.proxy + "/api/providers/openai/v1" }

// output collects what programs print.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
