package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"tollgate/internal/gateway"
)

// NativeProviders is the table of built-in providers and the setting parameters
// that each requires.
func NativeProviders() map[string][]string {
	return map[string][]string{
		"openai":     {"apikey"},
		"anthropic":  {"apikey"},
		"azure":      {"resourceName", "apikey"},
		"bedrock":    {"awsAccessKeyId", "awsSecretAccessKey", "awsRegion"},
		"deepinfra":  {"apikey"},
		"deepseek":   {"apikey"},
		"fireworks":  {"apikey"},
		"gemini":     {"apikey"},
		"groq":       {"apikey"},
		"mistral":    {"apikey"},
		"ollama":     {"url"},
		"openrouter": {"apikey"},
		"together":   {"apikey"},
		"vllm":       {"url"},
		"xai":        {"apikey"},
	}
}

// maxSecret bounds the sealed parameters of one setting, in bytes: a key service
// encrypts no more at once.
const maxSecret = 4096

// mergeParams puts what was sent over the setting's parameters, checks the result
// and seals it. An empty value removes a parameter. On an error s is unchanged.
func (a *api) mergeParams(ctx context.Context, s *gateway.Setting, sent map[string]string) error {
	params, err := a.openParams(ctx, s)
	if err != nil {
		return err
	}
	for name, value := range s.Params {
		params[name] = value
	}
	for name, value := range sent {
		params[name] = value
		if value == "" {
			delete(params, name)
		}
	}
	required, known, err := a.required(ctx, s.Provider)
	if err != nil {
		return err
	}
	if !known {
		return invalid("provider %s is not supported", clip(s.Provider))
	}
	if _, native := a.providers[s.Provider]; !native && len(required) > 0 && params[required[0]] == "" {
		return invalid("provider %s is missing value for field %s", clip(s.Provider), required[0])
	}
	if err := checkParams(s.Provider, params, required); err != nil {
		return err
	}
	return a.sealParams(ctx, s, params)
}

// openParams is the setting's secret parameters, never nil.
func (a *api) openParams(ctx context.Context, s *gateway.Setting) (map[string]string, error) {
	params := make(map[string]string)
	if len(s.Sealed) == 0 {
		return params, nil
	}
	plain, err := a.box.Open(ctx, s.Sealed, s.SealContext())
	if err != nil {
		return nil, boxFault(err)
	}
	if err := json.Unmarshal(plain, &params); err != nil {
		return nil, boxFault(errors.New("what was sealed is not an object of strings")) // err could quote it
	}
	return params, nil
}

// sealParams splits the parameters into those in clear and those sealed.
func (a *api) sealParams(ctx context.Context, s *gateway.Setting, params map[string]string) error {
	var public, secrets map[string]string
	for name, value := range params {
		to := &secrets
		if gateway.PublicParams[name] {
			to = &public
		}
		if *to == nil {
			*to = make(map[string]string)
		}
		(*to)[name] = value
	}
	var sealed []byte
	if secrets != nil {
		plain, err := json.Marshal(secrets)
		if err != nil {
			return err
		}
		if len(plain) > maxSecret {
			return invalid("the secret parameters of setting are too large: at most %d bytes", maxSecret)
		}
		if sealed, err = a.box.Seal(ctx, plain, s.SealContext()); err != nil {
			return boxFault(err)
		}
	}
	s.Params, s.Sealed = public, sealed
	return nil
}

func boxFault(err error) error {
	return &gateway.Error{Kind: gateway.Unavailable, Err: err,
		Message: "the service that encrypts secrets does not answer, try again later"}
}

// checkParams checks all parameters of a setting together.
func checkParams(provider string, params map[string]string, required []string) error {
	var missing []string
	for _, name := range stillRequired(provider, params, required) {
		if params[name] == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return invalid("provider %s is missing fields %s", provider, strings.Join(missing, ","))
	}
	for _, name := range append([]string{"apikey", "awsSessionToken", "awsExternalId"}, required...) {
		// It goes into a header or a signature; a line break from a careless copy
		// would make every call fail.
		if strings.ContainsFunc(params[name], unicode.IsControl) {
			return invalid("setting.%s has a control character or line break in it", name)
		}
	}
	for name, check := range publicChecks {
		if value, ok := params[name]; ok {
			if err := check(value); err != nil {
				return invalid("setting.%s %v", name, err)
			}
		}
	}
	return nil
}

// stillRequired is what is required where one parameter can stand for others: a
// Bedrock API key, or a role to assume, for a pair of AWS keys.
func stillRequired(provider string, params map[string]string, required []string) []string {
	half := (params["awsAccessKeyId"] == "") != (params["awsSecretAccessKey"] == "")
	if provider == "bedrock" && !half && (params["apikey"] != "" || params["awsRoleArn"] != "") {
		return []string{"awsRegion"}
	}
	return required
}

// publicChecks are the rules for gateway.PublicParams. They become part of the
// address that the credential is sent to.
var publicChecks = map[string]func(string) error{
	"url":          checkURL,
	"resourceName": checkLabel,
	"awsRegion":    checkLabel,
	"awsRoleArn":   checkRole,
	"apiVersion":   checkLabel,
}

var labelPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?$`)

func checkLabel(s string) error {
	if !labelPattern.MatchString(s) {
		return errors.New("can have letters, digits, hyphens and dots only, 63 at most")
	}
	return nil
}

var rolePattern = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,512}$`)

func checkRole(s string) error {
	if s != "default" && !rolePattern.MatchString(s) {
		return errors.New("has to be the ARN of an IAM role, or default for the gateway's own")
	}
	return nil
}

// checkURL wants an absolute base URL that a path can be appended to.
func checkURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || strings.ContainsFunc(s, badInURL) || len(s) > 2048:
		return errors.New("is not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("has to begin with http:// or https://")
	case u.Hostname() == "":
		return errors.New("has no host")
	case u.User != nil:
		return errors.New("can not hold credentials: they belong in their own parameter")
	case strings.ContainsAny(s, "?#"):
		return errors.New("can not have a query or a fragment")
	}
	return checkHost(u)
}

func badInURL(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == '\\' }

// checkHost refuses ports that are none and link-local addresses, where clouds
// keep the service that hands out a machine's own credentials.
func checkHost(u *url.URL) error {
	if p := u.Port(); p != "" {
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
			return errors.New("has no valid port")
		}
	}
	addr, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		return nil // a name
	}
	addr = addr.Unmap().WithZone("")
	if addr.IsLinkLocalUnicast() || addr == netip.MustParseAddr("fd00:ec2::254") {
		return errors.New("can not be a link-local address")
	}
	return nil
}
