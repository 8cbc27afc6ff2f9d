package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/bits"
	"net/http"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"tollgate/internal/adminclient"
)

// Events are kept by the begin of their calls and told by their end, so whoever wants
// all that ended just now has to look through all that began as long ago as a call may
// run. Most calls are short: each look goes back by tailShort, each second one twice as
// far, each fourth one four times, and so on depths times. A call is then told of later
// by about a fifteenth of its length, and a look reads two minutes of calls on average.
const (
	tailShort  = 30 * time.Second
	tailDepths = 6 // the last goes back 16 minutes; a function runs for 15

	// tailOverlap is how far back each look goes in the ends of calls: an event is
	// written after its call ended, and may be seen a little after others.
	tailOverlap = 30 * time.Second
)

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
			t := tail{program: p, flags: &f, begin: p.now(), seen: make(map[string]time.Time)}
			return t.follow(c.Context(), every)
		},
	}
	f.flags(c)
	c.Flags().DurationVar(&every, "every", 2*time.Second, "look so often")
	return c
}

// tail prints each event once. It remembers those of the time that it looks at
// again, and no more.
type tail struct {
	*program
	flags  *eventFlags
	begin  time.Time
	looked [tailDepths]time.Time // when a look last went back so far
	looks  uint                  // so many
	seen   map[string]time.Time  // ids, and when they were seen
}

func (t *tail) follow(ctx context.Context, every time.Duration) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	failing := false
	for {
		first := t.looks == 0
		fresh, err := t.look(ctx)
		switch {
		case ctx.Err() != nil:
			return nil // interrupted: that is how it ends
		case err != nil && (first || !passing(err)):
			return err
		case err != nil && !failing:
			fmt.Fprintf(t.stderr, "%v; trying again\n", err)
		}
		failing = err != nil
		if len(fresh) > 0 || first {
			if err := t.print(fresh, first); err != nil {
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

// passing reports whether an error may be gone the next time.
func passing(err error) bool {
	var answer *adminclient.Error
	if errors.As(err, &answer) {
		return answer.Status >= 500 || answer.Status == http.StatusTooManyRequests || answer.Status == http.StatusRequestTimeout
	}
	var silent *adminclient.Unreachable
	return errors.As(err, &silent)
}

// look returns the events that were not seen before, by the end of their calls.
func (t *tail) look(ctx context.Context) ([]row, error) {
	now := t.now()
	depth := min(bits.TrailingZeros(t.looks+1), tailDepths-1)
	from := t.begin
	if last := t.looked[depth].Add(-tailOverlap); last.After(from) {
		from = last
	}
	body := t.flags.body(from, now.Add(time.Second))
	body["begun"], body["dateOrder"], body["noBodies"] = from.Add(-tailShort<<depth).Unix(), "asc", true
	events, err := t.events(ctx, body, 0)
	if err != nil {
		return nil, err
	}
	t.looks++
	for i := range depth + 1 {
		t.looked[i] = now
	}
	var fresh []row
	for _, e := range events {
		id := e.text("id")
		if _, known := t.seen[id]; !known {
			fresh = append(fresh, e)
		}
		t.seen[id] = now
	}
	oldest := slices.MinFunc(t.looked[:], time.Time.Compare).Add(-2 * tailOverlap)
	for id, at := range t.seen {
		if at.Before(oldest) {
			delete(t.seen, id)
		}
	}
	slices.SortStableFunc(fresh, func(a, b row) int { return cmp.Compare(a.text("created_at"), b.text("created_at")) })
	return fresh, nil
}

// print prints a part of a table that goes on.
func (t *tail) print(rows []row, first bool) error {
	switch {
	case t.format.json:
		return printJSON(t.out, rows)
	case t.format.csv && first:
		return printCSV(t.out, rows, eventColumns)
	case t.format.csv:
		return printCSVRows(t.out, rows, eventColumns)
	}
	return printLines(t.out, rows, eventColumns, first)
}
