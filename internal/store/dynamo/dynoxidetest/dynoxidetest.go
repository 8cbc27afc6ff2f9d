// Package dynoxidetest gives tests a local DynamoDB: that which DYNAMODB_ENDPOINT
// names, or else dynoxide from .ci/tools/dynoxide, in memory, on a loopback port.
package dynoxidetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

const (
	binary  = ".ci/tools/dynoxide/node_modules/@dynoxide/linux-x64/dynoxide"
	howTo   = "no local DynamoDB: run `npm ci --prefix .ci/tools/dynoxide`, or set DYNAMODB_ENDPOINT"
	require = "TOLLGATE_REQUIRE_DYNAMODB" // 1: a missing database fails the tests
)

// shared is the one server of this process, while any test uses it.
var shared struct {
	sync.Mutex
	users  int
	server *server
}

// Start returns the endpoint of a DynamoDB that serves until the test ends. Tests
// of one process share it: each uses table names of its own. Without any it skips
// the test, or fails it if TOLLGATE_REQUIRE_DYNAMODB is 1.
func Start(t testing.TB) (endpoint string) {
	t.Helper()
	if endpoint := os.Getenv("DYNAMODB_ENDPOINT"); endpoint != "" {
		return endpoint
	}
	path, err := find()
	if err != nil {
		if os.Getenv(require) == "1" {
			t.Fatal(howTo)
		}
		t.Skip(howTo)
	}
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		if shared.server, err = launch(path); err != nil {
			t.Fatalf("dynoxide: %v", err)
		}
	}
	shared.users++
	t.Cleanup(release)
	return shared.server.endpoint
}

// release stops the server after the last test that uses it.
func release() {
	shared.Lock()
	defer shared.Unlock()
	if shared.users--; shared.users == 0 {
		shared.server.stop()
		shared.server = nil
	}
}

// find looks for the binary from the working directory upwards.
func find() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		path := filepath.Join(dir, binary)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", os.ErrNotExist
		}
		dir = parent
	}
}

type server struct {
	endpoint string
	shell    *exec.Cmd
	life     io.Closer
	ended    chan error
}

// script runs the server for as long as its standard input is open: so it ends
// even if this process is killed.
const script = `"$0" serve --host 127.0.0.1 --port "$1" >/dev/null 2>&1 & read -r _; kill $!; wait $!`

// launch starts a server. Another process may take the free port first: then it
// looks for another.
func launch(path string) (*server, error) {
	var err error
	for range 3 {
		var s *server
		if s, err = launchOnce(path); err == nil {
			return s, nil
		}
	}
	return nil, err
}

func launchOnce(path string) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("/bin/sh", "-c", script, path, strconv.Itoa(port))
	life, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{
		endpoint: fmt.Sprintf("http://127.0.0.1:%d", port),
		shell:    cmd,
		life:     life,
		ended:    make(chan error, 1),
	}
	go func() { s.ended <- cmd.Wait() }()
	if err := s.await(10 * time.Second); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *server) stop() {
	s.life.Close()
	<-s.ended
}

// await waits until the server answers anything at all.
func (s *server) await(most time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.endpoint, nil)
		if err != nil {
			return err
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			return res.Body.Close()
		}
		select {
		case <-ctx.Done():
			return errors.New("no answer after its start")
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
