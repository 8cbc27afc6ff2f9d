package gateway

import (
	"slices"
	"time"
)

// User is an end user behind keys: whoever a call names as its user, with rules
// and limits that hold whichever key the call comes with.
type User struct {
	ID        string    `json:"id"`     // uuid
	UserID    string    `json:"userId"` // as calls name it
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`

	// Tags say whose user it is: it is matched by calls whose key has none but
	// these (Covers).
	Tags []string `json:"tags,omitzero"`
	// KeyIDs, if any, restrict the user to calls with these keys.
	KeyIDs []string `json:"keyIds,omitzero"`

	Revoked       bool      `json:"revoked,omitempty"`
	RevokedReason string    `json:"revokedReason,omitempty"`
	TTL           string    `json:"ttl,omitempty"` // as written, from CreatedAt
	ExpiresAt     time.Time `json:"expiresAt,omitzero"`

	AllowedPaths  []AllowedPath `json:"allowedPaths,omitzero"`
	AllowedModels []string      `json:"allowedModels,omitzero"` // exact names; empty means all

	// The peer's three limits, and any others; as those of a Key.
	CostLimit     NanoUSD `json:"costLimit,omitempty"`
	CostLimitOver NanoUSD `json:"costLimitOver,omitempty"`
	CostLimitUnit Unit    `json:"costLimitUnit,omitempty"`
	RateLimitOver int64   `json:"rateLimitOver,omitempty"`
	RateLimitUnit Unit    `json:"rateLimitUnit,omitempty"`
	Limits        []Limit `json:"limits,omitempty"`
}

// Covers reports whether a call with the key is subject to the user's rules: the
// user has all of the key's tags, and the key is one of KeyIDs if there are any.
func (u *User) Covers(k *Key) bool {
	if len(u.KeyIDs) > 0 && !slices.Contains(u.KeyIDs, k.ID) {
		return false
	}
	for _, tag := range k.Tags {
		if !slices.Contains(u.Tags, tag) {
			return false
		}
	}
	return true
}

// AllLimits is every limit of the user, merged as a key's.
func (u *User) AllLimits() []Limit {
	return (&Key{
		CostLimit: u.CostLimit, CostLimitOver: u.CostLimitOver, CostLimitUnit: u.CostLimitUnit,
		RateLimitOver: u.RateLimitOver, RateLimitUnit: u.RateLimitUnit, Limits: u.Limits,
	}).AllLimits()
}

// HasCostLimit reports whether any limit of the user counts money.
func (u *User) HasCostLimit() bool { return hasCost(u.AllLimits()) }

// Expired reports whether the user's life is over at now.
func (u *User) Expired(now time.Time) bool {
	return !u.ExpiresAt.IsZero() && !now.Before(u.ExpiresAt)
}

// Tag holds the limits that all keys with a tag share: a team's budget.
type Tag struct {
	Name      string    `json:"name"` // the tag itself, and the record's id
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
	Limits    []Limit   `json:"limits"`
}

func hasCost(limits []Limit) bool {
	return slices.ContainsFunc(limits, func(l Limit) bool { return l.Measure == Cost })
}

// HasCostLimit reports whether any limit of the tag counts money.
func (t *Tag) HasCostLimit() bool { return hasCost(t.Limits) }
