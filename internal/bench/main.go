// Command bench measures what Tollgate adds to a call: the same load goes straight
// to a fake upstream, through a bare reverse proxy, and through Tollgate with
// limits on the key and the durable embedded store, all on loopback, in one run.
//
//	make bench
//	go run ./internal/bench -tollgate bin/tollgate -length 2s -rounds 1
//
// Each server is a process of its own, so that CPU and memory are its own. The
// figures are read from /proc: Linux only.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"time"

	"tollgate/internal/fakeai"
)

func main() {
	log.SetFlags(0)
	var o options
	flag.DurationVar(&o.length, "length", 4*time.Second, "measured time of a row")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds; figures are medians over them")
	flag.StringVar(&o.tollgate, "tollgate", "", "the tollgate binary to measure")
	flag.StringVar(&o.only, "only", "", "measure one row, such as stream/64")
	role := flag.String("role", "", "internal: run as upstream or reverseproxy")
	target := flag.String("target", "", "internal: upstream of the reverse proxy")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch *role {
	case "":
		err = measure(ctx, o)
	case "upstream":
		err = serve(ctx, &fakeai.Server{})
	case "reverseproxy":
		err = serve(ctx, bareProxy(*target))
	default:
		err = fmt.Errorf("unknown role %q", *role)
	}
	if err != nil {
		log.Fatal(err)
	}
}

type options struct {
	length   time.Duration
	rounds   int
	tollgate string
	only     string
}

// bareProxy is the standard library's reverse proxy with enough connections.
func bareProxy(target string) http.Handler {
	u, err := url.Parse(target)
	if err != nil {
		log.Fatal(err)
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost, t.DisableCompression = 2048, 1024, true
	proxy := &httputil.ReverseProxy{
		Transport:     t,
		FlushInterval: -1,
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(u) },
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Without it, an answer that comes fast makes the server close the
		// request's body under the transport, and the answer breaks off.
		_ = http.NewResponseController(w).EnableFullDuplex()
		proxy.ServeHTTP(w, r)
	})
}

// path is one way from the client to the upstream.
type path struct {
	name string
	url  string
	pid  int // of what stands in between; 0 for nothing
}

func measure(ctx context.Context, o options) error {
	rig, err := startRig(ctx, o)
	if err != nil {
		return err
	}
	defer rig.stop()
	fmt.Printf("%-7s %-13s %7s %9s %9s %9s %9s %10s %8s\n",
		"kind", "path", "clients", "p50 ms", "p99 ms", "first p50", "req/s", "CPU ms/req", "RSS MB")
	for _, stream := range []bool{false, true} {
		for _, clients := range []int{1, 16, 64} {
			if o.only != "" && o.only != fmt.Sprintf("%s/%d", kind(stream), clients) {
				continue
			}
			if err := rig.row(ctx, o, stream, clients); err != nil {
				return err
			}
		}
	}
	return nil
}

// row measures all paths in alternation, so that what else the machine does hits
// them alike.
func (r *rig) row(ctx context.Context, o options, stream bool, clients int) error {
	results := make([][]figures, len(r.paths))
	for range o.rounds {
		for i, p := range r.paths {
			f, err := load(ctx, p, stream, clients, o.length)
			if err != nil {
				return fmt.Errorf("%s with %d clients: %w", p.name, clients, err)
			}
			results[i] = append(results[i], f)
		}
	}
	for i, p := range r.paths {
		f := median(results[i])
		fmt.Printf("%-7s %-13s %7d %9.3f %9.3f %9.3f %9.0f %10.3f %8.1f\n", kind(stream), p.name, clients,
			ms(f.p50), ms(f.p99), ms(f.first), f.rate, ms(f.cpu), float64(f.rss)/(1<<20))
	}
	return nil
}

func kind(stream bool) string {
	if stream {
		return "stream"
	}
	return "plain"
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// median takes each figure's median by itself.
func median(list []figures) figures {
	pick := func(get func(figures) float64) float64 {
		v := make([]float64, len(list))
		for i, f := range list {
			v[i] = get(f)
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	duration := func(get func(figures) time.Duration) time.Duration {
		return time.Duration(pick(func(f figures) float64 { return float64(get(f)) }))
	}
	return figures{
		p50:   duration(func(f figures) time.Duration { return f.p50 }),
		p99:   duration(func(f figures) time.Duration { return f.p99 }),
		first: duration(func(f figures) time.Duration { return f.first }),
		cpu:   duration(func(f figures) time.Duration { return f.cpu }),
		rate:  pick(func(f figures) float64 { return f.rate }),
		rss:   int64(pick(func(f figures) float64 { return float64(f.rss) })),
	}
}
