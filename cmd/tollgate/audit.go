package main

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"
)

func (p *program) auditCommand() *cobra.Command {
	var since, kind, id, who string
	c := &cobra.Command{
		Use:     "audit",
		Short:   "List who changed what",
		Example: "  tollgate audit --since 7d --kind key",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			from, err := readTime("since", since, p.now())
			if err != nil {
				return err
			}
			query := url.Values{"start": {strconv.FormatInt(from.Unix(), 10)}}
			for name, value := range map[string]string{"kind": kind, "id": id, "who": who} {
				if value != "" {
					query.Set(name, value)
				}
			}
			entries, err := p.pages(c.Context(), "/api/audit", query)
			if err != nil {
				return err
			}
			return p.show(entries,
				moment("time", "createdAt"), member("who", "who"), member("method", "method"), member("path", "path"),
				member("kind", "kind"), member("id", "resourceId"))
		},
	}
	c.Flags().StringVar(&since, "since", "7d", "from this `time` on, or from so long ago")
	c.Flags().StringVar(&kind, "kind", "", "only changes of this `kind` of record, such as key")
	c.Flags().StringVar(&id, "id", "", "only changes of the record with this `id`")
	c.Flags().StringVar(&who, "who", "", "only changes by this `identity`")
	return c
}

func (p *program) pricesCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "prices",
		Short: "Show the price table in use, replace it, or go back to the built-in one",
		Args:  subcommand,
		RunE:  never,
	}
	c.AddCommand(
		&cobra.Command{
			Use:   "show",
			Short: "Show which price table is in use",
			Args:  exactly(),
			RunE: func(c *cobra.Command, _ []string) error {
				var table row
				if err := p.call(c.Context(), http.MethodGet, "/api/prices", nil, nil, &table); err != nil {
					return err
				}
				return p.showOne(table, member("version", "version"), member("date", "date"),
					member("models", "models"), member("source", "source"), member("age in days", "ageDays"))
			},
		},
		p.pricesSet(),
		&cobra.Command{
			Use:   "reset",
			Short: "Go back to the built-in table",
			Args:  exactly(),
			RunE: func(c *cobra.Command, _ []string) error {
				return p.call(c.Context(), http.MethodDelete, "/api/prices", nil, nil, nil)
			},
		})
	return c
}
