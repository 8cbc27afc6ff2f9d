// Command tollgate is the operator's program: it runs the gateway on this
// machine, shows what it does, and manages a deployed one.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"tollgate/internal/adminclient"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// program is what the commands share.
type program struct {
	getenv      func(string) string
	in          io.Reader
	out, stderr io.Writer
	now         func() time.Time
	http        *http.Client // nil for the client's own

	connection connection
	format     format
}

// Exit codes. Scripts rely on them: they are documented in docs/cli.md.
const (
	exitFailed       = 1
	exitCalledWrong  = 2
	exitNotAllowed   = 3 // 401, 403, or no credentials
	exitNotFound     = 4
	exitConflict     = 5 // 409, 412
	exitNotReachable = 6
)

// run is the program; its result is the exit code.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	p := &program{getenv: getenv, in: os.Stdin, out: stdout, stderr: stderr, now: time.Now}
	return p.run(ctx, args)
}

func (p *program) run(ctx context.Context, args []string) int {
	root := p.root()
	root.SetArgs(args)
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.stderr)
	err := root.ExecuteContext(ctx)
	code := exitCode(err)
	switch code {
	case 0:
	case exitCalledWrong:
		fmt.Fprintf(p.stderr, "tollgate: %v\nRun 'tollgate help' for how to call it.\n", err)
	default:
		fmt.Fprintf(p.stderr, "tollgate: %v\n", err)
	}
	return code
}

func exitCode(err error) int {
	var wrong usageError
	var refused *adminclient.Error
	var silent *adminclient.Unreachable
	switch {
	case err == nil:
		return 0
	case errors.As(err, &wrong):
		return exitCalledWrong
	case errors.As(err, &silent):
		return exitNotReachable
	case errors.As(err, &refused):
		switch refused.Status {
		case http.StatusUnauthorized, http.StatusForbidden:
			return exitNotAllowed
		case http.StatusNotFound:
			return exitNotFound
		case http.StatusConflict, http.StatusPreconditionFailed:
			return exitConflict
		}
	}
	return exitFailed
}

// usageError is a call that cannot be understood.
type usageError string

func (e usageError) Error() string { return string(e) }

func usage(format string, args ...any) error { return usageError(fmt.Sprintf(format, args...)) }

// root is the whole tree of commands.
func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "tollgate",
		Short: "Keys with limits in front of LLM providers, every call priced and recorded",
		Long: `Tollgate is a gateway in front of LLM providers: keys with limits, every call
priced and recorded.

'tollgate local' runs it on this machine and 'tollgate demo' shows it at work.
All other commands manage a gateway: with --local the one on this machine, else
the deployed one whose admin URL is in TOLLGATE_ADMIN_URL or --url, by requests
signed with your AWS profile.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("unknown command %q", args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			c.SetOut(p.stderr)
			_ = c.Usage()
			return usageError("no command was given")
		},
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage("%v (see '%s --help')", err, c.CommandPath())
	})
	root.AddCommand(p.localCommand(), p.demoCommand(), p.recomputeCommand())
	root.AddGroup(&cobra.Group{ID: manage, Title: "Manage a gateway:"})
	for _, c := range []*cobra.Command{
		p.keysCommand(), p.providersCommand(), p.usersCommand(), p.tagsCommand(),
		p.usageCommand(), p.eventsCommand(), p.auditCommand(), p.pricesCommand(),
	} {
		c.GroupID = manage
		p.connection.flags(c, p.getenv)
		p.format.flags(c)
		root.AddCommand(c)
	}
	return root
}

const manage = "manage"

// exactly is how many arguments a command takes, with their names in the error.
func exactly(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usage("%s needs %s (see '%s --help')", c.CommandPath(), names[len(args)], c.CommandPath())
		case len(args) > len(names):
			return usage("unexpected argument %q", args[len(names)])
		}
		return nil
	}
}
