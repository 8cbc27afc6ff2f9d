package main

import (
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

const tagsPath = "/api/tags"

func (p *program) tagsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "tags",
		Short: "Limit what all keys with a tag use together",
		Args:  subcommand,
		RunE:  never,
	}
	c.AddCommand(p.tagsSet(), p.tagsList(), p.tagsDelete())
	return c
}

var tagColumns = []column{member("tag", "tag"), limitsOf, moment("created", "createdAt"), moment("changed", "updatedAt")}

func (p *program) tagsSet() *cobra.Command {
	var limits []string
	c := &cobra.Command{
		Use:     "set TAG",
		Short:   "Set the limits of a tag, in place of those it has",
		Example: "  tollgate tags set search --limit cost=500/mo --limit requests=600/m",
		Args:    exactly("a tag"),
		RunE: func(c *cobra.Command, args []string) error {
			list, err := readLimits(limits)
			if err != nil {
				return err
			}
			if len(list) == 0 {
				return usageError("a tag needs --limit ('tollgate tags delete' removes all limits)")
			}
			var tag row
			body := map[string]any{"limits": list}
			if err := p.call(c.Context(), http.MethodPut, tagsPath+"/"+url.PathEscape(args[0]), nil, body, &tag); err != nil {
				return err
			}
			return p.showOne(tag, tagColumns...)
		},
	}
	c.Flags().StringArrayVar(&limits, "limit", nil, "limit as `MEASURE=N/UNIT`: cost=500/mo, tokens=100000/m, requests=600/m, concurrency=50; may be repeated")
	return c
}

func (p *program) tagsList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the tags that have limits",
		Args:  exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			tags, err := p.pages(c.Context(), tagsPath, nil)
			if err != nil {
				return err
			}
			return p.show(tags, tagColumns...)
		},
	}
}

func (p *program) tagsDelete() *cobra.Command {
	return &cobra.Command{
		Use:   "delete TAG",
		Short: "Remove the limits of a tag",
		Args:  exactly("a tag"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.call(c.Context(), http.MethodDelete, tagsPath+"/"+url.PathEscape(args[0]), nil, nil, nil)
		},
	}
}
