package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tollgate/internal/config"
	"tollgate/internal/fakeai"
)

// runDemo shows the quick start against an upstream of its own.
func runDemo(ctx context.Context, out io.Writer) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	data, err := os.MkdirTemp("", "tollgate-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(data)

	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	upstream := &http.Server{Handler: &fakeai.Server{}}
	go upstream.Serve(ln)
	defer upstream.Close()

	env, err := config.Read(func(string) string { return "" })
	if err != nil {
		return err
	}
	l, err := startLocal(ctx, localOptions{adminAddr: "127.0.0.1:0", proxyAddr: "127.0.0.1:0", data: data, quiet: true, env: env}, io.Discard)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- l.Serve(ctx, 10*time.Second, io.Discard) }()
	d := demo{out: out, l: l}
	err = d.show(ctx, "http://"+ln.Addr().String()+"/v1")
	cancel()
	if stopped := <-served; err == nil {
		err = stopped
	}
	return err
}

// demo prints each step with its answer.
type demo struct {
	out io.Writer
	l   *local
}

func (d *demo) show(ctx context.Context, upstream string) error {
	fmt.Fprintf(d.out, "A small upstream that answers like OpenAI runs at %s.\n", upstream)
	setting, err := d.step(ctx, "Store a provider credential (setting.url points at the upstream above)",
		"PUT", d.l.AdminURL+"/api/provider-settings", "",
		`{"provider":"openai","setting":{"apikey":"sk-upstream","url":"`+upstream+`"}}`, 200)
	if err != nil {
		return err
	}
	var stored struct{ ID string }
	if err := json.Unmarshal(setting, &stored); err != nil {
		return err
	}
	key, err := d.step(ctx, "Hand out a key: 2 requests a minute, 25 cents in all",
		"PUT", d.l.AdminURL+"/api/key-management/keys", "",
		`{"name":"My Secret Key","key":"my-secret-key","tags":["mykey"],"settingIds":["`+stored.ID+`"],"rateLimitOverTime":2,"rateLimitUnit":"m","costLimitInUsd":0.25}`, 200)
	if err != nil {
		return err
	}
	var created struct{ KeyID string }
	if err := json.Unmarshal(key, &created); err != nil {
		return err
	}
	if err := d.calls(ctx); err != nil {
		return err
	}
	now := time.Now().Unix()
	_, err = d.step(ctx, "What was recorded: two calls with tokens and cost, one refusal",
		"GET", fmt.Sprintf("%s/api/events?keyIds=%s&start=%d&end=%d", d.l.AdminURL, created.KeyID, now-60, now+60), "", "", 200)
	return err
}

func (d *demo) calls(ctx context.Context) error {
	// A minute that ends between the calls would let the third one pass.
	if left := 60 - time.Now().Unix()%60; left <= 2 {
		time.Sleep(time.Duration(left) * time.Second)
	}
	url := d.l.ProxyURL + "/api/providers/openai/v1/chat/completions"
	body := `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"hi"}]}`
	for _, s := range []struct {
		title, body string
		status      int
	}{
		{"Call the model with the key", body, 200},
		{"The same, streamed", strings.Replace(body, `]}`, `],"stream":true}`, 1), 200},
		{"The third call in a minute is refused", body, 429},
	} {
		if _, err := d.step(ctx, s.title, "POST", url, "my-secret-key", s.body, s.status); err != nil {
			return err
		}
	}
	time.Sleep(200 * time.Millisecond) // events are written after the answers
	return nil
}

// shownHeaders are the answer's headers worth seeing.
var shownHeaders = []string{"X-Request-Id", "X-Ratelimit-Limit-Requests", "X-Ratelimit-Remaining-Requests",
	"X-Ratelimit-Reset-Requests", "X-Tollgate-Cost-Remaining-Usd", "Retry-After", "X-Should-Retry"}

func (d *demo) step(ctx context.Context, title, method, url, key, body string, want int) ([]byte, error) {
	fmt.Fprintf(d.out, "\n# %s\n> %s %s\n", title, method, url)
	if body != "" {
		fmt.Fprintf(d.out, "> %s\n", body)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(d.out, "< %s\n", res.Status)
	for _, name := range shownHeaders {
		if v := res.Header.Get(name); v != "" {
			fmt.Fprintf(d.out, "< %s: %s\n", strings.ToLower(name), v)
		}
	}
	d.print(answer, strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream"))
	if res.StatusCode != want {
		return nil, fmt.Errorf("%s: status %d instead of %d", title, res.StatusCode, want)
	}
	return answer, nil
}

// print shows an answer; of a stream the first and the last events.
func (d *demo) print(answer []byte, stream bool) {
	if !stream {
		fmt.Fprintf(d.out, "%s\n", bytes.TrimSpace(answer))
		return
	}
	events := strings.Split(strings.TrimSpace(string(answer)), "\n\n")
	for i, e := range events {
		if i < 2 || i >= len(events)-2 {
			fmt.Fprintf(d.out, "%s\n\n", e)
		} else if i == 2 {
			fmt.Fprintf(d.out, "… %d more like these\n\n", len(events)-4)
		}
	}
}

func (p *program) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "See it work without a provider account",
		Long:  "Runs the quick start against a small upstream of its own and shows each step with its answer.",
		Args:  exactly(),
		RunE:  func(c *cobra.Command, _ []string) error { return runDemo(c.Context(), p.out) },
	}
}
