package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"tollgate/internal/config"
	"tollgate/internal/gateway"
	"tollgate/internal/rollup"
)

// recomputeCommand compares sums with events.
func (p *program) recomputeCommand() *cobra.Command {
	var o localOptions
	var from, to string
	var fix bool
	c := &cobra.Command{
		Use:   "recompute",
		Short: "Add up events again and say where stored sums differ",
		Long: `Adds up the events of each day from --from to --to (UTC, both included) and says
which sums of usage differ from them; with --fix they are put right, of days that
ended more than an hour and a quarter ago. It opens the store itself: the embedded one
while tollgate local is not running, or with --dynamodb that of GATEWAY_TABLE and
USAGE_TABLE. It is no call of the admin API, so no audit has it: keep what it prints.
The exit code is 1 if anything differs.`,
		Example: "  tollgate recompute --from 2026-11-01 --to 2026-11-22 --fix",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if o.env, err = config.Read(p.getenv); err != nil {
				return fmt.Errorf("the environment:\n%w", err)
			}
			days, err := daysBetween(from, to)
			if err != nil {
				return err
			}
			s, err := openStore(c.Context(), o)
			if err != nil {
				return err
			}
			r := recomputation{store: s, now: p.now, out: p.out, fix: fix, retention: o.env.Retention}
			return errors.Join(r.run(c.Context(), days), s.Close())
		},
	}
	f := c.Flags()
	f.StringVar(&from, "from", "", "first `day`, such as 2026-11-01")
	f.StringVar(&to, "to", "", "last `day`; it should be over")
	f.BoolVar(&fix, "fix", false, "put right what differs")
	f.StringVar(&o.data, "data", "./.tollgate", "`folder` of the embedded store")
	f.BoolVar(&o.dynamodb, "dynamodb", false, "the store is in DynamoDB, with the usual AWS variables")
	return c
}

// daysBetween lists the days of a range, both ends included.
func daysBetween(from, to string) (days []time.Time, err error) {
	first, err := time.Parse(time.DateOnly, from)
	if err != nil {
		return nil, usageError("--from has to be a day, such as 2026-11-01")
	}
	last, err := time.Parse(time.DateOnly, to)
	if err != nil || last.Before(first) {
		return nil, usageError("--to has to be a day, and not before --from")
	}
	for d := first; !d.After(last); d = d.AddDate(0, 0, 1) {
		days = append(days, d)
	}
	return days, nil
}

// recomputation is one run of the command.
type recomputation struct {
	store interface {
		rollup.EventStore
		Keys(ctx context.Context) ([]gateway.Key, error)
	}
	now       func() time.Time
	out       io.Writer
	fix       bool
	retention time.Duration // of events; 0 for ever
}

func (r *recomputation) run(ctx context.Context, days []time.Time) error {
	keys, err := r.store.Keys(ctx)
	if err != nil {
		return err
	}
	var ids []string
	for i := range keys {
		ids = append(ids, keys[i].ID)
	}
	reader := &rollup.Reader{Store: r.store, Now: r.now}
	found := 0
	for _, day := range days {
		// A call of 15 minutes may have begun on the day before.
		if r.retention > 0 && r.now().Sub(day)+rollup.LongestCall > r.retention {
			fmt.Fprintf(r.out, "%s: its events are not all kept any more, so its sums cannot be checked\n", day.Format(time.DateOnly))
			continue
		}
		list, err := reader.Recompute(ctx, day.Unix(), ids, r.fix)
		if err != nil {
			return err
		}
		for i := range list {
			show(r.out, &list[i])
		}
		found += len(list)
	}
	fmt.Fprintf(r.out, "%d days, %d sums differ\n", len(days), found)
	if found > 0 && !r.fix {
		return errors.New("sums differ from events; --fix puts them right")
	}
	if found > 0 {
		return errors.New("sums differed from events and were put right")
	}
	return nil
}

func show(w io.Writer, d *rollup.Difference) {
	p := &d.Place
	fmt.Fprintf(w, "%s %q %s %s %+v: stored %d calls %v, events %d calls %v\n",
		p.Dimension, p.Value, p.Unit, time.Unix(p.Start, 0).UTC().Format(time.RFC3339), p.Group,
		d.Stored.Requests, d.Stored.Cost, d.Real.Requests, d.Real.Cost)
}
