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
	var bodies bool
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
			if most < 0 {
				return usageError("--limit cannot be negative")
			}
			body["dateOrder"], body["noBodies"] = "desc", !bodies
			events, err := p.events(c.Context(), body, most)
			if err != nil {
				return err
			}
			return p.show(events, eventColumns...)
		},
	}
	f.flags(c)
	c.Flags().StringVar(&since, "since", "1h", "from this `time` on, or from so long ago")
	c.Flags().StringVar(&until, "until", "", "until this `time` (default now)")
	c.Flags().IntVar(&most, "limit", 100, "at most so many; 0 for all")
	c.Flags().BoolVar(&bodies, "bodies", false, "with requests and responses, where they were logged; --json shows them")
	return c
}

// maxPage is how many events are asked for at once.
const maxPage = 1000

// events reads page after page until there are most, 0 for all.
func (p *program) events(ctx context.Context, body map[string]any, most int) ([]row, error) {
	var list []row
	for {
		limit := maxPage
		if most > 0 {
			limit = min(limit, most-len(list))
		}
		body["limit"] = limit
		var answer struct {
			Events []row
			Cursor string
		}
		if err := p.call(ctx, http.MethodPost, "/api/v2/events", nil, body, &answer); err != nil {
			return nil, err
		}
		list = append(list, answer.Events...)
		if answer.Cursor == "" || len(list) == most {
			return list, nil
		}
		body["cursor"] = answer.Cursor
	}
}
