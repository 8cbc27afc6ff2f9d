package main

import (
	"context"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

func (p *program) eventsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "events",
		Short: "List calls, or follow them as they end",
		Args:  subcommand,
		RunE:  never,
	}
	c.AddCommand(p.eventsList(), p.eventsTail())
	return c
}

var eventColumns = []column{
	moment("time", "created_at"), member("key", "key_id"), member("user", "userId"), member("provider", "provider"),
	member("model", "model"), member("status", "status"), member("refused", "refused"),
	member("in", "prompt_token_count"), member("out", "completion_token_count"),
	dollars("cost ($)", "cost_in_usd"), member("ms", "latency_in_ms"),
}

// eventFlags choose events.
type eventFlags struct{ keys, tags, users, models []string }

func (f *eventFlags) flags(c *cobra.Command) {
	c.Flags().StringSliceVar(&f.keys, "key", nil, "only calls with these key `ids`")
	c.Flags().StringSliceVar(&f.tags, "tag", nil, "only calls whose key had all of these `tags`")
	c.Flags().StringSliceVar(&f.users, "user", nil, "only calls of these user `ids`")
	c.Flags().StringSliceVar(&f.models, "model", nil, "only calls to these `models`")
}

func (f *eventFlags) body(from, to time.Time) map[string]any {
	body := map[string]any{"start": from.Unix(), "end": to.Unix()}
	for name, values := range map[string][]string{"keyIds": f.keys, "tags": f.tags, "userIds": f.users, "models": f.models} {
		if len(values) > 0 {
			body[name] = values
		}
	}
	return body
}

func (p *program) eventsList() *cobra.Command {
	var f eventFlags
	var since, until string
	var most int
	c := &cobra.Command{
		Use:     "list",
		Short:   "List calls, newest first",
		Example: "  tollgate events list --key 5b0e… --since 2h --json",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			from, err := readTime("since", since, p.now())
			if err != nil {
				return err
			}
			to := p.now().Add(time.Second)
			if until != "" {
				if to, err = readTime("until", until, p.now()); err != nil {
					return err
				}
			}
			body := f.body(from, to)
			body["dateOrder"], body["limit"] = "desc", most
			events, err := p.events(c.Context(), body)
			if err != nil {
				return err
			}
			return p.show(events, eventColumns...)
		},
	}
	f.flags(c)
	c.Flags().StringVar(&since, "since", "1h", "from this `time` on, or from so long ago")
	c.Flags().StringVar(&until, "until", "", "until this `time` (default now)")
	c.Flags().IntVar(&most, "limit", 100, "at most so many")
	return c
}

func (p *program) events(ctx context.Context, body map[string]any) ([]row, error) {
	var answer struct{ Events []row }
	err := p.call(ctx, http.MethodPost, "/api/v2/events", nil, body, &answer)
	return answer.Events, err
}

// tailOverlap is how far back each look of tail goes: an event is written after
// its call ended, and may be seen a little after others that ended later.
const tailOverlap = 30 * time.Second

func (p *program) eventsTail() *cobra.Command {
	var f eventFlags
	var every time.Duration
	c := &cobra.Command{
		Use:     "tail",
		Short:   "Follow calls as they end, until interrupted",
		Example: "  tollgate events tail --tag search",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			if every < 100*time.Millisecond {
				return usageError("--every is at least 100ms")
			}
			return p.tail(c.Context(), &f, every)
		},
	}
	f.flags(c)
	c.Flags().DurationVar(&every, "every", 2*time.Second, "look so often")
	return c
}

// tail prints each event once. It remembers those of the time that it looks at
// again, and no more.
func (p *program) tail(ctx context.Context, f *eventFlags, every time.Duration) error {
	seen := map[string]time.Time{}
	begin := p.now()
	columns := eventColumns
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for first := true; ; first = false {
		now := p.now()
		from := now.Add(-tailOverlap)
		if from.Before(begin) {
			from = begin
		}
		body := f.body(from, now.Add(time.Second))
		body["dateOrder"] = "asc"
		events, err := p.events(ctx, body)
		if ctx.Err() != nil {
			return nil // interrupted: that is how it ends
		}
		if err != nil {
			return err
		}
		var fresh []row
		for _, e := range events {
			id := e.text("id")
			if _, known := seen[id]; !known {
				fresh = append(fresh, e)
			}
			seen[id] = now
		}
		for id, at := range seen {
			if now.Sub(at) > 2*tailOverlap {
				delete(seen, id)
			}
		}
		if len(fresh) > 0 || first {
			if err := p.follow(fresh, first, columns); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// follow prints a part of a table that goes on.
func (p *program) follow(rows []row, first bool, columns []column) error {
	switch {
	case p.format.json:
		return printJSON(p.out, rows)
	case p.format.csv && first:
		return printCSV(p.out, rows, columns)
	case p.format.csv:
		return printCSVRows(p.out, rows, columns)
	}
	return printLines(p.out, rows, columns, first)
}
