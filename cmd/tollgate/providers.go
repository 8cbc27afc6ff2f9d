package main

import (
	"bufio"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

const settingsPath = "/api/provider-settings"

func (p *program) providersCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "providers",
		Short: "Store the credentials that keys use, list, change and delete them",
		Args:  subcommand,
		RunE:  never,
	}
	c.AddCommand(p.providersCreate(), p.providersList(), p.providersUpdate(), p.providersDelete())
	return c
}

var settingColumns = []column{
	member("id", "id"), member("provider", "provider"), member("name", "name"),
	member("models", "allowedModels"), moment("created", "createdAt"), moment("changed", "updatedAt"),
}

// settingFlags are the members of a provider setting that can be given.
type settingFlags struct {
	name   string
	params []string
	models []string
	stdin  bool
}

func (f *settingFlags) flags(c *cobra.Command) {
	c.Flags().StringVar(&f.name, "name", "", "`name` of the setting")
	c.Flags().BoolVar(&f.stdin, "apikey-stdin", false, "read the provider's API key from standard input")
	c.Flags().StringArrayVar(&f.params, "param", nil, "parameter as `NAME=VALUE`: resourceName=my-azure, awsRegion=us-east-1; NAME=$VARIABLE takes it from the environment; may be repeated")
	c.Flags().StringSliceVar(&f.models, "model", nil, "allow only this `model`; may be repeated")
}

func (p *program) settingBody(c *cobra.Command, f *settingFlags) (map[string]any, error) {
	params := map[string]string{}
	for _, text := range f.params {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, usage("--param %s: it is a name with a value, such as awsRegion=us-east-1", name)
		}
		if variable, found := strings.CutPrefix(value, "$"); found {
			if value = p.getenv(variable); value == "" {
				return nil, usage("--param %s: the variable %s is not set", name, variable)
			}
		}
		params[name] = value
	}
	if f.stdin {
		line, _ := bufio.NewReader(p.in).ReadString('\n')
		if line = strings.TrimSpace(line); line == "" {
			return nil, usageError("--apikey-stdin: there is nothing on standard input")
		}
		params["apikey"] = line
	}
	body := map[string]any{}
	if len(params) > 0 {
		body["setting"] = params
	}
	if c.Flags().Changed("name") {
		body["name"] = f.name
	}
	if c.Flags().Changed("model") {
		body["allowedModels"] = f.models
	}
	return body, nil
}

func (p *program) providersCreate() *cobra.Command {
	var f settingFlags
	c := &cobra.Command{
		Use:   "create PROVIDER",
		Short: "Store a provider credential; it is sealed and never shown again",
		Example: `  pass show openai | tollgate providers create openai --name Production --apikey-stdin
  tollgate providers create azure --param resourceName=my-resource --param 'apikey=$AZURE_OPENAI_API_KEY'`,
		Args: exactly("the name of a provider, such as openai"),
		RunE: func(c *cobra.Command, args []string) error {
			body, err := p.settingBody(c, &f)
			if err != nil {
				return err
			}
			body["provider"] = args[0]
			var setting row
			if err := p.call(c.Context(), http.MethodPut, settingsPath, nil, body, &setting); err != nil {
				return err
			}
			return p.showOne(setting, settingColumns...)
		},
	}
	f.flags(c)
	return c
}

func (p *program) providersList() *cobra.Command {
	var provider, name string
	c := &cobra.Command{
		Use:   "list",
		Short: "List provider settings, newest first",
		Args:  exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			query := url.Values{"all": {"true"}}
			if provider != "" {
				query.Set("provider", provider)
			}
			if name != "" {
				query.Set("name", name)
			}
			var settings []row
			if err := p.call(c.Context(), http.MethodGet, settingsPath, query, nil, &settings); err != nil {
				return err
			}
			return p.show(settings, settingColumns...)
		},
	}
	c.Flags().StringVar(&provider, "provider", "", "only settings of this `provider`")
	c.Flags().StringVar(&name, "name", "", "only settings whose name holds this `text`, in any case")
	return c
}

func (p *program) providersUpdate() *cobra.Command {
	var f settingFlags
	c := &cobra.Command{
		Use:     "update ID",
		Short:   "Change a provider setting; parameters not given stay",
		Example: "  pass show openai-new | tollgate providers update 3f1c… --apikey-stdin",
		Args:    exactly("the id of a setting"),
		RunE: func(c *cobra.Command, args []string) error {
			body, err := p.settingBody(c, &f)
			if err != nil {
				return err
			}
			if len(body) == 0 {
				return usageError("nothing to change: give at least one flag")
			}
			var setting row
			if err := p.call(c.Context(), http.MethodPatch, settingsPath+"/"+url.PathEscape(args[0]), nil, body, &setting); err != nil {
				return err
			}
			return p.showOne(setting, settingColumns...)
		},
	}
	f.flags(c)
	return c
}

func (p *program) providersDelete() *cobra.Command {
	return &cobra.Command{
		Use:   "delete ID",
		Short: "Delete a provider setting that no key uses",
		Args:  exactly("the id of a setting"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.call(c.Context(), http.MethodDelete, settingsPath+"/"+url.PathEscape(args[0]), nil, nil, nil)
		},
	}
}
