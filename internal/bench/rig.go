package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const benchKey = "bench-key"

// rig is the upstream, the reverse proxy and Tollgate, each a process.
type rig struct {
	dir   string
	procs []*exec.Cmd
	paths []path

	adminAddr string
}

func startRig(ctx context.Context, o options) (*rig, error) {
	if o.tollgate == "" {
		return nil, fmt.Errorf("which tollgate? give its path with -tollgate (make bench does)")
	}
	dir, err := os.MkdirTemp("", "tollgate-bench-")
	if err != nil {
		return nil, err
	}
	r := &rig{dir: dir}
	if err := r.start(ctx, o); err != nil {
		r.stop()
		return nil, err
	}
	return r, nil
}

func (r *rig) start(ctx context.Context, o options) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	upstream, _, err := r.run(ctx, regexp.MustCompile(`^(http://\S+)`), self, "-role", "upstream")
	if err != nil {
		return err
	}
	bare, barePID, err := r.run(ctx, regexp.MustCompile(`^(http://\S+)`), self, "-role", "reverseproxy", "-target", upstream)
	if err != nil {
		return err
	}
	proxyURL, pid, err := r.run(ctx, regexp.MustCompile(`^ *proxy +(http://\S+)`), o.tollgate,
		"local", "--admin-addr", r.freeAddr(), "--proxy-addr", "127.0.0.1:0", "--data", filepath.Join(r.dir, "data"))
	if err != nil {
		return err
	}
	if err := r.configure(ctx, upstream); err != nil {
		return err
	}
	r.paths = []path{
		{"direct", upstream + "/v1", 0},
		{"reverse proxy", bare + "/v1", barePID},
		{"tollgate", proxyURL + "/api/providers/openai/v1", pid},
	}
	return nil
}

// freeAddr is a loopback address that was free a moment ago.
func (r *rig) freeAddr() string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "127.0.0.1:0"
	}
	defer ln.Close()
	r.adminAddr = ln.Addr().String()
	return r.adminAddr
}

// run starts a program and waits for the line that tells its address.
func (r *rig) run(ctx context.Context, address *regexp.Regexp, name string, args ...string) (string, int, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	cmd.Stderr = nil // access records are written, as in earnest, but to nowhere
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", 0, err
	}
	if err := cmd.Start(); err != nil {
		return "", 0, err
	}
	r.procs = append(r.procs, cmd)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := address.FindStringSubmatch(lines.Text()); m != nil {
			go io.Copy(io.Discard, out)
			return m[1], cmd.Process.Pid, nil
		}
	}
	return "", 0, fmt.Errorf("%s %s did not say where it listens", name, strings.Join(args, " "))
}

// configure makes a setting, and a key with limits that are out of reach.
func (r *rig) configure(ctx context.Context, upstream string) error {
	var setting struct{ ID string }
	err := r.put(ctx, "/api/provider-settings",
		`{"provider":"openai","setting":{"apikey":"sk","url":"`+upstream+`/v1"}}`, &setting)
	if err != nil {
		return err
	}
	return r.put(ctx, "/api/key-management/keys", `{"name":"bench","key":"`+benchKey+`","settingIds":["`+setting.ID+
		`"],"rateLimitOverTime":100000000,"rateLimitUnit":"m","costLimitInUsd":1000000}`, &struct{}{})
}

func (r *rig) put(ctx context.Context, path, body string, answer any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://"+r.adminAddr+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("PUT %s: %s: %s", path, res.Status, text)
	}
	return json.Unmarshal(text, answer)
}

func (r *rig) stop() {
	for _, p := range r.procs {
		_ = p.Process.Signal(syscall.SIGTERM)
	}
	for _, p := range r.procs {
		_ = p.Wait()
	}
	os.RemoveAll(r.dir)
}

// serve serves on a free loopback port and prints where.
func serve(ctx context.Context, h http.Handler) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s\n", ln.Addr())
	s := &http.Server{Handler: h}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		s.Close()
	}()
	if err := s.Serve(ln); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// ticksPerSecond of /proc on Linux, on every architecture that Go runs on.
const ticksPerSecond = 100

// cpuTime is what the process has used so far, user and system; 0 for pid 0.
func cpuTime(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(stat, []byte(") "))
	f := strings.Fields(string(rest))
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * time.Second / ticksPerSecond
}

// residentSize is the memory of the process in bytes; 0 for pid 0.
func residentSize(pid int) int64 {
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(statm))
	if len(f) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(f[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
