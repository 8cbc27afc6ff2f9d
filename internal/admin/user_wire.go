package admin

import (
	"time"

	"github.com/google/uuid"

	"tollgate/internal/gateway"
)

// userBody is a user as a caller sends it, to create or to change. A nil member
// was not sent, or was null.
type userBody struct {
	ID        ignored `json:"id"`
	CreatedAt ignored `json:"createdAt"`
	UpdatedAt ignored `json:"updatedAt"`
	ExpiresAt ignored `json:"expiresAt"`

	Name          *string     `json:"name"`
	Tags          []string    `json:"tags"` // for good
	KeyIDs        []string    `json:"keyIds"`
	Revoked       *bool       `json:"revoked"`       // change only
	RevokedReason *string     `json:"revokedReason"` // change only
	CostLimit     *dollars    `json:"costLimitInUsd"`
	CostLimitOver *dollars    `json:"costLimitInUsdOverTime"`
	CostLimitUnit *string     `json:"costLimitInUsdUnit"`
	RateLimitOver *int64      `json:"rateLimitOverTime"`
	RateLimitUnit *string     `json:"rateLimitUnit"`
	TTL           *string     `json:"ttl"`
	AllowedPaths  []pathWire  `json:"allowedPaths"`
	AllowedModels []string    `json:"allowedModels"`
	UserID        *string     `json:"userId"` // for good
	Limits        []limitBody `json:"limits"`
}

// userAnswer is a user as callers see it: the peer's members in its order, then
// ours when there are any.
type userAnswer struct {
	ID            string     `json:"id"`
	Name          string     `json:"name"`
	CreatedAt     int64      `json:"createdAt"` // unix seconds
	UpdatedAt     int64      `json:"updatedAt"`
	Tags          []string   `json:"tags"`
	KeyIDs        []string   `json:"keyIds"`
	Revoked       bool       `json:"revoked"`
	RevokedReason string     `json:"revokedReason"`
	CostLimit     float64    `json:"costLimitInUsd"`
	CostLimitOver float64    `json:"costLimitInUsdOverTime"`
	CostLimitUnit string     `json:"costLimitInUsdUnit"`
	RateLimitOver int64      `json:"rateLimitOverTime"`
	RateLimitUnit string     `json:"rateLimitUnit"`
	TTL           string     `json:"ttl"`
	AllowedPaths  []pathWire `json:"allowedPaths"`
	AllowedModels []string   `json:"allowedModels"`
	UserID        string     `json:"userId"`

	Limits    []limitAnswer `json:"limits,omitempty"`
	ExpiresAt int64         `json:"expiresAt,omitempty"` // unix seconds; of a user with a ttl
}

func showUser(u *gateway.User) userAnswer {
	return userAnswer{
		ID: u.ID, Name: u.Name, CreatedAt: u.CreatedAt.Unix(), UpdatedAt: u.UpdatedAt.Unix(),
		Tags: u.Tags, KeyIDs: u.KeyIDs, Revoked: u.Revoked, RevokedReason: u.RevokedReason,
		CostLimit:     u.CostLimit.USD(),
		CostLimitOver: u.CostLimitOver.USD(), CostLimitUnit: string(u.CostLimitUnit),
		RateLimitOver: u.RateLimitOver, RateLimitUnit: string(u.RateLimitUnit),
		TTL: u.TTL, AllowedPaths: showPaths(u.AllowedPaths), AllowedModels: u.AllowedModels,
		UserID: u.UserID, Limits: showLimits(u.Limits), ExpiresAt: shownExpiry(u.ExpiresAt),
	}
}

// limits is the members that users share with keys, under their rules.
func (b *userBody) limits() *keyBody {
	return &keyBody{
		CostLimit: b.CostLimit, CostLimitOver: b.CostLimitOver, CostLimitUnit: b.CostLimitUnit,
		RateLimitOver: b.RateLimitOver, RateLimitUnit: b.RateLimitUnit, TTL: b.TTL, Limits: b.Limits,
		Name: b.Name, AllowedPaths: b.AllowedPaths, Revoked: b.Revoked, RevokedReason: b.RevokedReason,
	}
}

func (b *userBody) userID() string {
	if b.UserID == nil || *b.UserID == "" {
		return uuid.NewString()
	}
	return *b.UserID
}

// checkCreate finds what is wrong with a new user, in the peer's order.
func (b *userBody) checkCreate() error {
	var f faults
	f.add("tags", badTags(b.Tags))
	f.add("keyIds", badNames(b.KeyIDs))
	f.add("name", b.Name == nil || *b.Name == "" || tooLong(*b.Name))
	f.add("costLimitInUsd", negative(b.CostLimit))
	f.add("costLimitInUsdOverTime", negative(b.CostLimitOver))
	f.add("rateLimitOverTime", negative(b.RateLimitOver))
	f.add("ttl", badTTL(b.TTL))
	f.addPaths(b.AllowedPaths)
	f.add("allowedModels", badNames(b.AllowedModels))
	f.add("userId", b.UserID != nil && tooLong(*b.UserID))
	if len(f) > 0 {
		return f.err()
	}
	l := b.limits()
	if err := firstFault(l.ratePair().faultsOnCreate, l.costPair().faultsOnCreate); err != nil {
		return err
	}
	return l.checkAdditions()
}

// checkChange finds what is wrong with a PATCH, in the peer's order.
func (b *userBody) checkChange() error {
	var f faults
	f.add("keyIds", badNames(b.KeyIDs))
	f.add("name", b.Name != nil && tooLong(*b.Name))
	f.add("revokedReason", b.RevokedReason != nil && tooLong(*b.RevokedReason))
	f.add("costLimitInUsd", negative(b.CostLimit))
	f.add("costLimitInUsdOverTime", negative(b.CostLimitOver))
	f.add("rateLimitOverTime", negative(b.RateLimitOver))
	f.add("ttl", badTTL(b.TTL))
	f.addPaths(b.AllowedPaths)
	f.add("allowedModels", badNames(b.AllowedModels))
	if len(f) > 0 {
		return f.err()
	}
	l := b.limits()
	if err := firstFault(l.ratePair().faultsOnChange, l.costPair().faultsOnChange); err != nil {
		return err
	}
	return l.checkAdditions()
}

func (b *userBody) restores() bool { return b.Revoked != nil && !*b.Revoked }

// apply writes what was sent into the user, for create and change alike; it rests
// on a body that was checked. Names, limits, life and paths go by a key's rules.
func (b *userBody) apply(u *gateway.User, now time.Time) {
	k := userAsKey(u)
	b.limits().apply(&k, now)
	u.Name, u.UpdatedAt, u.AllowedPaths = k.Name, k.UpdatedAt, k.AllowedPaths
	u.TTL, u.ExpiresAt, u.Limits = k.TTL, k.ExpiresAt, k.Limits
	u.CostLimit, u.CostLimitOver, u.CostLimitUnit = k.CostLimit, k.CostLimitOver, k.CostLimitUnit
	u.RateLimitOver, u.RateLimitUnit = k.RateLimitOver, k.RateLimitUnit
	if b.KeyIDs != nil {
		u.KeyIDs = distinct(b.KeyIDs)
	}
	if b.AllowedModels != nil {
		u.AllowedModels = b.AllowedModels
	}
}

// change applies a PATCH to the current record. It may run several times.
func (b *userBody) change(u *gateway.User, now time.Time, spent gateway.NanoUSD) error {
	if b.renames(u) {
		return invalid("tags and userId can not be changed: make another user")
	}
	wasRevoked := u.Revoked
	b.apply(u, now)
	k := userAsKey(u)
	b.limits().applyState(&k)
	u.Revoked, u.RevokedReason = k.Revoked, k.RevokedReason
	if wasRevoked && !u.Revoked {
		return checkUsable("user", &k, now, spent)
	}
	return nil
}

// renames reports whether the body has other tags or another user id than the user.
// They are what a call finds its user by, and that no two users answer to the same
// is only made sure of when one is created. The peer drops such a change in silence.
func (b *userBody) renames(u *gateway.User) bool {
	sameTags := b.Tags == nil || hasAll(b.Tags, u.Tags) && hasAll(u.Tags, b.Tags)
	return !sameTags || b.UserID != nil && *b.UserID != "" && *b.UserID != u.UserID
}

// userAsKey is a key with the user's name, life, limits and state.
func userAsKey(u *gateway.User) gateway.Key {
	return gateway.Key{
		Name: u.Name, CreatedAt: u.CreatedAt, TTL: u.TTL, ExpiresAt: u.ExpiresAt,
		Revoked: u.Revoked, RevokedReason: u.RevokedReason, AllowedPaths: u.AllowedPaths,
		CostLimit: u.CostLimit, CostLimitOver: u.CostLimitOver, CostLimitUnit: u.CostLimitUnit,
		RateLimitOver: u.RateLimitOver, RateLimitUnit: u.RateLimitUnit, Limits: u.Limits,
	}
}
