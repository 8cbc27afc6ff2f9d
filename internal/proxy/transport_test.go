package proxy_test

import (
	"net/http"
	"strings"
	"testing"

	"tollgate/internal/proxy"
)

// No name and no address leads to a cloud's credential service.
func TestLinkLocalIsNotCalled(t *testing.T) {
	for _, host := range []string{"169.254.169.254", "169.254.100.1:9001", "[fe80::1]", "[fd00:ec2::254]", "[::ffff:169.254.169.254]"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+"/latest/meta-data", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := proxy.NewTransport().RoundTrip(r)
		if err == nil {
			res.Body.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "link-local") {
			t.Errorf("%s: %v", host, err)
		}
	}
}
