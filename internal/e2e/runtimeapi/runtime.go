package runtimeapi

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	region  = "eu-central-1"
	account = "123456789012"

	integrationResponse = "application/vnd.awslambda.http-integration-response"
	responseLimit       = 6 << 20  // bytes of a buffered response
	preludeLimit        = 64 << 10 // bytes in front of a streamed body
)

// call is one invocation, from the front to the function and back.
type call struct {
	id       string
	event    []byte
	deadline time.Time
	timeout  *time.Timer

	once   sync.Once
	answer chan answer // takes one, never blocks
}

// answer is the head of a response; its body may still be coming.
type answer struct {
	status  int
	header  http.Header
	body    io.Reader
	refused string // instead of all that: why there is no response
}

func newCall(id string, event []byte, deadline time.Time) *call {
	return &call{id: id, event: event, deadline: deadline, answer: make(chan answer, 1)}
}

// give hands the answer to the front and reports whether it is the first.
func (c *call) give(a answer) (first bool) {
	c.once.Do(func() {
		c.answer <- a
		first = true
	})
	return first
}

// fail ends the call without a response, if it has none yet.
func (c *call) fail(status int, why string) {
	c.give(answer{status: status, refused: why})
}

// runtimeAPI serves what a runtime and its extensions ask for.
func (f *Function) runtimeAPI() http.Handler {
	mux := http.NewServeMux()
	for _, p := range f.procs {
		runtime := p.path + "/2018-06-01/runtime/"
		mux.HandleFunc("GET "+runtime+"invocation/next", p.next)
		mux.HandleFunc("POST "+runtime+"invocation/{id}/response", p.response)
		mux.HandleFunc("POST "+runtime+"invocation/{id}/error", p.callError)
		mux.HandleFunc("POST "+runtime+"init/error", p.initError)
		extension := p.path + "/2020-01-01/extension/"
		mux.HandleFunc("POST "+extension+"register", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Lambda-Extension-Identifier", "local")
		})
		// Events that an extension could ask for are not imitated.
		mux.HandleFunc("GET "+extension+"event/next", func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-f.stopped:
			}
		})
	}
	return mux
}

func (p *process) next(w http.ResponseWriter, r *http.Request) {
	gone := p.poll()
	var c *call
	select {
	case c = <-p.f.calls:
	case <-gone:
		return
	case <-r.Context().Done():
		return
	case <-p.f.stopped:
		http.Error(w, "stopping", http.StatusServiceUnavailable)
		return
	}
	if !p.take(c, gone) {
		p.f.dispatch(c) // another process shall have it
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(c.event)))
	h.Set("Lambda-Runtime-Aws-Request-Id", c.id)
	h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(c.deadline.UnixMilli(), 10))
	h.Set("Lambda-Runtime-Invoked-Function-Arn",
		fmt.Sprintf("arn:aws:lambda:%s:%s:function:%s", region, account, p.f.config.Name))
	h.Set("Lambda-Runtime-Trace-Id", "Root=1-00000000-"+strings.ReplaceAll(c.id, "-", "")[:24])
	w.Write(c.event) // if the process is gone, its end fails the call
}

func (p *process) response(w http.ResponseWriter, r *http.Request) {
	c := p.finish(r.PathValue("id"))
	if c == nil {
		http.Error(w, "no such invocation", http.StatusGone)
		return
	}
	defer c.timeout.Stop()
	var err error
	switch {
	case p.f.config.Plain:
		err = c.takePlain(r)
	case p.f.config.Buffered:
		err = c.takeBuffered(r)
	default:
		err = c.takeStream(r)
	}
	io.Copy(io.Discard, r.Body)
	if err != nil {
		p.f.fail("response of %s: %v", c.id, err)
		c.fail(http.StatusBadGateway, "the function's response is malformed")
	}
	w.WriteHeader(http.StatusAccepted)
}

// takeStream reads the head of a streamed response and passes its body on piece by
// piece. A caller that went away does not stop the function.
func (c *call) takeStream(r *http.Request) error {
	if got := r.Header.Get("Content-Type"); got != integrationResponse {
		return fmt.Errorf("content type %q on a streaming integration", got)
	}
	in := bufio.NewReaderSize(r.Body, 32<<10)
	head, err := readPrelude(in)
	if err != nil {
		return err
	}
	body, pipe := io.Pipe()
	head.body = body
	if !c.give(head) {
		body.Close() // the call has timed out
	}
	_, err = io.Copy(willing{pipe}, in)
	if kind := r.Trailer.Get("Lambda-Runtime-Function-Error-Type"); err == nil && kind != "" {
		err = fmt.Errorf("stream ended in %s", kind)
	}
	pipe.CloseWithError(err) // nil means io.EOF
	return err
}

// willing takes every byte, whether somebody reads it or not.
type willing struct{ w io.Writer }

func (w willing) Write(p []byte) (int, error) {
	w.w.Write(p)
	return len(p), nil
}

// readPrelude reads the JSON in front of a streamed body and the eight zero bytes
// that end it.
func readPrelude(in *bufio.Reader) (answer, error) {
	var prelude []byte
	for !bytes.HasSuffix(prelude, make([]byte, 8)) {
		b, err := in.ReadByte()
		if err != nil {
			return answer{}, fmt.Errorf("stream ended in its prelude: %w", err)
		}
		if prelude = append(prelude, b); len(prelude) > preludeLimit {
			return answer{}, errors.New("prelude is too long or does not end")
		}
	}
	var p proxyAnswer
	if err := json.Unmarshal(prelude[:len(prelude)-8], &p); err != nil {
		return answer{}, fmt.Errorf("prelude: %w", err)
	}
	return p.answer()
}

// takeBuffered reads the JSON of a plain proxy integration.
func (c *call) takeBuffered(r *http.Request) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, responseLimit+1))
	switch {
	case err != nil:
		return err
	case len(body) > responseLimit:
		return errors.New("response is larger than 6 MiB")
	}
	var p proxyAnswer
	if err := json.Unmarshal(body, &p); err != nil {
		return fmt.Errorf("buffered response: %w", err)
	}
	a, err := p.answer()
	if err == nil {
		c.give(a)
	}
	return err
}

func (p *process) callError(w http.ResponseWriter, r *http.Request) {
	if c := p.finish(r.PathValue("id")); c != nil {
		c.timeout.Stop()
		p.f.fail("function error: %s", readError(r))
		c.fail(http.StatusBadGateway, "the function failed")
	}
	w.WriteHeader(http.StatusAccepted)
}

func (p *process) initError(w http.ResponseWriter, r *http.Request) {
	p.f.fail("init error: %s", readError(r))
	w.WriteHeader(http.StatusAccepted)
}

func readError(r *http.Request) string {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 4<<10))
	var e struct{ ErrorType, ErrorMessage string }
	if json.Unmarshal(body, &e) != nil {
		return strings.TrimSpace(string(body))
	}
	return e.ErrorType + ": " + e.ErrorMessage
}
