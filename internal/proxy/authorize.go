package proxy

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/provider"
	"tollgate/internal/secret"
)

// Refusals. None of them says anything of the key itself.
var (
	errNoKey = &gateway.Error{Kind: gateway.Unauthenticated,
		Message: "No API key was sent. Send it as 'Authorization: Bearer <key>' or in the header x-api-key."}
	errSigned = &gateway.Error{Kind: gateway.Unauthenticated, Code: "aws_signature_not_accepted",
		Message: "The call is signed with AWS credentials, which the gateway cannot check. Send its own API key instead: " +
			"as 'Authorization: Bearer <key>', or in the environment variable AWS_BEARER_TOKEN_BEDROCK of an AWS SDK."}
	errUnknownKey = &gateway.Error{Kind: gateway.Unauthenticated,
		Message: "The API key is not known."}
	errRevoked = &gateway.Error{Kind: gateway.Unauthenticated, Code: "api_key_revoked",
		Message: "The API key has been revoked."}
	errExpired = &gateway.Error{Kind: gateway.Unauthenticated, Code: "api_key_expired",
		Message: "The API key has expired."}
	errReplaced = &gateway.Error{Kind: gateway.Unauthenticated, Code: "api_key_expired",
		Message: "The API key has been replaced by a newer one and has expired."}
	errPath = &gateway.Error{Kind: gateway.Forbidden, Code: "path_not_allowed",
		Message: "The API key may not call this path."}
	errModel = &gateway.Error{Kind: gateway.Forbidden, Code: "model_not_allowed",
		Message: "The API key may not use this model."}
	// 401 and not 403: the key is not good for this provider, as the peer has it.
	errNoSetting = &gateway.Error{Kind: gateway.Unauthenticated, Code: "provider_not_configured",
		Message: "The API key has no provider setting for this path."}
)

// authenticate finds the key, and refuses early what needs no body to be refused.
func (x *exchange) authenticate(ctx context.Context) error {
	key := credential(x.r.Header)
	switch {
	case key == "":
		return errNoKey
	case strings.HasPrefix(key, "Credential=") && strings.HasPrefix(x.r.Header.Get("Authorization"), "AWS4-"):
		return errSigned
	}
	hash := secret.HashKey(key)
	e, err := x.server.directory.lookup(ctx, hash, time.Time{})
	if errors.Is(err, gateway.ErrNotFound) {
		return errUnknownKey
	}
	if err != nil {
		return unavailable(err)
	}
	x.entry = e
	return x.undefined(ctx, x.decide(ctx))
}

// authorize decides with the body read: model, and which setting to use; then the
// rules of the users that the call names.
func (x *exchange) authorize(ctx context.Context) error {
	if err := x.undefined(ctx, x.decide(ctx)); err != nil {
		return err
	}
	return x.identify(ctx)
}

// decide applies the key's rules to what is known of the call so far. It refuses
// only on an entry that was read after the call came in: what an operator allowed
// before that is allowed.
func (x *exchange) decide(ctx context.Context) error {
	err := x.choose()
	if err == nil || !x.entry.read.Before(x.start) {
		return err
	}
	if err := x.refresh(ctx, x.start); err != nil {
		return err
	}
	return x.choose()
}

// refresh reads the key again unless it was read at or after notBefore.
func (x *exchange) refresh(ctx context.Context, notBefore time.Time) error {
	e, err := x.server.directory.lookup(ctx, x.entry.hash, notBefore)
	if errors.Is(err, gateway.ErrNotFound) {
		return errUnknownKey
	}
	if err != nil {
		return unavailable(err)
	}
	x.entry = e
	return nil
}

func (x *exchange) choose() error {
	missing := x.direct()
	fitting, err := permit(x.entry, x.endpoint, x.call, x.server.Now())
	if err != nil {
		return err
	}
	x.setting = fitting[0]
	if x.entry.key.RotationEnabled {
		x.setting = fitting[rand.IntN(len(fitting))]
	}
	return missing
}

// permit applies the key's rules and returns the settings that the call may use,
// in order of preference; never none without an error. call is nil while the body
// has not been read.
func permit(e *entry, ep *provider.Endpoint, call *provider.Call, now time.Time) ([]*setting, error) {
	k := &e.key
	switch {
	case k.Revoked:
		return nil, errRevoked
	case k.Expired(now):
		return nil, errExpired
	case !k.Accepts(e.hash, now):
		return nil, errReplaced
	}
	var own []*setting
	for _, s := range e.settings {
		if s.Provider == ep.Vendor.Name() {
			own = append(own, s)
		}
	}
	if len(own) == 0 {
		return nil, errNoSetting
	}
	if !allowsPath(k.AllowedPaths, ep) {
		return nil, errPath
	}
	if call == nil || !usesModel(ep, call) {
		return own, nil
	}
	var fitting []*setting
	for _, s := range own {
		if allowsModels(s, call) {
			fitting = append(fitting, s)
		}
	}
	if len(fitting) == 0 {
		return nil, errModel
	}
	return fitting, nil
}

// allowsModels reports whether a setting may be used for every model that may answer.
func allowsModels(s *setting, call *provider.Call) bool {
	for _, m := range call.Fallbacks {
		if !s.AllowsModel(m) {
			return false
		}
	}
	return s.AllowsModel(call.Model)
}

func allowsPath(list []gateway.AllowedPath, ep *provider.Endpoint) bool {
	if len(list) == 0 {
		return true
	}
	for _, p := range list {
		if p.Method == ep.Method && pattern(p.Path) == ep.Pattern {
			return true
		}
	}
	return false
}

// usesModel reports whether a model list applies to the call: where it names a
// model, and where a model is used without being named (an endpoint's default,
// an assistant's own), which only a setting for all models may do.
func usesModel(ep *provider.Endpoint, call *provider.Call) bool {
	switch ep.Metering {
	case provider.Free, provider.FileSearch:
		return call.Model != ""
	}
	return true
}
