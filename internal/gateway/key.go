package gateway

import "time"

// UnknownModel says what happens to calls whose price is not known.
type UnknownModel string

// The rules for models without a price. The empty rule means deny when the key
// has a cost limit, and allow otherwise.
const (
	UnknownModelDefault UnknownModel = ""
	UnknownModelDeny    UnknownModel = "deny"
	UnknownModelAllow   UnknownModel = "allow" // recorded without a price, marked as such
)

// AllowedPath is one entry of a key's allow-list: an HTTP verb and a registered
// pattern of the proxy, with its :name parts.
type AllowedPath struct {
	Method string `json:"method"`
	Path   string `json:"path"`
}

// Key is what a caller presents: who it is, what it may call and how much.
type Key struct {
	ID   string `json:"id"`   // uuid; names the key everywhere but in look-ups
	Hash string `json:"hash"` // hex SHA-256 of the first secret, and the name of the counters; no secret is ever kept

	// Secrets are the key's secrets once it was rotated, oldest first; before that
	// the first secret is the only one. See Rotate.
	Secrets []KeySecret `json:"secrets,omitempty"`

	// Version changes with every change of the key or of a setting it uses.
	// The counters carry the same number, so a reservation made with an old
	// configuration is refused (limit.ErrStale).
	Version int64 `json:"version"`

	Name          string    `json:"name"`
	CreatedAt     time.Time `json:"createdAt"`
	UpdatedAt     time.Time `json:"updatedAt"`
	Tags          []string  `json:"tags,omitzero"` // an empty list stays one: the API tells [] from null
	Revoked       bool      `json:"revoked,omitempty"`
	RevokedReason string    `json:"revokedReason,omitempty"`

	// TTL is the life from CreatedAt as the operator wrote it, a Go duration.
	// ExpiresAt is what it means; zero for never.
	TTL       string    `json:"ttl,omitempty"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"`

	// The peer's three limits. Zero means none. AllLimits merges them with Limits.
	CostLimit     NanoUSD `json:"costLimit,omitempty"` // lifetime
	CostLimitOver NanoUSD `json:"costLimitOver,omitempty"`
	CostLimitUnit Unit    `json:"costLimitUnit,omitempty"`
	RateLimitOver int64   `json:"rateLimitOver,omitempty"`
	RateLimitUnit Unit    `json:"rateLimitUnit,omitempty"`
	Limits        []Limit `json:"limits,omitempty"`

	SettingID       string        `json:"settingId,omitempty"`
	SettingIDs      []string      `json:"settingIds,omitempty"`
	RotationEnabled bool          `json:"rotationEnabled,omitempty"`
	AllowedPaths    []AllowedPath `json:"allowedPaths,omitzero"`
	UnknownModel    UnknownModel  `json:"unknownModel,omitempty"`
	LogRequest      bool          `json:"logRequest,omitempty"`
	LogResponse     bool          `json:"logResponse,omitempty"`
	PolicyID        string        `json:"policyId,omitempty"`

	// NotHashed is the peer's isKeyNotHashed: the create answer shows the secret
	// instead of the hash. Hint is what later answers show of it.
	NotHashed bool   `json:"notHashed,omitempty"`
	Hint      string `json:"hint,omitempty"`
}

// AllSettingIDs lists the key's settings in order of preference, the peer's
// single settingId first, each once.
func (k *Key) AllSettingIDs() []string {
	ids := make([]string, 0, len(k.SettingIDs)+1)
	if k.SettingID != "" {
		ids = append(ids, k.SettingID)
	}
	for _, id := range k.SettingIDs {
		if id != k.SettingID {
			ids = append(ids, id)
		}
	}
	return ids
}

// UsesSetting reports whether the key refers to the setting.
func (k *Key) UsesSetting(id string) bool {
	for _, have := range k.AllSettingIDs() {
		if have == id {
			return true
		}
	}
	return false
}

// AllLimits is every limit of the key, the peer's fields included, with one
// entry for each measure and window: where several are given the lowest holds.
func (k *Key) AllLimits() []Limit {
	all := make([]Limit, 0, len(k.Limits)+3)
	add := func(l Limit) {
		for i := range all {
			if all[i].Measure == l.Measure && all[i].Per == l.Per {
				all[i].Max = min(all[i].Max, l.Max)
				return
			}
		}
		all = append(all, l)
	}
	if k.RateLimitOver > 0 {
		add(Limit{Requests, k.RateLimitUnit, k.RateLimitOver})
	}
	if k.CostLimitOver > 0 {
		add(Limit{Cost, k.CostLimitUnit, int64(k.CostLimitOver)})
	}
	if k.CostLimit > 0 {
		add(Limit{Cost, Lifetime, int64(k.CostLimit)})
	}
	for _, l := range k.Limits {
		add(l)
	}
	return all
}

// HasCostLimit reports whether any limit of the key counts money.
func (k *Key) HasCostLimit() bool {
	if k.CostLimit > 0 || k.CostLimitOver > 0 {
		return true
	}
	for _, l := range k.Limits {
		if l.Measure == Cost {
			return true
		}
	}
	return false
}

// Expired reports whether the key's life is over at now.
func (k *Key) Expired(now time.Time) bool {
	return !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt)
}

// DeniesUnknownModel applies the key's rule for calls without a price.
func (k *Key) DeniesUnknownModel() bool {
	switch k.UnknownModel {
	case UnknownModelDeny:
		return true
	case UnknownModelAllow:
		return false
	}
	return k.HasCostLimit()
}
