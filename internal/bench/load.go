package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// figures are what one row of one path came to.
type figures struct {
	p50, p99 time.Duration // to the end of the body
	first    time.Duration // p50 to the first byte of the body
	cpu      time.Duration // of the process in between, for each request
	rate     float64       // requests a second
	rss      int64         // bytes, at the end
}

const (
	plainBody  = `{"model":"gpt-4o-mini","max_tokens":64,"messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"Say the word token twenty times, please."}]}`
	streamBody = `{"model":"gpt-4o-mini","max_tokens":64,"stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Say the word token twenty times, please."}]}`
	warmUp     = 500 * time.Millisecond
)

// sample is one request.
type sample struct{ first, end time.Duration }

// load runs closed-loop clients for the time and measures after a warm-up.
func load(ctx context.Context, p path, stream bool, clients int, length time.Duration) (figures, error) {
	t := &http.Transport{MaxIdleConnsPerHost: clients, DisableCompression: true}
	defer t.CloseIdleConnections()
	body := plainBody
	if stream {
		body = streamBody
	}
	if _, err := burst(ctx, t, p, body, clients, warmUp); err != nil {
		return figures{}, err
	}
	before, began := cpuTime(p.pid), time.Now()
	samples, err := burst(ctx, t, p, body, clients, length)
	if err != nil {
		return figures{}, err
	}
	took := time.Since(began)
	n := len(samples)
	ends, firsts := make([]time.Duration, n), make([]time.Duration, n)
	for i, s := range samples {
		ends[i], firsts[i] = s.end, s.first
	}
	slices.Sort(ends)
	slices.Sort(firsts)
	return figures{
		p50: ends[n/2], p99: ends[n*99/100], first: firsts[n/2],
		rate: float64(n) / took.Seconds(),
		cpu:  (cpuTime(p.pid) - before) / time.Duration(n),
		rss:  residentSize(p.pid),
	}, nil
}

func burst(ctx context.Context, t *http.Transport, p path, body string, clients int, length time.Duration) ([]sample, error) {
	var (
		mu       sync.Mutex
		all      []sample
		failed   error
		wg       sync.WaitGroup
		deadline = time.Now().Add(length)
	)
	for range clients {
		wg.Go(func() {
			var own []sample
			var err error
			for err == nil && time.Now().Before(deadline) && ctx.Err() == nil {
				var s sample
				if s, err = call(ctx, t, p, body); err == nil {
					own = append(own, s)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, own...)
			if err != nil {
				failed = err
			}
		})
	}
	wg.Wait()
	if failed == nil && len(all) == 0 {
		failed = fmt.Errorf("no request ended in %v", length)
	}
	return all, failed
}

func call(ctx context.Context, t *http.Transport, p path, body string) (sample, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/chat/completions", strings.NewReader(body))
	if err != nil {
		return sample{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+benchKey)
	began := time.Now()
	res, err := t.RoundTrip(req)
	if err != nil {
		return sample{}, err
	}
	defer res.Body.Close()
	var one [1]byte
	if _, err := io.ReadFull(res.Body, one[:]); err != nil {
		return sample{}, err
	}
	s := sample{first: time.Since(began)}
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return s, err
	}
	s.end = time.Since(began)
	if res.StatusCode != http.StatusOK {
		return s, fmt.Errorf("status %s", res.Status)
	}
	return s, nil
}
