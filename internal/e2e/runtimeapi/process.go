package runtimeapi

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	patience    = 2 * time.Second // between SIGTERM and SIGKILL
	maxFailures = 3               // starts in a row without a poll
)

// process is one execution environment: a process that is started again when it
// ends. It has a path of its own under the Runtime API's address.
type process struct {
	f    *Function
	path string
	pid  atomic.Int64 // 0 while none runs

	ready chan struct{} // closed at the first poll ever
	ended chan struct{} // closed when supervise has returned

	mu       sync.Mutex // guards what belongs to the process that runs
	started  time.Time
	polled   bool          // it has asked for work
	gone     chan struct{} // closed when it has ended
	inFlight map[string]*call
	kill     func()
}

func newProcess(f *Function, index int) *process {
	return &process{
		f: f, path: fmt.Sprintf("/p%d", index),
		ready: make(chan struct{}), ended: make(chan struct{}),
		inFlight: make(map[string]*call),
	}
}

// supervise keeps a process running until ctx ends or it cannot be started.
func (p *process) supervise(ctx context.Context) {
	defer close(p.ended)
	for failures := 0; ctx.Err() == nil; {
		err := p.run(ctx)
		if ctx.Err() != nil {
			return
		}
		p.f.fail("process ended: %v", err)
		failures++
		if p.hasPolled() {
			failures = 0
		}
		if failures == maxFailures {
			p.f.giveUp(fmt.Errorf("function ended %d times before it asked for work: %w", failures, err))
			return
		}
	}
}

// run starts the process and returns when it has ended, never with nil.
func (p *process) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.f.config.Binary)
	cmd.Env = p.environment()
	cmd.Stdout, cmd.Stderr = p.f.output, p.f.output
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = patience

	p.mu.Lock()
	p.started, p.polled, p.gone = time.Now(), false, make(chan struct{})
	err := cmd.Start()
	if err == nil {
		p.pid.Store(int64(cmd.Process.Pid))
		p.kill = func() { cmd.Process.Kill() }
	}
	p.mu.Unlock()
	if err != nil {
		return err
	}

	err = cmd.Wait()
	p.pid.Store(0)
	p.failInFlight()
	if err == nil {
		err = errors.New("exit status 0")
	}
	return err
}

// environment is what the service sets, as far as a function may look at it.
func (p *process) environment() []string {
	c := p.f.config
	env := []string{
		"AWS_LAMBDA_RUNTIME_API=" + p.f.listener.Addr().String() + p.path,
		"AWS_LAMBDA_FUNCTION_NAME=" + c.Name,
		"AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		fmt.Sprintf("AWS_LAMBDA_FUNCTION_MEMORY_SIZE=%d", c.MemoryMB),
		"AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/" + c.Name,
		"AWS_LAMBDA_LOG_STREAM_NAME=local" + p.path,
		"AWS_LAMBDA_INITIALIZATION_TYPE=on-demand",
		"AWS_EXECUTION_ENV=AWS_Lambda_provided.al2023",
		"AWS_REGION=" + region, "AWS_DEFAULT_REGION=" + region,
		"AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_SESSION_TOKEN=local",
		"_HANDLER=bootstrap", "LAMBDA_TASK_ROOT=/var/task", "TZ=:UTC", "LANG=en_US.UTF-8",
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir(),
	}
	if c.MaxConcurrency > 0 {
		env = append(env, fmt.Sprintf("AWS_LAMBDA_MAX_CONCURRENCY=%d", c.MaxConcurrency))
	}
	return append(env, c.Env...)
}

// poll notes that the process asks for work. The channel is closed when it ends.
func (p *process) poll() (gone <-chan struct{}) {
	p.mu.Lock()
	first := !p.polled
	p.polled = true
	took := time.Since(p.started)
	gone = p.gone
	p.mu.Unlock()
	if !first {
		return gone
	}
	p.f.observe(func(s *Stats) { s.Inits = append(s.Inits, took) })
	select {
	case <-p.ready:
	default:
		close(p.ready)
	}
	return gone
}

func (p *process) hasPolled() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.polled
}

// take gives the call to the process that polled, unless that has ended since.
func (p *process) take(c *call, gone <-chan struct{}) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-gone:
		return false
	default:
	}
	p.f.observe(func(s *Stats) { s.Invocations++ })
	p.inFlight[c.id] = c
	kill := p.kill
	c.timeout = time.AfterFunc(time.Until(c.deadline), func() {
		// The service ends the whole environment, and with it the other calls of
		// one that takes several.
		p.f.fail("invocation %s timed out after %v", c.id, p.f.config.Timeout)
		c.fail(http.StatusGatewayTimeout, "the function took too long")
		kill()
	})
	return true
}

// finish gives the call back to whoever answers it; nil if the process has no such
// call, or has answered it before.
func (p *process) finish(id string) *call {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.inFlight[id]
	delete(p.inFlight, id)
	return c
}

// failInFlight ends what the process that has ended left behind.
func (p *process) failInFlight() {
	p.mu.Lock()
	close(p.gone)
	calls := slices.Collect(maps.Values(p.inFlight))
	clear(p.inFlight)
	p.mu.Unlock()
	for _, c := range calls {
		c.timeout.Stop()
		c.fail(http.StatusBadGateway, "the function ended")
	}
}
