package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tollgate/internal/adminclient"
)

const keysPath = "/api/key-management/keys"

func (p *program) keysCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "keys",
		Short: "Hand out keys, list, change, revoke and delete them",
		Args:  subcommand,
		RunE:  never,
	}
	c.AddCommand(p.keysCreate(), p.keysList(), p.keysShow(), p.keysUpdate(), p.keysRotate(), p.keysRevoke(), p.keysRestore(), p.keysDelete())
	return c
}

// subcommand is the arguments of a command that has commands below it.
func subcommand(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage("there is no command %q below '%s'", args[0], c.CommandPath())
	}
	return usage("%s needs a command (see '%s --help')", c.CommandPath(), c.CommandPath())
}

// never runs: subcommand refuses all arguments. Without it cobra would print the
// help and report success.
func never(*cobra.Command, []string) error { return nil }

func (p *program) keyColumns() []column {
	return []column{
		member("id", "keyId"), member("name", "name"), member("tags", "tags"), limitsOf,
		member("ttl", "ttl"), p.state(), moment("created", "createdAt"),
	}
}

// state is whether a key or a user may call.
func (p *program) state() column {
	return column{"state", func(r row) string { return stateOf(r, p.now()) }}
}

func stateOf(r row, now time.Time) string {
	if r["revoked"] == true {
		if reason := r.text("revokedReason"); reason != "" {
			return "revoked: " + reason
		}
		return "revoked"
	}
	if end, ok := r.unix("expiresAt"); ok && !now.Before(end) {
		return "expired"
	}
	return "active"
}

// keyFlags are the members of a key that can be given.
type keyFlags struct {
	limitFlags
	name, ttl, policy, unknownModel string
	tags, settings, paths           []string
	rotate, logRequest, logResponse bool
}

func (f *keyFlags) flags(c *cobra.Command) {
	f.limitFlags.flags(c)
	c.Flags().StringVar(&f.name, "name", "", "`name` of the key")
	c.Flags().StringVar(&f.ttl, "ttl", "", "life of the key as a `duration`: 720h or 30d")
	c.Flags().StringSliceVar(&f.tags, "tag", nil, "`tag`; may be repeated")
	c.Flags().StringSliceVar(&f.settings, "setting", nil, "`id` of a provider setting it may use, in order of preference; may be repeated")
	c.Flags().StringArrayVar(&f.paths, "path", nil, "allow only this `METHOD:PATTERN`: POST:/api/providers/openai/v1/chat/completions; may be repeated")
	c.Flags().StringVar(&f.policy, "policy", "", "`id` of a policy")
	c.Flags().StringVar(&f.unknownModel, "unknown-model", "", "what happens to models without a price: allow or deny")
	c.Flags().BoolVar(&f.rotate, "rotate-settings", false, "use the settings in turn instead of in order")
	c.Flags().BoolVar(&f.logRequest, "log-requests", false, "keep request bodies with the events")
	c.Flags().BoolVar(&f.logResponse, "log-responses", false, "keep response bodies with the events")
}

func (f *keyFlags) body(c *cobra.Command) (map[string]any, error) {
	body := map[string]any{}
	for name, v := range map[string]struct {
		member string
		value  any
	}{
		"name": {"name", f.name}, "ttl": {"ttl", f.ttl}, "tag": {"tags", f.tags}, "setting": {"settingIds", f.settings},
		"policy": {"policyId", f.policy}, "unknown-model": {"unknownModel", f.unknownModel},
		"rotate-settings": {"rotationEnabled", f.rotate},
		"log-requests":    {"shouldLogRequest", f.logRequest}, "log-responses": {"shouldLogResponse", f.logResponse},
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

func (p *program) keysCreate() *cobra.Command {
	var f keyFlags
	c := &cobra.Command{
		Use:   "create",
		Short: "Create a key; its secret is shown once",
		Example: `  tollgate keys create --name "Search team" --setting 3f1c… --rate 60/m --cost 25/mo --tag search
  tollgate keys create --name CI --setting 3f1c… --cost 5 --ttl 30d --json | jq -r .secret`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			body, err := f.body(c)
			if err != nil {
				return err
			}
			if f.name == "" || len(f.settings) == 0 {
				return usageError("a key needs --name and --setting ('tollgate providers list' shows the settings)")
			}
			var key row
			if err := p.call(c.Context(), http.MethodPut, keysPath, nil, body, &key); err != nil {
				return err
			}
			return p.showOne(key, append(p.keyColumns(), member("secret", "secret"))...)
		},
	}
	f.flags(c)
	return c
}

func (p *program) keysList() *cobra.Command {
	var tags []string
	var name, state string
	c := &cobra.Command{
		Use:     "list",
		Short:   "List keys, newest first",
		Example: "  tollgate keys list --tag search --state active --csv",
		Args:    exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			query := url.Values{}
			if len(tags) > 0 {
				query["tags"] = tags
			}
			if name != "" {
				query.Set("name", name)
			}
			if state != "" && !slices.Contains(keyStates, state) {
				return usage("--state %s: it is one of %s", state, strings.Join(keyStates, ", "))
			}
			keys, err := p.allKeys(c.Context(), query)
			if err != nil {
				return err
			}
			keys = slices.DeleteFunc(keys, func(k row) bool { return !strings.HasPrefix(stateOf(k, p.now()), state) })
			return p.show(keys, p.keyColumns()...)
		},
	}
	c.Flags().StringSliceVar(&tags, "tag", nil, "only keys with all of these `tags`")
	c.Flags().StringVar(&name, "name", "", "only keys whose name holds this `text`, in any case")
	c.Flags().StringVar(&state, "state", "", "only keys that are `active|revoked|expired`")
	return c
}

// keyStates are how the states of keys begin.
var keyStates = []string{"active", "revoked", "expired"}

// allKeys is the keys that match, newest first. They come page by page, so that no
// answer has to hold all.
func (p *program) allKeys(ctx context.Context, query url.Values) ([]row, error) {
	query.Set("cursor", "")
	query.Set("limit", "500")
	keys, err := p.pages(ctx, keysPath, query)
	slices.SortStableFunc(keys, func(a, b row) int {
		x, _ := a.unix("createdAt")
		y, _ := b.unix("createdAt")
		return cmp.Or(y.Compare(x), cmp.Compare(a.text("keyId"), b.text("keyId")))
	})
	return keys, err
}

// findKey reads a key by its id, or by its name if that is the name of one key.
func (p *program) findKey(ctx context.Context, name string) (row, error) {
	var key row
	err := p.call(ctx, http.MethodGet, keysPath+"/"+url.PathEscape(name), nil, nil, &key)
	var refused *adminclient.Error
	if !errors.As(err, &refused) || refused.Status != http.StatusNotFound {
		return key, err
	}
	keys, err := p.allKeys(ctx, url.Values{"name": {name}})
	if err != nil {
		return nil, err
	}
	var same []row
	for _, k := range keys {
		if k.text("name") == name {
			same = append(same, k)
		}
	}
	switch len(same) {
	case 0:
		return nil, &adminclient.Error{Status: http.StatusNotFound, Detail: fmt.Sprintf("there is no key with the id or name %q", name)}
	case 1:
		return same[0], nil
	}
	return nil, usage("%d keys have the name %q: say which by its id", len(same), name)
}

func (p *program) keysShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show ID|NAME",
		Short: "Show a key, and what it has spent",
		Args:  exactly("the id or the name of a key"),
		RunE: func(c *cobra.Command, args []string) error {
			key, err := p.findKey(c.Context(), args[0])
			if err != nil {
				return err
			}
			var spend row
			if err := p.call(c.Context(), http.MethodGet, "/api/reporting/keys/"+url.PathEscape(key.text("keyId")), nil, nil, &spend); err != nil {
				return err
			}
			key["costInMicroDollars"] = spend["costInMicroDollars"]
			return p.showOne(key, append(p.keyColumns(),
				member("settings", "settingIds"), member("policy", "policyId"),
				moment("changed", "updatedAt"), member("spent (millionths of $)", "costInMicroDollars"))...)
		},
	}
}

func (p *program) keysUpdate() *cobra.Command {
	var f keyFlags
	c := &cobra.Command{
		Use:     "update ID|NAME",
		Short:   "Change a key; it acts on the next call",
		Example: "  tollgate keys update 'Search team' --cost 50/mo --rate none",
		Args:    exactly("the id or the name of a key"),
		RunE: func(c *cobra.Command, args []string) error {
			body, err := f.body(c)
			if err != nil {
				return err
			}
			if len(body) == 0 {
				return usageError("nothing to change: give at least one flag")
			}
			return p.changeKey(c.Context(), args[0], body)
		},
	}
	f.flags(c)
	return c
}

func (p *program) changeKey(ctx context.Context, name string, body map[string]any) error {
	key, err := p.findKey(ctx, name)
	if err != nil {
		return err
	}
	var changed row
	path := keysPath + "/" + url.PathEscape(key.text("keyId"))
	if err := p.call(ctx, http.MethodPatch, path, nil, body, &changed); err != nil {
		return err
	}
	return p.showOne(changed, p.keyColumns()...)
}

func (p *program) keysRotate() *cobra.Command {
	var overlap string
	c := &cobra.Command{
		Use:   "rotate ID|NAME",
		Short: "Give a key a new secret, which is shown once",
		Long: `Give a key a new secret, which is shown once. The secrets before it work until the
overlap is over; limits and what is counted stay.`,
		Example: `  tollgate keys rotate CI --overlap 7d
  tollgate keys rotate CI --overlap 0s      # leaked: the old one ends now`,
		Args: exactly("the id or the name of a key"),
		RunE: func(c *cobra.Command, args []string) error {
			key, err := p.findKey(c.Context(), args[0])
			if err != nil {
				return err
			}
			var rotated row
			path := keysPath + "/" + url.PathEscape(key.text("keyId")) + "/rotate"
			if err := p.call(c.Context(), http.MethodPost, path, nil, map[string]any{"overlap": overlap}, &rotated); err != nil {
				return err
			}
			return p.showOne(rotated, append(p.keyColumns(), member("secret", "secret"))...)
		},
	}
	c.Flags().StringVar(&overlap, "overlap", "24h", "how long the secrets before it work on, as a `duration`: 24h or 7d; 0s ends them now")
	return c
}

func (p *program) keysRevoke() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:     "revoke ID|NAME",
		Short:   "Refuse all further calls with a key",
		Example: "  tollgate keys revoke CI --reason 'leaked in a log'",
		Args:    exactly("the id or the name of a key"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.changeKey(c.Context(), args[0], map[string]any{"revoked": true, "revokedReason": reason})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, as a `text` for other operators")
	return c
}

func (p *program) keysRestore() *cobra.Command {
	return &cobra.Command{
		Use:   "restore ID|NAME",
		Short: "Let a revoked key be used again",
		Args:  exactly("the id or the name of a key"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.changeKey(c.Context(), args[0], map[string]any{"revoked": false})
		},
	}
}

func (p *program) keysDelete() *cobra.Command {
	return &cobra.Command{
		Use:   "delete ID|NAME",
		Short: "Delete a key that no route or user names; its events stay",
		Args:  exactly("the id or the name of a key"),
		RunE: func(c *cobra.Command, args []string) error {
			key, err := p.findKey(c.Context(), args[0])
			if err != nil {
				return err
			}
			return p.call(c.Context(), http.MethodDelete, keysPath+"/"+url.PathEscape(key.text("keyId")), nil, nil, nil)
		},
	}
}
