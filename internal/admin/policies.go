package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"tollgate/internal/gateway"
	"tollgate/internal/record"
)

func (a *api) policies() record.Of[gateway.Policy] { return record.OfPolicies(a.store) }

// policyBody is a policy as a caller sends it. A nil member was not sent, or null.
type policyBody struct {
	ID        ignored `json:"id"`
	CreatedAt ignored `json:"createdAt"`
	UpdatedAt ignored `json:"updatedAt"`

	Name     *string           `json:"name"`
	Tags     []string          `json:"tags"`
	Entities *entityRulesWire  `json:"config"`
	Regex    *patternRulesWire `json:"regexConfig"`
	Custom   *patternRulesWire `json:"customConfig"`
}

type entityRulesWire struct {
	Rules map[string]string `json:"rules"` // action by entity
}

type patternRulesWire struct {
	Rules []*patternRuleWire `json:"rules"`
}

type patternRuleWire struct {
	Definition string `json:"definition"`
	Action     string `json:"action"`
}

// policyAnswer is a policy as callers see it, in the peer's order.
type policyAnswer struct {
	ID        string           `json:"id"`
	Name      string           `json:"name"`
	CreatedAt int64            `json:"createdAt"` // unix seconds
	UpdatedAt int64            `json:"updatedAt"`
	Tags      []string         `json:"tags"`
	Entities  entityRulesWire  `json:"config"`
	Regex     patternRulesWire `json:"regexConfig"`
	Custom    patternRulesWire `json:"customConfig"`
}

func showPolicy(p *gateway.Policy) policyAnswer {
	return policyAnswer{
		ID: p.ID, Name: p.Name, CreatedAt: p.CreatedAt.Unix(), UpdatedAt: p.UpdatedAt.Unix(), Tags: p.Tags,
		Entities: entityRulesWire{p.Entities}, Regex: showRules(p.Regex), Custom: showRules(p.Custom),
	}
}

// showRules keeps nil, which is shown as null.
func showRules(rules []gateway.PolicyRule) patternRulesWire {
	if rules == nil {
		return patternRulesWire{}
	}
	w := patternRulesWire{make([]*patternRuleWire, len(rules))}
	for i, r := range rules {
		w.Rules[i] = (*patternRuleWire)(&r)
	}
	return w
}

func (w *patternRulesWire) rules() []gateway.PolicyRule {
	if w.Rules == nil {
		return nil
	}
	rules := make([]gateway.PolicyRule, len(w.Rules))
	for i, r := range w.Rules {
		rules[i] = gateway.PolicyRule(*r)
	}
	return rules
}

// entities are the kinds of personal data that a rule can be about.
var entities = strings.Fields(`address age all aws_access_key aws_secret_key bank_account_number bank_routing
	ca_health_number ca_social_insurance_number credit_debit_cvv credit_debit_expiry credit_debit_number date_time
	driver_id email in_aadhaar in_nrega in_permanent_account_number in_voter_number international_bank_account_number
	ip_address license_plate mac_address name passport_number password phone pin ssn swift_code
	uk_national_health_service_number uk_national_insurance_number uk_unique_taxpayer_reference_number url
	us_individual_tax_identification_number username vehicle_identification_number`)

var actions = []string{gateway.ActionBlock, gateway.ActionWarn, gateway.ActionRedact, gateway.ActionAllow}

// longestPattern bounds a rule's definition, in bytes.
const longestPattern = 4096

// check finds what is wrong with a policy. A rule that could never act is a fault:
// whoever wrote it believes that it protects.
func (b *policyBody) check() error {
	var found []string
	fault := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	if b.Name != nil && tooLong(*b.Name) {
		fault("name is longer than %d characters", maxText)
	}
	if slices.ContainsFunc(b.Tags, tooLong) {
		fault("a tag is longer than %d characters", maxText)
	}
	if b.Entities != nil {
		b.Entities.check(fault)
	}
	if b.Regex != nil {
		b.Regex.check("regex", fault, func(i int, definition string) {
			if _, err := regexp.Compile(definition); err != nil {
				fault("regex rule at index [%d] cannot be compiled", i)
			}
		})
	}
	if b.Custom != nil {
		b.Custom.check("custom", fault, func(int, string) {})
	}
	if len(found) == 0 {
		return nil
	}
	return invalid("policy is not valid: %s", strings.Join(found[:min(len(found), maxFaults)], " ,"))
}

func (w *entityRulesWire) check(fault func(string, ...any)) {
	for entity, action := range w.Rules {
		if !slices.Contains(entities, entity) {
			fault("there is no entity %s", clip(entity))
		}
		if !slices.Contains(actions, action) {
			fault("the action of %s can only be %s", clip(entity), strings.Join(actions, ", "))
		}
	}
}

func (w *patternRulesWire) check(kind string, fault func(string, ...any), each func(i int, definition string)) {
	for i, r := range w.Rules {
		switch {
		case r == nil:
			fault("%s rule at index [%d] cannot be nil", kind, i)
			continue
		case r.Definition == "":
			fault("%s rule at index [%d] has no definition", kind, i)
		case len(r.Definition) > longestPattern:
			fault("%s rule at index [%d] is longer than %d bytes", kind, i, longestPattern)
			continue
		}
		each(i, r.Definition)
		if !slices.Contains(actions, r.Action) {
			fault("the action of %s rule at index [%d] can only be %s", kind, i, strings.Join(actions, ", "))
		}
	}
}

// apply writes what was sent. An empty name and empty tags mean unchanged on a
// PATCH, as the peer has it; rules are replaced as a whole.
func (b *policyBody) apply(p *gateway.Policy) {
	if b.Name != nil && *b.Name != "" {
		p.Name = *b.Name
	}
	if len(b.Tags) > 0 {
		p.Tags = b.Tags
	}
	if b.Entities != nil {
		p.Entities = b.Entities.Rules
	}
	if b.Regex != nil {
		p.Regex = b.Regex.rules()
	}
	if b.Custom != nil {
		p.Custom = b.Custom.rules()
	}
}

func (a *api) createPolicy(r *http.Request) (any, error) {
	var b policyBody
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	now := a.now().UTC()
	p := gateway.Policy{ID: newID(r.Context()), CreatedAt: now, UpdatedAt: now, Tags: b.Tags}
	b.apply(&p)
	if err := checkSize(&p); err != nil {
		return nil, err
	}
	if err := a.policies().Create(r.Context(), &p, nil); err != nil {
		return nil, stored(err, "the policy")
	}
	return created(a.policies(), p.ID, showPolicy(&p)), nil
}

// listPolicies wants tags, as the peer does, or a cursor, which lists all.
func (a *api) listPolicies(r *http.Request) (any, error) {
	q := r.URL.Query()
	tags := q["tags"]
	if !q.Has("tags") && !q.Has("cursor") {
		return nil, invalid("query param tags is empty: it is required for retrieving policies")
	}
	return listed(r, a.policies(), showPolicy, func(p *gateway.Policy) bool { return hasAll(p.Tags, tags) })
}

func (a *api) getPolicy(r *http.Request) (any, error) {
	return got(r, a.policies(), "policy", showPolicy)
}

// patchPolicy acts with the next call: the keys with the policy get a new version.
func (a *api) patchPolicy(r *http.Request) (any, error) {
	ctx, id := r.Context(), r.PathValue("id")
	var b policyBody
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	answer, err := patched(r, a.policies(), "policy", showPolicy, func(p *gateway.Policy) error {
		p.UpdatedAt = a.now().UTC()
		b.apply(p)
		return nil
	})
	if errors.Is(err, gateway.ErrNotFound) {
		return nil, &gateway.Error{Kind: gateway.NotFound, Message: "policy is not found for id: " + clip(id), Err: err}
	}
	if err != nil {
		return nil, err
	}
	return answer, a.touchKeys(ctx, gateway.Reference{To: gateway.ToPolicy, ID: id})
}

// deletePolicy refuses while keys have the policy: they would go on without any.
func (a *api) deletePolicy(r *http.Request) (any, error) {
	return remove(r, a.policies(), "policy", showPolicy, func(p *gateway.Policy) error {
		keys, err := a.keysUsing(r.Context(), gateway.Reference{To: gateway.ToPolicy, ID: p.ID})
		if err != nil {
			return err
		}
		return refer("policy", referrers{"keys", keys})
	})
}

// checkPolicy makes sure that a key's policy is there.
func (a *api) checkPolicy(ctx context.Context, id string) error {
	err := gateway.ErrNotFound
	if possibleID(id) {
		_, _, err = a.policies().Get(ctx, id)
	}
	if errors.Is(err, gateway.ErrNotFound) {
		return invalid("policy is not found for id: %s", clip(id))
	}
	return stored(err, "policies")
}
