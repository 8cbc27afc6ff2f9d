package samtest

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

// python is the interpreter that has the transform; `make sam` sets it up.
func python(t *testing.T) string {
	t.Helper()
	path := os.Getenv("SAM_PYTHON")
	if path == "" {
		t.Skip("SAM_PYTHON is not set: `make sam` installs the transform and runs this test")
	}
	return path
}

// transform is what CloudFormation would make of the template's text.
func transform(t *testing.T, text string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "template.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python(t), filepath.Join(root, ".ci/tools/sam/transform.py"), file)
	cmd.Env = append(os.Environ(), "AWS_DEFAULT_REGION=eu-central-1", "SAM_CLI_TELEMETRY=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("transform: %v\n%s", err, &stderr)
	}
	return out
}

func source(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTransformedTemplate(t *testing.T) {
	if err := check(transform(t, source(t))); err != nil {
		t.Error(err)
	}
}

// Each of these is a template that lints clean, or nearly, and is wrong.
func TestCheckFindsFaults(t *testing.T) {
	for _, test := range []struct{ name, old, new, want string }{
		{"STREAM is not RESPONSE_STREAM", "ResponseTransferMode: RESPONSE_STREAM", "ResponseTransferMode: STREAM",
			"ProxyApi any /{proxy+} does not stream"},
		{"one buffered path", "Path: /\n            Method: any\n            ResponseTransferMode: RESPONSE_STREAM", "Path: /\n            Method: any",
			"ProxyApi any / does not stream"},
		{"default time-out", "            TimeoutInMillis: 900000\n", "", "times out after 0 ms"},
		{"caller's credentials", "        InvokeRole: NONE", "        InvokeRole: CALLER_CREDENTIALS", "with the caller's credentials"},
		{"no authorizer", `Path: "/{proxy+}", Method: any}`, `Path: "/{proxy+}", Method: any, Auth: {Authorizer: NONE}}`, "AdminApi any /{proxy+} is not guarded by IAM"},
		{"preflights by IAM", ", Auth: {Authorizer: NONE}", "", "AdminApi options /{proxy+} asks for a signature"},
		{"edge-optimized", "EndpointConfiguration: {Type: REGIONAL} #", "EndpointConfiguration: {Type: EDGE} #", `ProxyApi has the endpoint types ["EDGE"]`},
		{"wrong processor", "Architectures: [arm64]", "Architectures: [x86_64]", `ProxyFunction is for ["x86_64"]`},
		{"media type", `BinaryMediaTypes: ["*~1*"]`, `BinaryMediaTypes: ["image~1png"]`, "as bytes instead of */*"},
		{"error body", `"code":"rate_limit_exceeded"}`, `"code":""}`, "gateway response THROTTLED: the body lacks a member"},
		{"right to encrypt", "Action: kms:Decrypt", "Action: kms:*", "ProxyFunctionRole allows"},
		{"a reader that writes", "${Stage}/POST/api/v2/*", "${Stage}/POST/api/*", "AdminReadOnlyPolicy permits POST /api/users"},
		{"an operator that cannot", "${Stage}/PATCH/api/*", "${Stage}/HEAD/api/*", "AdminOperatorPolicy does not permit PATCH"},
		{"filter", `[{"prefix":"E#"}]`, `[{"prefix":"T#"}]`, "the stream's filter"},
		{"whole batches", "[ReportBatchItemFailures]", "[]", "takes its whole batch with it"},
		{"no queue for failures", "OnFailure: {Type: SQS, Destination: !GetAtt RollupFailures.Arn}", "OnFailure: {Type: SQS, Destination: !GetAtt UsageTable.Arn}", "what cannot be folded goes to"},
		{"index", "IndexName: byKind", "IndexName: by-kind", "GatewayTable has the indexes"},
		{"table goes with the stack", "    Type: AWS::DynamoDB::Table\n    DeletionPolicy: Retain", "    Type: AWS::DynamoDB::Table\n    DeletionPolicy: Delete", "GatewayTable goes with the stack"},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := source(t)
			mutated := strings.ReplaceAll(text, test.old, test.new)
			if mutated == text {
				t.Fatalf("the template does not contain %q", test.old)
			}
			err := check(transform(t, mutated))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("check: %v, want an error about %q", err, test.want)
			}
		})
	}
}

// What `sam build` has built runs on Lambda's processor and starts quickly.
func TestBuiltFunctions(t *testing.T) {
	python(t) // as a sign that sam build has run
	const limit = 16 << 20
	for _, name := range []string{"ProxyFunction", "AdminFunction", "RollupFunction"} {
		path := filepath.Join(root, ".aws-sam/build", name, "bootstrap")
		info, err := os.Stat(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if info.Size() > limit {
			t.Errorf("%s has %d bytes, more than %d", name, info.Size(), limit)
		}
		t.Logf("%s: %.1f MB", name, float64(info.Size())/1e6)
		binary, err := elf.Open(path)
		if err != nil {
			t.Error(err)
			continue
		}
		defer binary.Close()
		if binary.Machine != elf.EM_AARCH64 || binary.Section(".symtab") != nil || binary.Section(".interp") != nil {
			t.Errorf("%s is for %v; symbols: %v, dynamically linked: %v; want a static, stripped binary for arm64",
				name, binary.Machine, binary.Section(".symtab") != nil, binary.Section(".interp") != nil)
		}
	}
}
