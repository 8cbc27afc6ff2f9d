package config_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tollgate/internal/config"
)

func read(env map[string]string) (config.Config, error) {
	return config.Read(func(name string) string { return env[name] })
}

var noPassword = cmpopts.IgnoreFields(config.Config{}, "AdminPass")

func TestPresets(t *testing.T) {
	c, err := read(nil)
	want := config.Config{ProxyTimeout: 10 * time.Minute, MaxBody: 32 << 20, CORSOrigins: []string{"*"}, Retention: 90 * 24 * time.Hour, AuditRetention: 400 * 24 * time.Hour}
	if diff := cmp.Diff(want, c, noPassword); diff != "" || err != nil || !c.AdminPass.Empty() {
		t.Errorf("%v, (-want +got)\n%s", err, diff)
	}
}

func TestRead(t *testing.T) {
	c, err := read(map[string]string{
		"GATEWAY_TABLE": "g", "USAGE_TABLE": "u", "KMS_KEY_ID": "k", "PROXY_TIMEOUT": "90s", "MAX_BODY_BYTES": "1024",
		"LOGGING_LEVEL": "WARN", "CORS_ALLOWED_ORIGINS": " https://a.example, ,https://b.example ", "REMOVE_USER_AGENT": "true",
		"EVENT_RETENTION_DAYS": "0", "METRICS_NAMESPACE": "Tollgate", "ADMIN_PASS": "secret-pass",
		"ADMIN_CORS_ALLOWED_ORIGINS": "https://console.example", "AUDIT_RETENTION_DAYS": "30", "ALLOW_PRIVATE_TARGETS": "true", "SHOW_SETTING_SECRETS": "true",
	})
	want := config.Config{GatewayTable: "g", UsageTable: "u", KMSKeyID: "k", ProxyTimeout: 90 * time.Second, MaxBody: 1024,
		Level: slog.LevelWarn, CORSOrigins: []string{"https://a.example", "https://b.example"}, RemoveUserAgent: true, MetricsNamespace: "Tollgate",
		AdminCORSOrigins: []string{"https://console.example"}, AuditRetention: 30 * 24 * time.Hour, AllowPrivate: true, ShowSecrets: true}
	if diff := cmp.Diff(want, c, noPassword); diff != "" || err != nil || c.AdminPass.Reveal() != "secret-pass" {
		t.Errorf("%v, (-want +got)\n%s", err, diff)
	}
	if err := c.RequireAWS(); err != nil {
		t.Error(err)
	}
	if shown := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(shown, "secret-pass") {
		t.Errorf("the password is shown: %s", shown)
	}
}

// Whoever deploys wants to mend all faults at once, each named.
func TestAllFaultsAtOnce(t *testing.T) {
	faulty := map[string]string{
		"PROXY_TIMEOUT": "10 minutes", "MAX_BODY_BYTES": "0", "LOGGING_LEVEL": "loud", "REMOVE_USER_AGENT": "maybe", "EVENT_RETENTION_DAYS": "-1",
	}
	c, err := read(faulty)
	if err == nil {
		t.Fatal("no fault is found")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != len(faulty) {
		t.Errorf("%d faults: %v", len(lines), err)
	}
	for name, value := range faulty {
		if !strings.Contains(err.Error(), fmt.Sprintf("%s is %q: it must be ", name, value)) {
			t.Errorf("%s is not named: %v", name, err)
		}
	}
	if c.ProxyTimeout != 10*time.Minute || c.MaxBody != 32<<20 || c.Retention != 90*24*time.Hour || c.RemoveUserAgent {
		t.Errorf("faults do not leave the presets: %+v", c)
	}
	if err := c.RequireAWS(); err == nil || err.Error() != "GATEWAY_TABLE is not set\nUSAGE_TABLE is not set\nKMS_KEY_ID is not set" {
		t.Errorf("RequireAWS says %v", err)
	}
}

func TestBadValues(t *testing.T) {
	for name, values := range map[string][]string{
		"PROXY_TIMEOUT":        {"0s", "-1s", "600", "1d", "99999999h"},
		"MAX_BODY_BYTES":       {"-1", "1e6", "32MiB", "1073741825", "99999999999999999999"},
		"EVENT_RETENTION_DAYS": {"1.5", "36501", "9223372036854775807", "ninety"},
		"LOGGING_LEVEL":        {"trace", "1", " info"},
		"REMOVE_USER_AGENT":    {"yes", "2"},
	} {
		for _, v := range values {
			if _, err := read(map[string]string{name: v}); err == nil || !strings.HasPrefix(err.Error(), name+" is ") {
				t.Errorf("%s=%q: %v", name, v, err)
			}
		}
	}
}
