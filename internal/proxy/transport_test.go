package proxy_test

import (
	"net/http"
	"net/http/httptest"
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

// What a function asks its platform for is not for a provider setting to read.
func TestPlatformIsNotCalled(t *testing.T) {
	platform := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(platform.Close)
	other := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	own := platform.Listener.Addr().String()
	_, port, _ := strings.Cut(own, ":")
	transport := proxy.NewTransport(own)
	t.Cleanup(transport.CloseIdleConnections)
	for url, refused := range map[string]bool{
		platform.URL: true, "http://127.0.0.2:" + port: true, "http://localhost:" + port: true, "http://0.0.0.0:" + port: true, other.URL: false,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := transport.RoundTrip(r)
		if err == nil {
			res.Body.Close()
		}
		if (err != nil) != refused {
			t.Errorf("%s: %v", url, err)
		}
	}
}
