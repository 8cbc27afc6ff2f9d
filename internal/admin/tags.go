package admin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"unicode"

	"tollgate/internal/gateway"
	"tollgate/internal/record"
)

func (a *api) tags() record.Of[gateway.Tag] { return record.OfTags(a.store) }

type tagBody struct {
	Tag       ignored `json:"tag"`
	CreatedAt ignored `json:"createdAt"`
	UpdatedAt ignored `json:"updatedAt"`

	Limits []limitBody `json:"limits"`
}

type tagAnswer struct {
	Tag       string        `json:"tag"`
	CreatedAt int64         `json:"createdAt"` // unix seconds
	UpdatedAt int64         `json:"updatedAt"`
	Limits    []limitAnswer `json:"limits"`
}

func showTag(t *gateway.Tag) tagAnswer {
	return tagAnswer{Tag: t.Name, CreatedAt: t.CreatedAt.Unix(), UpdatedAt: t.UpdatedAt.Unix(), Limits: showLimits(t.Limits)}
}

// putTag makes or replaces the limits that all keys with a tag share. The keys get
// a new version each time, so that a PUT that failed half-way is mended by another.
func (a *api) putTag(r *http.Request) (any, error) {
	name := r.PathValue("id")
	if badTag(name) {
		return nil, invalid("the tag has control characters")
	}
	var b tagBody
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	if len(b.Limits) == 0 {
		return nil, invalid("limits are missing: to have none, delete the tag")
	}
	limits, err := readLimits(b.Limits)
	if err != nil {
		return nil, err
	}
	answer, err := a.replaceTag(r, name, limits)
	if err != nil {
		return nil, err
	}
	return answer, a.touchTagged(r.Context(), name)
}

func badTag(name string) bool { return slices.ContainsFunc([]rune(name), unicode.IsControl) }

// replaceTag changes the tag, or makes it if it is not there.
func (a *api) replaceTag(r *http.Request, name string, limits []gateway.Limit) (any, error) {
	now := a.now().UTC()
	answer, err := patchedID(r, a.tags(), name, "tag", showTag, func(t *gateway.Tag) error {
		t.Limits, t.UpdatedAt = limits, now
		return nil
	})
	if !errors.Is(err, gateway.ErrNotFound) {
		return answer, err
	}
	if hasPrecondition(r) {
		return nil, outdated() // not even * means a record that is not there
	}
	t := gateway.Tag{Name: name, CreatedAt: now, UpdatedAt: now, Limits: limits}
	if err := a.tags().Create(r.Context(), &t, nil); err != nil {
		return nil, stored(err, "the tag") // made meanwhile
	}
	return created(a.tags(), name, showTag(&t)), nil
}

func (a *api) touchTagged(ctx context.Context, tag string) error {
	return a.touchKeys(ctx, gateway.Reference{To: gateway.ToTag, ID: tag})
}

func (a *api) getTag(r *http.Request) (any, error) { return got(r, a.tags(), "tag", showTag) }

func (a *api) listTags(r *http.Request) (any, error) { return listed(r, a.tags(), showTag, nil) }

// deleteTag removes the limits; keys keep the tag itself. The keys are touched even
// if the tag is gone: an earlier try may have ended there.
func (a *api) deleteTag(r *http.Request) (any, error) {
	answer, err := remove(r, a.tags(), "tag", showTag, nil)
	if err != nil && !errors.Is(err, gateway.ErrNotFound) {
		return nil, err
	}
	return answer, errors.Join(err, a.touchTagged(r.Context(), r.PathValue("id")))
}
