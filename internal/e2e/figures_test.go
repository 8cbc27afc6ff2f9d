package e2e

import (
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"tollgate/internal/e2e/runtimeapi"
	"tollgate/internal/tokenize"
)

// TestStart reports how long the functions take from the start of the process to
// the first question for work: the part of a cold start that is ours.
func TestStart(t *testing.T) {
	g := &running{log: &output{}}
	env := g.startAWS(t)
	for _, f := range []struct{ name, binary string }{{"proxy", proxyBinary(t)}, {"admin", adminBinary(t)}} {
		var took []time.Duration
		for range 20 {
			function, err := runtimeapi.Start(t.Context(), runtimeapi.Config{Binary: f.binary, Env: env, Output: g.log})
			if err != nil {
				t.Fatalf("%v\n%s", err, g.log)
			}
			took = append(took, function.Stats().Inits...)
			if err := function.Close(); err != nil {
				t.Fatal(err)
			}
		}
		slices.Sort(took)
		t.Logf("%s: process start to first /next: median %v, best %v, worst %v of %d",
			f.name, took[len(took)/2], took[0], took[len(took)-1], len(took))
	}
}

// maxBinary is what a function may weigh, in bytes.
const maxBinary = 16 << 20

func TestBinarySize(t *testing.T) {
	for name, path := range map[string]string{"proxy": proxyBinary(t), "admin": adminBinary(t)} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %.1f MiB", name, float64(info.Size())/(1<<20))
		if info.Size() > maxBinary {
			t.Errorf("%s has %d bytes, want at most %d", name, info.Size(), maxBinary)
		}
	}
}

// almostFull is a request body of about the size that still fits into an event, as
// base64, in bytes.
const almostFull = 4_600_000

// TestMemory: 128 MB are enough. Each case has a fresh process.
func TestMemory(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		usd  float64 // the key's cost limit
		call func(*testing.T, openai.Client) error
	}{
		{"one call", 10, func(t *testing.T, c openai.Client) error {
			_, err := c.Chat.Completions.New(t.Context(), say("hi"))
			return err
		}},
		{"large request", 10, func(t *testing.T, c openai.Client) error {
			return large(t, c, almostFull)
		}},
		// At the bound that needs no counting its input alone would cost $0.53.
		{"tokens counted", 0.6, func(t *testing.T, c openai.Client) error {
			return large(t, c, tokenize.MaxText-1024)
		}},
		{"long stream", 10, func(t *testing.T, c openai.Client) error {
			acc, _, err := accumulated(c.Chat.Completions.NewStreaming(t.Context(), say("long 30000")))
			if err != nil {
				return err
			}
			return want("words", strings.Count(acc.Choices[0].Message.Content, "word"), 30_000)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			up := newUpstream(t)
			g := startLambda(t, shape{})
			k := g.admin.key(t, g.admin.setting(t, up.url), keyLimit{"cost", "lifetime", c.usd})
			begin := time.Now()
			if err := c.call(t, g.client(k)); err != nil {
				t.Error(err)
			}
			took := time.Since(begin)
			g.settled(t, k, 1)
			peak := peakRSS(t, g.function.Stats().PIDs[0])
			t.Logf("peak resident memory %.1f MiB, call %v", float64(peak)/(1<<20), took.Round(time.Millisecond))
			if peak >= 128<<20 {
				t.Errorf("peak resident memory is %d bytes, want less than 128 MiB", peak)
			}
			g.checkHealth(t)
		})
	}
}

// large asks a question of that many bytes, and reports an error if it was answered
// with fewer tokens than it might have been.
func large(t *testing.T, c openai.Client, size int) error {
	var res *http.Response
	text := "large " + strings.Repeat("It was a dark and stormy night. ", size/32)
	_, err := c.Chat.Completions.New(t.Context(), say(text), option.WithResponseInto(&res))
	if err != nil {
		return err
	}
	return want("lowered output cap", res.Header.Get("X-Tollgate-Max-Output-Tokens"), "")
}

// peakRSS is the most memory that a process has had resident, in bytes.
func peakRSS(t *testing.T, pid int) int64 {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has the /proc that memory is read from")
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil { // the process is gone: that is what this would hide
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatalf("VmHWM: %v", err)
	}
	return kib << 10
}
