// Package e2e runs the built programs as they are shipped and calls them with the
// official SDKs: the two Lambda functions under a Runtime API, with DynamoDB and
// KMS on loopback, and `tollgate local` with its embedded store.
//
// What needs more than Go is skipped where it is not installed (make e2e-deps
// installs it), and fails instead if TOLLGATE_REQUIRE_E2E is 1 (make e2e).
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

const (
	requireAll = "TOLLGATE_REQUIRE_E2E"
	howTo      = "run `make e2e-deps`"
)

// bin is the folder of the built programs, while the tests run.
var bin string

func TestMain(m *testing.M) {
	if os.Getenv(requireAll) == "1" {
		os.Setenv("TOLLGATE_REQUIRE_DYNAMODB", "1")
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if bin, err = os.MkdirTemp("", "tollgate-e2e-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(bin)
	return m.Run()
}

// The programs, each built when the first test needs it, with the Makefile's flags.
var (
	proxyBinary  = program("proxy", "./functions/proxy")
	adminBinary  = program("admin", "./functions/admin")
	rollupBinary = program("rollup", "./functions/rollup")
	localBinary  = program("tollgate", "./cmd/tollgate")
)

// program returns the function that builds a program once and tells its path.
func program(name, source string) func(testing.TB) string {
	build := sync.OnceValues(func() (string, error) {
		path := filepath.Join(bin, name)
		cmd := exec.Command("go", "build", "-buildvcs=false", "-trimpath",
			"-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", path, source)
		cmd.Dir = root()
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build of %s: %w\n%s", source, err, out)
		}
		return path, nil
	})
	return func(t testing.TB) string {
		t.Helper()
		path, err := build()
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
}

// root is the repository's folder: tests run in the folder of their package.
func root() string {
	dir, err := filepath.Abs("../..")
	if err != nil {
		panic(err) // there is no working directory any more
	}
	return dir
}

// need returns the path of something that make e2e-deps installs.
func need(t testing.TB, path string) string {
	t.Helper()
	path = filepath.Join(root(), path)
	if _, err := os.Stat(path); err != nil {
		missing(t, path)
	}
	return path
}

// needCommand returns the path of a program that has to be on the machine.
func needCommand(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, name)
	}
	return path
}

func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv(requireAll) == "1" {
		t.Fatalf("%s is not there, and %s asks for everything: %s", what, requireAll, howTo)
	}
	t.Skipf("%s is not there: %s", what, howTo)
}
