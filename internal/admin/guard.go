package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/secret"
)

const (
	// failuresAMinute is how many wrong passwords an address may send in one
	// minute of the clock before it has to wait for the next.
	failuresAMinute = 20

	// addressesKept bounds the memory for counting. Beyond it all further
	// addresses of that minute share one count.
	addressesKept = 10_000
)

// guard checks the admin password and slows down whoever guesses it.
type guard struct {
	open bool // no password is set
	want [sha256.Size]byte

	mu       sync.Mutex
	minute   int64
	failures map[string]int // by address, in that minute
}

func newGuard(password secret.Text) *guard {
	return &guard{
		open:     password.Empty(),
		want:     sha256.Sum256([]byte(password.Reveal())),
		failures: make(map[string]int),
	}
}

// admit compares hashes, so that neither the time taken nor the length tells
// anything. An address that failed too often is refused with the right password
// too: otherwise guessing on would still pay.
//
// known is asked about what is not the password; it may know it as a token.
func (g *guard) admit(r *http.Request, now time.Time, known func(string) (bool, error)) error {
	if g.open {
		return nil
	}
	sent := r.Header.Get("X-API-KEY")
	got := sha256.Sum256([]byte(sent))
	right := subtle.ConstantTimeCompare(got[:], g.want[:]) == 1
	maybe := strings.HasPrefix(sent, tokenPrefix) // no lock is held while the store is asked
	if err := g.try(r.RemoteAddr, now, !right && !maybe); err != nil || right {
		return err
	}
	if maybe {
		if ok, err := known(sent); ok || err != nil {
			return err
		}
		if err := g.try(r.RemoteAddr, now, true); err != nil {
			return err
		}
	}
	return &gateway.Error{Kind: gateway.Unauthenticated, Code: wrongPassword,
		Message: "the header X-API-KEY must hold the admin password"}
}

// try refuses an address that failed too often in this minute, and counts a failure.
func (g *guard) try(address string, now time.Time, failed bool) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m := gateway.Minute.Index(now); m != g.minute {
		g.minute = m
		clear(g.failures)
	}
	from := g.counted(address)
	if g.failures[from] < failuresAMinute {
		if failed {
			g.failures[from]++
		}
		return nil
	}
	return &gateway.Error{
		Kind: gateway.RateLimited, Code: tooManyFailures,
		Message:    "too many wrong passwords from this address: wait a minute",
		RetryAfter: gateway.Minute.End(g.minute).Sub(now),
	}
}

// counted is the name under which an address's failures are counted.
func (g *guard) counted(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	if _, known := g.failures[host]; !known && len(g.failures) >= addressesKept {
		return "others"
	}
	return host
}
