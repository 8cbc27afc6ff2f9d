// Package config reads the environment, once, into one struct, and reports all
// its faults together.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"tollgate/internal/secret"
)

// Config is what the environment says. Names in parentheses are the variables.
type Config struct {
	// GatewayTable and UsageTable are the DynamoDB tables (GATEWAY_TABLE,
	// USAGE_TABLE). Required on AWS.
	GatewayTable, UsageTable string
	// KMSKeyID seals provider credentials (KMS_KEY_ID). Required on AWS.
	KMSKeyID string

	// ProxyTimeout bounds an upstream call, and what a caller may ask for with
	// x-request-timeout (PROXY_TIMEOUT, a Go duration; 600s).
	ProxyTimeout time.Duration
	// MaxBody bounds a request body in bytes (MAX_BODY_BYTES; 32 MiB). On
	// Lambda the platform's own limit, about 5 MB, comes first.
	MaxBody int64
	// Level of the log (LOGGING_LEVEL: debug, info, warn, error; info).
	Level slog.Level
	// CORSOrigins may call from a browser (CORS_ALLOWED_ORIGINS, a comma list;
	// "*", as the peer).
	CORSOrigins []string
	// RemoveUserAgent keeps the caller's User-Agent from providers
	// (REMOVE_USER_AGENT; false).
	RemoveUserAgent bool
	// Retention is how long events are kept (EVENT_RETENTION_DAYS; 90, 0 for ever).
	Retention time.Duration
	// MetricsNamespace makes access records CloudWatch metrics
	// (METRICS_NAMESPACE; empty for none).
	MetricsNamespace string
	// AdminPass guards the local admin API (ADMIN_PASS; empty lets everybody in
	// who reaches it).
	AdminPass secret.Text

	// AdminCORSOrigins may call the admin API from a browser
	// (ADMIN_CORS_ALLOWED_ORIGINS, a comma list; none).
	AdminCORSOrigins []string
	// AuditRetention is how long the audit of a write is kept
	// (AUDIT_RETENTION_DAYS; 400).
	AuditRetention time.Duration
	// AllowPrivate lets custom providers have private addresses
	// (ALLOW_PRIVATE_TARGETS; false).
	AllowPrivate bool
	// ShowSecrets makes reads of provider settings show the credentials
	// (SHOW_SETTING_SECRETS; false).
	ShowSecrets bool
}

// FromEnvironment reads the process's environment.
func FromEnvironment() (Config, error) { return Read(os.Getenv) }

// Read reads the variables through get.
func Read(get func(string) string) (Config, error) {
	r := reader{get: get}
	c := Config{
		GatewayTable:     get("GATEWAY_TABLE"),
		UsageTable:       get("USAGE_TABLE"),
		KMSKeyID:         get("KMS_KEY_ID"),
		ProxyTimeout:     r.duration("PROXY_TIMEOUT", 600*time.Second),
		MaxBody:          r.integer("MAX_BODY_BYTES", 32<<20, 1, 1<<30),
		Level:            r.level("LOGGING_LEVEL"),
		CORSOrigins:      r.list("CORS_ALLOWED_ORIGINS", "*"),
		RemoveUserAgent:  r.boolean("REMOVE_USER_AGENT"),
		Retention:        time.Duration(r.integer("EVENT_RETENTION_DAYS", 90, 0, 100*365)) * 24 * time.Hour,
		MetricsNamespace: get("METRICS_NAMESPACE"),
		AdminPass:        secret.NewText(get("ADMIN_PASS")),

		AdminCORSOrigins: r.list("ADMIN_CORS_ALLOWED_ORIGINS", ""),
		AuditRetention:   time.Duration(r.integer("AUDIT_RETENTION_DAYS", 400, 1, 100*365)) * 24 * time.Hour,
		AllowPrivate:     r.boolean("ALLOW_PRIVATE_TARGETS"),
		ShowSecrets:      r.boolean("SHOW_SETTING_SECRETS"),
	}
	return c, errors.Join(r.faults...)
}

// RequireAWS reports what a function cannot run without.
func (c *Config) RequireAWS() error {
	var faults []error
	for _, v := range []struct{ name, value string }{
		{"GATEWAY_TABLE", c.GatewayTable}, {"USAGE_TABLE", c.UsageTable}, {"KMS_KEY_ID", c.KMSKeyID},
	} {
		if v.value == "" {
			faults = append(faults, fmt.Errorf("%s is not set", v.name))
		}
	}
	return errors.Join(faults...)
}

// reader collects faults.
type reader struct {
	get    func(string) string
	faults []error
}

func (r *reader) fault(name, want string) {
	r.faults = append(r.faults, fmt.Errorf("%s is %q: %s", name, r.get(name), want))
}

func (r *reader) duration(name string, preset time.Duration) time.Duration {
	v := r.get(name)
	if v == "" {
		return preset
	}
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 {
		r.fault(name, "it must be a duration above zero, such as 600s")
		return preset
	}
	return d
}

func (r *reader) integer(name string, preset, least, most int64) int64 {
	v := r.get(name)
	if v == "" {
		return preset
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < least || n > most {
		r.fault(name, fmt.Sprintf("it must be a whole number from %d to %d", least, most))
		return preset
	}
	return n
}

func (r *reader) boolean(name string) bool {
	v := r.get(name)
	if v == "" {
		return false
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		r.fault(name, "it must be true or false")
	}
	return b
}

func (r *reader) level(name string) slog.Level {
	var l slog.Level
	if v := r.get(name); v != "" {
		if err := l.UnmarshalText([]byte(v)); err != nil {
			r.fault(name, "it must be debug, info, warn or error")
		}
	}
	return l
}

func (r *reader) list(name, preset string) []string {
	v := r.get(name)
	if v == "" {
		v = preset
	}
	var list []string
	for s := range strings.SplitSeq(v, ",") {
		if s = strings.TrimSpace(s); s != "" {
			list = append(list, s)
		}
	}
	return list
}
