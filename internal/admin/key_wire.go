package admin

import (
	"strings"
	"time"

	"tollgate/internal/gateway"
)

// keyBody is a key as a caller sends it, to create or to change. A nil member
// was not sent, or was null.
type keyBody struct {
	KeyID     ignored `json:"keyId"`
	CreatedAt ignored `json:"createdAt"`
	UpdatedAt ignored `json:"updatedAt"`
	OldUntil  ignored `json:"oldSecretsUntil"`
	ExpiresAt ignored `json:"expiresAt"`

	Name              *string    `json:"name"`
	Key               *string    `json:"key"` // create only
	Tags              []string   `json:"tags"`
	Revoked           *bool      `json:"revoked"`       // change only
	RevokedReason     *string    `json:"revokedReason"` // change only
	CostLimit         *dollars   `json:"costLimitInUsd"`
	CostLimitOver     *dollars   `json:"costLimitInUsdOverTime"`
	CostLimitUnit     *string    `json:"costLimitInUsdUnit"`
	RateLimitOver     *int64     `json:"rateLimitOverTime"`
	RateLimitUnit     *string    `json:"rateLimitUnit"`
	TTL               *string    `json:"ttl"`
	SettingID         *string    `json:"settingId"`
	SettingIDs        []string   `json:"settingIds"`
	AllowedPaths      []pathWire `json:"allowedPaths"`
	ShouldLogRequest  *bool      `json:"shouldLogRequest"`
	ShouldLogResponse *bool      `json:"shouldLogResponse"`
	RotationEnabled   *bool      `json:"rotationEnabled"`
	PolicyID          *string    `json:"policyId"`
	IsKeyNotHashed    *bool      `json:"isKeyNotHashed"`

	Limits       []limitBody `json:"limits"`
	UnknownModel *string     `json:"unknownModel"`
}

type pathWire struct {
	Method string `json:"method"`
	Path   string `json:"path"`
}

type limitBody struct {
	Measure string `json:"measure"`
	Per     string `json:"per"`
	Max     number `json:"max"`
}

// keyAnswer is a key as callers see it: the peer's 22 members in its order, then
// ours, each only when set.
type keyAnswer struct {
	Name              string     `json:"name"`
	CreatedAt         int64      `json:"createdAt"` // unix seconds
	UpdatedAt         int64      `json:"updatedAt"`
	Tags              []string   `json:"tags"`
	KeyID             string     `json:"keyId"`
	Revoked           bool       `json:"revoked"`
	Key               string     `json:"key"`
	RevokedReason     string     `json:"revokedReason"`
	CostLimit         float64    `json:"costLimitInUsd"`
	CostLimitOver     float64    `json:"costLimitInUsdOverTime"`
	CostLimitUnit     string     `json:"costLimitInUsdUnit"`
	RateLimitOver     int64      `json:"rateLimitOverTime"`
	RateLimitUnit     string     `json:"rateLimitUnit"`
	TTL               string     `json:"ttl"`
	SettingID         string     `json:"settingId"`
	AllowedPaths      []pathWire `json:"allowedPaths"`
	SettingIDs        []string   `json:"settingIds"`
	ShouldLogRequest  bool       `json:"shouldLogRequest"`
	ShouldLogResponse bool       `json:"shouldLogResponse"`
	RotationEnabled   bool       `json:"rotationEnabled"`
	PolicyID          string     `json:"policyId"`
	IsKeyNotHashed    bool       `json:"isKeyNotHashed"`

	Limits       []limitAnswer `json:"limits,omitempty"`
	UnknownModel string        `json:"unknownModel,omitempty"`
	Secret       string        `json:"secret,omitempty"` // a generated one, where it is made and never again

	// OldUntil is when secrets that were replaced end or have ended, oldest first,
	// in unix seconds.
	OldUntil []int64 `json:"oldSecretsUntil,omitempty"`

	ExpiresAt int64 `json:"expiresAt,omitempty"` // unix seconds; of a key with a ttl
}

type limitAnswer struct {
	Measure string  `json:"measure"`
	Per     string  `json:"per,omitempty"`
	Max     float64 `json:"max"` // USD for cost; counts are below 2^53
}

// showKey is the key as it is shown. Its secret is not in it.
func showKey(k *gateway.Key) keyAnswer {
	return keyAnswer{
		Name: k.Name, CreatedAt: k.CreatedAt.Unix(), UpdatedAt: k.UpdatedAt.Unix(),
		Tags: k.Tags, KeyID: k.ID,
		Revoked: k.Revoked, RevokedReason: k.RevokedReason,
		Key:           shownSecret(k),
		CostLimit:     k.CostLimit.USD(),
		CostLimitOver: k.CostLimitOver.USD(), CostLimitUnit: string(k.CostLimitUnit),
		RateLimitOver: k.RateLimitOver, RateLimitUnit: string(k.RateLimitUnit),
		TTL:       k.TTL,
		SettingID: k.SettingID, SettingIDs: orEmpty(k.SettingIDs),
		AllowedPaths:     showPaths(k.AllowedPaths),
		ShouldLogRequest: k.LogRequest, ShouldLogResponse: k.LogResponse,
		RotationEnabled: k.RotationEnabled, PolicyID: k.PolicyID,
		IsKeyNotHashed: k.NotHashed,
		Limits:         showLimits(k.Limits), UnknownModel: string(k.UnknownModel),
		OldUntil: oldUntil(k), ExpiresAt: shownExpiry(k.ExpiresAt),
	}
}

// shownExpiry is createdAt and the ttl together, or 0 for what has no end.
func shownExpiry(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.Unix()
}

func oldUntil(k *gateway.Key) []int64 {
	var ends []int64
	for _, s := range k.Secrets {
		if !s.Until.IsZero() {
			ends = append(ends, s.Until.Unix())
		}
	}
	return ends
}

func showKeys(keys []gateway.Key) []keyAnswer {
	answers := make([]keyAnswer, len(keys))
	for i := range keys {
		answers[i] = showKey(&keys[i])
	}
	return answers
}

func shownSecret(k *gateway.Key) string {
	if k.NotHashed {
		return k.Hint
	}
	return k.Newest()
}

// hint shows the last characters of a secret that is long enough to spare them.
func hint(secret string) string {
	const stars, shown, enough = "************", 4, 16
	r := []rune(secret)
	if len(r) < enough {
		return stars
	}
	return stars + string(r[len(r)-shown:])
}

// showPaths keeps nil, which is shown as null.
func showPaths(paths []gateway.AllowedPath) []pathWire {
	if paths == nil {
		return nil
	}
	wire := make([]pathWire, len(paths))
	for i, p := range paths {
		wire[i] = pathWire(p)
	}
	return wire
}

func showLimits(limits []gateway.Limit) []limitAnswer {
	var shown []limitAnswer
	for _, l := range limits {
		upTo := float64(l.Max)
		if l.Measure == gateway.Cost {
			upTo = gateway.NanoUSD(l.Max).USD()
		}
		shown = append(shown, limitAnswer{string(l.Measure), string(l.Per), upTo})
	}
	return shown
}

// orEmpty makes a list that is shown as [] where it would be null.
func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// apply writes what was sent into the key, for create and change alike; it rests
// on a body that was checked. Empty names, tags and settings mean unchanged, as
// the peer has it.
func (b *keyBody) apply(k *gateway.Key, now time.Time) {
	if b.Name != nil && *b.Name != "" {
		k.Name = *b.Name
	}
	if len(b.Tags) > 0 {
		k.Tags = b.Tags
	}
	if b.SettingID != nil && *b.SettingID != "" {
		k.SettingID = *b.SettingID
	}
	if len(b.SettingIDs) > 0 {
		k.SettingIDs = distinct(b.SettingIDs)
	}
	if b.AllowedPaths != nil {
		k.AllowedPaths = make([]gateway.AllowedPath, len(b.AllowedPaths))
		for i, p := range b.AllowedPaths {
			k.AllowedPaths[i] = gateway.AllowedPath{Method: strings.ToUpper(p.Method), Path: p.Path}
		}
	}
	set(&k.LogRequest, b.ShouldLogRequest)
	set(&k.LogResponse, b.ShouldLogResponse)
	set(&k.RotationEnabled, b.RotationEnabled)
	set(&k.PolicyID, b.PolicyID)
	b.applyLimits(k)
	k.UpdatedAt = now
}

func (b *keyBody) applyLimits(k *gateway.Key) {
	set(&k.CostLimit, (*gateway.NanoUSD)(b.CostLimit))
	set(&k.CostLimitOver, (*gateway.NanoUSD)(b.CostLimitOver))
	set(&k.CostLimitUnit, (*gateway.Unit)(b.CostLimitUnit))
	set(&k.RateLimitOver, b.RateLimitOver)
	set(&k.RateLimitUnit, (*gateway.Unit)(b.RateLimitUnit))
	set(&k.UnknownModel, (*gateway.UnknownModel)(b.UnknownModel))
	if b.Limits != nil {
		k.Limits, _ = readLimits(b.Limits) // checked before
	}
	if b.TTL != nil {
		k.TTL, k.ExpiresAt = *b.TTL, time.Time{}
		if life, _ := parseTTL(k.TTL); life > 0 { // checked before
			k.ExpiresAt = k.CreatedAt.Add(life)
		}
	}
}

// applyState revokes and restores, and stops showing a secret as it was sent.
// These members count on a change only.
func (b *keyBody) applyState(k *gateway.Key) {
	if b.Revoked != nil {
		k.Revoked = *b.Revoked
		if !k.Revoked {
			k.RevokedReason = ""
		} else {
			set(&k.RevokedReason, b.RevokedReason)
		}
	}
	if b.IsKeyNotHashed != nil && !*b.IsKeyNotHashed {
		k.NotHashed, k.Hint = false, ""
	}
}

// set assigns what was sent.
func set[T any](to *T, sent *T) {
	if sent != nil {
		*to = *sent
	}
}

// distinct is the list with each entry once, in order.
func distinct(list []string) []string {
	seen := make(map[string]bool, len(list))
	once := make([]string, 0, len(list))
	for _, s := range list {
		if !seen[s] {
			seen[s] = true
			once = append(once, s)
		}
	}
	return once
}
