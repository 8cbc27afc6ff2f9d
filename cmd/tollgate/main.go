// Command tollgate is the operator's program: it runs the gateway on this
// machine, and shows what it does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `Tollgate is a gateway in front of LLM providers: keys with limits, every call priced and recorded.

Usage:
  tollgate local [flags]   run the proxy and the admin API on this machine
  tollgate demo            see it work without a provider account
  tollgate local -h        list the flags

`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// run is the program; its result is the exit code: 0 fine, 1 failed, 2 called wrong.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		io.WriteString(stderr, usage)
		return 2
	}
	var err error
	switch args[0] {
	case "local":
		var o localOptions
		if o, err = parseLocal(args[1:], getenv, stderr); err == nil {
			err = runLocal(ctx, o, stdout, stderr)
		}
	case "demo":
		err = runDemo(ctx, stdout)
	case "help", "-h", "--help":
		io.WriteString(stdout, usage)
	default:
		err = usageError(fmt.Sprintf("unknown command %q", args[0]))
	}
	var wrong usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &wrong):
		fmt.Fprintf(stderr, "tollgate: %v\nRun 'tollgate help' for how to call it.\n", err)
		return 2
	}
	fmt.Fprintf(stderr, "tollgate: %v\n", err)
	return 1
}

// usageError is a call that cannot be understood.
type usageError string

func (e usageError) Error() string { return string(e) }
