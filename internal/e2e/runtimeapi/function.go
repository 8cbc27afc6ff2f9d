// Package runtimeapi runs a built Lambda function on this machine, behind a small
// Lambda Runtime API and a front that behaves like a REST API of API Gateway.
//
// It exists because nothing else runs a Go function here with its response
// streamed. What it imitates is what a function and its callers can observe: the
// protocol, one invocation at a time in a process, deadlines, payload limits,
// restarts. It does not freeze processes, limit memory or throttle.
package runtimeapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Config says what to run and how the front behaves. Only Binary is required.
type Config struct {
	Binary string   // path of the bootstrap
	Name   string   // function name; "function" if empty
	Env    []string // "NAME=value", over the environment the service would set; nothing is inherited

	Timeout   time.Duration // of an invocation; 15 minutes if 0
	MemoryMB  int           // told to the function, not enforced; 128 if 0
	Processes int           // execution environments; 1 if 0

	// MaxConcurrency is how many invocations one process takes at a time, as on
	// Lambda Managed Instances. 0: one, and the variable is not set.
	MaxConcurrency int

	Buffered bool   // plain proxy integration instead of a streaming one
	Plain    bool   // no API in front at all: only Invoke
	Stage    string // first segment of the caller's paths; if empty there is none, as on a custom domain

	// Text lists the media types whose bodies are passed on as text. All others
	// are passed as base64, as with the binary media type */*.
	Text []string

	// Caller names the IAM principal of a request, by ARN, as after a valid
	// signature. If it returns "" the request is refused. Nil: no IAM.
	Caller func(*http.Request) string

	EventLimit int       // bytes of an event; 6 MiB if 0, as the service has it
	Output     io.Writer // stdout and stderr of the function; discarded if nil
}

// Function is a running function. As an http.Handler it is the API in front of it.
type Function struct {
	config   Config
	listener net.Listener
	server   *http.Server
	output   *lockedWriter
	calls    chan *call
	procs    []*process
	stop     context.CancelFunc
	stopped  <-chan struct{}
	wg       sync.WaitGroup

	mu     sync.Mutex
	stats  Stats
	cause  error         // why the function is broken
	broken chan struct{} // closed when a process cannot be started
}

// Stats is what was observed of a function since its start.
type Stats struct {
	Invocations int             // handed to the function
	Failures    []string        // what the function reported as errors, and its exits
	Inits       []time.Duration // from the start of a process to its first poll, in order
	PIDs        []int           // of the processes that run now
}

// Start runs the function and returns when all its processes have asked for work.
// It fails if one exits or reports an error before, or when ctx ends. The function
// runs until Close, also after ctx has ended.
func Start(ctx context.Context, c Config) (*Function, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("runtime API: %w", err)
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	f := &Function{
		config:   c.withDefaults(),
		listener: listener,
		calls:    make(chan *call),
		stop:     stop,
		stopped:  running.Done(),
		broken:   make(chan struct{}),
	}
	f.output = &lockedWriter{w: f.config.Output}
	for i := range f.config.Processes {
		f.procs = append(f.procs, newProcess(f, i))
	}
	f.server = &http.Server{Handler: f.runtimeAPI()}
	f.wg.Go(func() { f.server.Serve(listener) })
	for _, p := range f.procs {
		f.wg.Go(func() { p.supervise(running) })
	}
	for _, p := range f.procs {
		select {
		case <-p.ready:
		case <-f.broken:
			err = f.why()
		case <-ctx.Done():
			err = fmt.Errorf("function did not ask for work: %w", ctx.Err())
		}
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return f, nil
}

func (c Config) withDefaults() Config {
	if c.Name == "" {
		c.Name = "function"
	}
	if c.Timeout == 0 {
		c.Timeout = 15 * time.Minute
	}
	if c.MemoryMB == 0 {
		c.MemoryMB = 128
	}
	if c.EventLimit == 0 {
		c.EventLimit = 6 << 20
	}
	if c.Output == nil {
		c.Output = io.Discard
	}
	c.Processes = max(c.Processes, 1)
	return c
}

// Close ends the processes, with SIGTERM and after a while SIGKILL, and waits for
// them. Invocations in flight fail.
func (f *Function) Close() error {
	f.stop()
	for _, p := range f.procs {
		<-p.ended
	}
	err := f.server.Close()
	f.wg.Wait()
	return err
}

// Stats is a copy of what was observed so far.
func (f *Function) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.stats
	s.Failures = slices.Clone(s.Failures)
	s.Inits = slices.Clone(s.Inits)
	for _, p := range f.procs {
		if pid := p.pid.Load(); pid != 0 {
			s.PIDs = append(s.PIDs, int(pid))
		}
	}
	return s
}

func (f *Function) observe(change func(*Stats)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.stats)
}

func (f *Function) fail(format string, args ...any) {
	f.observe(func(s *Stats) { s.Failures = append(s.Failures, fmt.Sprintf(format, args...)) })
}

// giveUp marks the function as broken.
func (f *Function) giveUp(why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cause == nil {
		f.cause = why
		close(f.broken)
	}
}

func (f *Function) why() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cause
}

// lockedWriter lets several processes write to one writer.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
