package proxy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/policy"
	"tollgate/internal/provider"
	"tollgate/internal/record"
)

// inspection is what the policy of the key made of a call.
type inspection struct {
	policy   *policy.Policy // it was done by; nil before
	original []byte         // the body as it came; the exchange has the one that may be sent
	action   policy.Action
	err      error // the refusal
}

// inspect holds the texts of the call against the policy of its key. As with the
// key's own rules a call is refused only by what was read after it came in.
func (x *exchange) inspect(ctx context.Context) error {
	err := x.enforce()
	if err == nil {
		return nil
	}
	if x.entry.read.Before(x.start) {
		if err := x.refresh(ctx, x.start); err != nil {
			return err
		}
		if err := x.authorize(ctx); err != nil {
			return err
		}
		err = x.enforce()
	}
	if gateway.KindOf(err) == gateway.Forbidden {
		return x.unlessBlocked(ctx, err, func() error {
			if err := x.meet(ctx, time.Time{}); err != nil {
				return err
			}
			return x.enforce()
		})
	}
	return err
}

// enforce applies the policy that the entry has, unless that was done.
func (x *exchange) enforce() error {
	i := &x.inspection
	p := x.entry.policy
	if p == i.policy {
		return i.err
	}
	first := i.policy == nil // the body is as it came, and was read as it is
	if first {
		i.original = x.body
	}
	i.policy, i.action, i.err = p, "", nil
	body := i.original
	if p != nil {
		body, i.err = x.apply(p)
	}
	if first && len(body) == len(x.body) && (len(body) == 0 || &body[0] == &x.body[0]) {
		return i.err
	}
	x.body = body
	if i.err != nil {
		return i.err
	}
	return x.read()
}

// apply inspects the body as it came and returns what may be sent of it; where the
// call is refused, what may be logged.
func (x *exchange) apply(p *policy.Policy) ([]byte, error) {
	i := &x.inspection
	i.action = policy.Allowed
	if !p.Acts() || len(i.original) == 0 {
		return i.original, nil
	}
	if part := p.Unenforceable(); part != "" {
		i.action = policy.Blocked
		return nil, notEnforceable(part)
	}
	texts, err := provider.Texts(x.call, x.r.Header.Get("Content-Type"), i.original)
	var unseen provider.Unseen
	if errors.As(err, &unseen) {
		i.action = policy.Blocked
		return nil, notEnforceable(unseen.Error())
	}
	if err != nil {
		return nil, err
	}
	values := make([]string, len(texts))
	for n, t := range texts {
		values[n] = t.Value
	}
	verdict := p.Inspect(values)
	i.action = verdict.Action
	body := i.original
	if verdict.Changed {
		body = provider.Rewrite(body, texts, verdict.Texts)
	}
	if verdict.Action == policy.Blocked {
		return body, &gateway.Error{Kind: gateway.Forbidden, Code: "policy_blocked", NoRetry: true,
			Message: fmt.Sprintf("The policy of the API key does not allow the content of this call (%s). It was not sent.", verdict.Rule)}
	}
	return body, nil
}

// notEnforceable refuses a call whose texts cannot be held against the policy.
func notEnforceable(why string) error {
	return &gateway.Error{Kind: gateway.Forbidden, Code: "policy_not_enforceable", NoRetry: true,
		Message: fmt.Sprintf("The policy of the API key cannot be applied to this call: %s. The call was not sent.", why)}
}

// loggable reports whether the body may be kept as it is now: not before a policy
// has seen it.
func (x *exchange) loggable() bool { return x.entry.policy == x.inspection.policy }

// policyVersion names one version of a policy.
type policyVersion struct {
	id      string
	version int64
}

// policyOf reads the policy of a key, if it has one. It is compiled once for each of
// its versions, however many keys have it.
func (d *directory) policyOf(ctx context.Context, k *gateway.Key) (*policy.Policy, error) {
	if k.PolicyID == "" {
		return nil, nil
	}
	stored, version, err := record.OfPolicies(d.store).Get(ctx, k.PolicyID)
	if errors.Is(err, gateway.ErrNotFound) {
		return policy.Missing(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("policy %s: %w", k.PolicyID, err)
	}
	id := policyVersion{k.PolicyID, version}
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.policies[id]
	if p == nil {
		p = policy.Compile(&stored)
		if len(d.policies) >= maxPolicies {
			clear(d.policies) // entries keep those they have
		}
		d.policies[id] = p
	}
	return p, nil
}

// maxPolicies bounds the compiled policies that are kept for keys to share.
const maxPolicies = 1000
