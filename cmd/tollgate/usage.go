package main

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// groups is what usage can be told by.
var groups = []string{"day", "model", "key", "tag", "user", "provider", "endpoint", "status"}

func (p *program) usageCommand() *cobra.Command {
	var by, since, until string
	var keys, tags, users []string
	c := &cobra.Command{
		Use:   "usage",
		Short: "Show calls, tokens and cost by day, model, key, tag, …",
		Example: `  tollgate usage --by model --since 30d
  tollgate usage --by day --tag search --since 2026-11-01 --until 2026-12-01 --csv`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			if !slices.Contains(groups, by) {
				return usage("--by %s: it is one of %s", by, strings.Join(groups, ", "))
			}
			from, err := readTime("since", since, p.now())
			if err != nil {
				return err
			}
			to := p.now().Truncate(time.Hour).Add(time.Hour)
			if until != "" {
				if to, err = readTime("until", until, p.now()); err != nil {
					return err
				}
			}
			query := url.Values{
				"groupBy": {by},
				"start":   {strconv.FormatInt(from.UTC().Truncate(time.Hour).Unix(), 10)},
				"end":     {strconv.FormatInt(to.UTC().Truncate(time.Hour).Unix(), 10)},
			}
			for name, values := range map[string][]string{"keyIds": keys, "tags": tags, "userIds": users} {
				if len(values) > 0 {
					query[name] = values
				}
			}
			var answer struct{ DataPoints []row }
			if err := p.call(c.Context(), http.MethodGet, "/api/reporting/usage", query, nil, &answer); err != nil {
				return err
			}
			return p.show(answer.DataPoints, usageColumns(by)...)
		},
	}
	c.Flags().StringVar(&by, "by", "day", "one line for each `day|model|key|tag|user|provider|endpoint|status`")
	c.Flags().StringVar(&since, "since", "30d", "from this `time` on, or from so long ago; in whole hours")
	c.Flags().StringVar(&until, "until", "", "until this `time`; in whole hours (default now)")
	c.Flags().StringSliceVar(&keys, "key", nil, "only calls with these key `ids`")
	c.Flags().StringSliceVar(&tags, "tag", nil, "only calls whose key has all of these `tags`")
	c.Flags().StringSliceVar(&users, "user", nil, "only calls of these user `ids`")
	_ = c.RegisterFlagCompletionFunc("by", cobra.FixedCompletions(groups, cobra.ShellCompDirectiveNoFileComp)) // fails only for a flag that is not there
	return c
}

func usageColumns(by string) []column {
	return []column{
		member(by, "group"), member("calls", "numberOfRequests"), member("ok", "successCount"),
		member("tokens in", "promptTokenCount"), member("tokens out", "completionTokenCount"),
		dollars("cost ($)", "costInUsd"),
		member("p50 ms", "latencyInMsP50"), member("p90 ms", "latencyInMsP90"), member("p99 ms", "latencyInMsP99"),
	}
}
