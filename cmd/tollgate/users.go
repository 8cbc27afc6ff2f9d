package main

import (
	"context"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

const usersPath = "/api/users"

func (p *program) usersCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "users",
		Short: "Limit end users, whichever key their calls come with",
		Args:  subcommand,
		RunE:  never,
	}
	c.AddCommand(p.usersCreate(), p.usersList(), p.usersShow(), p.usersUpdate(), p.usersRevoke(), p.usersRestore(), p.usersDelete())
	return c
}

func (p *program) userColumns() []column {
	return []column{
		member("id", "id"), member("user", "userId"), member("name", "name"), member("tags", "tags"), limitsOf,
		member("models", "allowedModels"), member("ttl", "ttl"), p.state(), moment("created", "createdAt"),
	}
}

// userFlags are the members of a user that can be given.
type userFlags struct {
	limitFlags
	name, userID, ttl  string
	tags, keys, models []string
	paths              []string
}

func (f *userFlags) flags(c *cobra.Command, create bool) {
	f.limitFlags.flags(c)
	c.Flags().StringVar(&f.name, "name", "", "`name` for operators")
	c.Flags().StringVar(&f.ttl, "ttl", "", "life of the user as a `duration`: 720h or 30d")
	c.Flags().StringSliceVar(&f.keys, "key", nil, "count only calls with this key `id`; may be repeated")
	c.Flags().StringSliceVar(&f.models, "model", nil, "allow only this `model`; may be repeated")
	c.Flags().StringArrayVar(&f.paths, "path", nil, "allow only this `METHOD:PATTERN`; may be repeated")
	if create {
		c.Flags().StringVar(&f.userID, "user", "", "the user's `id` as calls name it")
		c.Flags().StringSliceVar(&f.tags, "tag", nil, "`tag`: the user counts for keys that have none but its tags; may be repeated")
	}
}

func (f *userFlags) body(c *cobra.Command) (map[string]any, error) {
	body := map[string]any{}
	for name, v := range map[string]struct {
		member string
		value  any
	}{
		"name": {"name", f.name}, "ttl": {"ttl", f.ttl}, "user": {"userId", f.userID},
		"tag": {"tags", f.tags}, "key": {"keyIds", f.keys}, "model": {"allowedModels", f.models},
	} {
		if c.Flags().Changed(name) {
			body[v.member] = v.value
		}
	}
	if c.Flags().Changed("path") {
		paths, err := readPaths(f.paths)
		if err != nil {
			return nil, err
		}
		body["allowedPaths"] = paths
	}
	return body, f.limitFlags.put(body)
}

func (p *program) usersCreate() *cobra.Command {
	var f userFlags
	c := &cobra.Command{
		Use:     "create",
		Short:   "Create a user",
		Example: "  tollgate users create --user ann@example.com --name Ann --tag search --cost 10/mo --rate 20/m",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			body, err := f.body(c)
			if err != nil {
				return err
			}
			if f.name == "" {
				f.name = f.userID
				body["name"] = f.name
			}
			if f.userID == "" {
				return usageError("a user needs --user, its id as calls name it")
			}
			var user row
			if err := p.call(c.Context(), http.MethodPost, usersPath, nil, body, &user); err != nil {
				return err
			}
			return p.showOne(user, p.userColumns()...)
		},
	}
	f.flags(c, true)
	return c
}

func (p *program) usersList() *cobra.Command {
	var tags, userIDs []string
	c := &cobra.Command{
		Use:   "list",
		Short: "List users, newest first",
		Args:  exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			query := url.Values{}
			if len(tags) > 0 {
				query["tags"] = tags
			}
			if len(userIDs) > 0 {
				query["userIds"] = userIDs
			}
			if len(query) == 0 {
				query.Set("cursor", "") // without a filter only pages are given
			}
			users, err := p.pages(c.Context(), usersPath, query)
			if err != nil {
				return err
			}
			return p.show(users, p.userColumns()...)
		},
	}
	c.Flags().StringSliceVar(&tags, "tag", nil, "only users with all of these `tags`")
	c.Flags().StringSliceVar(&userIDs, "user", nil, "only users with one of these `ids`")
	return c
}

func (p *program) usersShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show a user",
		Args:  exactly("the id of a user ('tollgate users list' shows it)"),
		RunE: func(c *cobra.Command, args []string) error {
			var user row
			if err := p.call(c.Context(), http.MethodGet, usersPath+"/"+url.PathEscape(args[0]), nil, nil, &user); err != nil {
				return err
			}
			return p.showOne(user, append(p.userColumns(), member("keys", "keyIds"), moment("changed", "updatedAt"))...)
		},
	}
}

func (p *program) usersUpdate() *cobra.Command {
	var f userFlags
	c := &cobra.Command{
		Use:     "update ID",
		Short:   "Change a user; it acts on the next call",
		Example: "  tollgate users update 91ab… --cost 20/mo",
		Args:    exactly("the id of a user"),
		RunE: func(c *cobra.Command, args []string) error {
			body, err := f.body(c)
			if err != nil {
				return err
			}
			if len(body) == 0 {
				return usageError("nothing to change: give at least one flag")
			}
			return p.changeUser(c.Context(), args[0], body)
		},
	}
	f.flags(c, false)
	return c
}

func (p *program) changeUser(ctx context.Context, id string, body map[string]any) error {
	var user row
	if err := p.call(ctx, http.MethodPatch, usersPath+"/"+url.PathEscape(id), nil, body, &user); err != nil {
		return err
	}
	return p.showOne(user, p.userColumns()...)
}

func (p *program) usersRevoke() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "revoke ID",
		Short: "Refuse all further calls of a user",
		Args:  exactly("the id of a user"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.changeUser(c.Context(), args[0], map[string]any{"revoked": true, "revokedReason": reason})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, as a `text` for other operators")
	return c
}

func (p *program) usersRestore() *cobra.Command {
	return &cobra.Command{
		Use:   "restore ID",
		Short: "Let a revoked user call again",
		Args:  exactly("the id of a user"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.changeUser(c.Context(), args[0], map[string]any{"revoked": false})
		},
	}
}

func (p *program) usersDelete() *cobra.Command {
	return &cobra.Command{
		Use:   "delete ID",
		Short: "Delete a user: its calls count for their keys only",
		Args:  exactly("the id of a user"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.call(c.Context(), http.MethodDelete, usersPath+"/"+url.PathEscape(args[0]), nil, nil, nil)
		},
	}
}
