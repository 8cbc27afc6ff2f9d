package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/provider"
	"tollgate/internal/record"
)

// scope is what a call is held to beside its key: an end user, or a tag of the key.
type scope struct {
	share limit.Share
	id    string        // the user's id as calls name it, or the tag
	user  *gateway.User // nil for a tag
}

// String names the scope in refusals.
func (s *scope) String() string {
	if s.user != nil {
		return "the user " + quoted(s.id)
	}
	return "the tag " + quoted(s.id)
}

// mark is the scope as gateway.Event has it.
func (s *scope) mark() string {
	if s.user != nil {
		return "user:" + s.user.ID
	}
	return "tag:" + s.id
}

// quoted is a caller's text as a refusal repeats it.
func quoted(text string) string {
	const most = 100
	if len(text) > most {
		end := most
		for end > 0 && !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end] + "…"
	}
	return fmt.Sprintf("%q", text)
}

// maxTag is how long the name of a tag with limits can be, in bytes.
const maxTag = 255

// readTags reads those of the tags that have limits.
func readTags(ctx context.Context, store record.Store, tags []string) ([]*scope, error) {
	tags = slices.Clone(tags)
	slices.Sort(tags)
	tags = slices.Compact(tags)
	found := make([]*scope, len(tags))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for i, name := range tags {
		if name == "" || len(name) > maxTag {
			continue
		}
		group.Go(func() error {
			tag, version, err := record.OfTags(store).Get(ctx, name)
			if errors.Is(err, gateway.ErrNotFound) {
				return nil
			}
			found[i] = &scope{id: name, share: limit.Share{
				Subject: record.TagSubject(name), Version: version, Limits: merged(tag.Limits)}}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(found, func(s *scope) bool { return s == nil }), nil
}

// merged has one limit for each measure and window, the lowest.
func merged(limits []gateway.Limit) []gateway.Limit {
	return (&gateway.Key{Limits: limits}).AllLimits()
}

// people are the users of one id, as they were read.
type people struct {
	users []*scope
	read  time.Time // before they were read
}

// covering are those of the people whose rules hold for calls with the key.
func (p *people) covering(k *gateway.Key) []*scope {
	var list []*scope
	for _, s := range p.users {
		if s.user.Covers(k) {
			list = append(list, s)
		}
	}
	return list
}

// userDirectory keeps the users that calls name in memory.
//
// As with keys nothing polls: users are charged with every call, and a change of one
// makes the charge stale. That holds only for those that are charged, so what was
// read is used again only where all the users of an id are; in all other cases, above
// all that of an id that nobody has registered, each call that names it reads. What
// is not noticed before maxAge is one more user of an id that has one.
type userDirectory struct {
	store record.Store
	now   func() time.Time
	loads singleflight.Group

	mu    sync.Mutex
	known map[string]*people
}

func newUserDirectory(store record.Store, now func() time.Time) *userDirectory {
	return &userDirectory{store: store, now: now, known: make(map[string]*people)}
}

// maxUserID is how long a registered user id can be, in bytes.
const maxUserID = 1024

// lookup returns the users of an id, read at or after notBefore.
func (d *userDirectory) lookup(ctx context.Context, id string, k *gateway.Key, notBefore time.Time) (*people, error) {
	if id == "" || len(id) > maxUserID {
		return &people{read: d.now()}, nil
	}
	d.mu.Lock()
	p := d.known[id]
	d.mu.Unlock()
	if p != nil && !p.read.Before(notBefore) && d.now().Sub(p.read) < maxAge && len(p.covering(k)) == len(p.users) {
		return p, nil
	}
	// See directory.lookup.
	begun := d.now()
	for {
		v, err, _ := d.loads.Do(id, func() (any, error) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
			defer cancel()
			return d.load(ctx, id)
		})
		if err != nil {
			return nil, err
		}
		if p := v.(*people); !p.read.Before(begun) {
			return p, nil
		}
	}
}

func (d *userDirectory) load(ctx context.Context, id string) (*people, error) {
	p := &people{read: d.now()}
	list, err := d.store.RecordsIn(ctx, record.Users, id)
	if err != nil {
		return nil, err
	}
	for _, r := range list {
		u := new(gateway.User)
		if err := json.Unmarshal(r.Data, u); err != nil {
			return nil, fmt.Errorf("user %s: %w", r.ID, err)
		}
		p.users = append(p.users, &scope{id: id, user: u, share: limit.Share{
			Subject: record.UserSubject(u.ID), Version: r.Version, Limits: u.AllLimits()}})
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(p.users) == 0 {
		delete(d.known, id)
		return p, nil
	}
	for old := range d.known { // any: it is read again when it is needed
		if len(d.known) < maxEntries {
			break
		}
		delete(d.known, old)
	}
	d.known[id] = p
	return p, nil
}

// forget lets the next call that names the user read, if one of the id's users is
// among the subjects.
func (d *userDirectory) forget(id string, subjects []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.known[id]
	if p != nil && slices.ContainsFunc(p.users, func(s *scope) bool { return slices.Contains(subjects, s.share.Subject) }) {
		delete(d.known, id)
	}
}

// identify finds the users that the call names and applies their rules. An id that
// nobody has registered passes; of several users all count. As with keys a call is
// refused only by what was read after it came in.
func (x *exchange) identify(ctx context.Context) error {
	err := x.meet(ctx, time.Time{})
	if isRule(err) && x.named.read.Before(x.start) {
		err = x.meet(ctx, x.start)
	}
	if isRule(err) {
		return x.unlessBlocked(ctx, err, func() error { return x.meet(ctx, time.Time{}) })
	}
	return err
}

func (x *exchange) meet(ctx context.Context, notBefore time.Time) error {
	p, err := x.server.users.lookup(ctx, x.call.User, &x.entry.key, notBefore)
	if err != nil {
		return unavailable(err)
	}
	x.named, x.scope = &people{users: p.covering(&x.entry.key), read: p.read}, ""
	for _, s := range x.named.users {
		if err := admits(s, x.endpoint, x.call, x.server.Now()); err != nil {
			x.scope = s.mark()
			return err
		}
	}
	return nil
}

// isRule reports whether err is the refusal of a user's rule, not a failure.
func isRule(err error) bool {
	kind := gateway.KindOf(err)
	return kind == gateway.Unauthenticated || kind == gateway.Forbidden
}

// admits applies a user's rules.
func admits(s *scope, ep *provider.Endpoint, call *provider.Call, now time.Time) error {
	u := s.user
	switch {
	case u.Revoked:
		return &gateway.Error{Kind: gateway.Unauthenticated, Code: "user_revoked",
			Message: fmt.Sprintf("The user %s has been revoked.", quoted(s.id))}
	case u.Expired(now):
		return &gateway.Error{Kind: gateway.Unauthenticated, Code: "user_expired",
			Message: fmt.Sprintf("The user %s has expired.", quoted(s.id))}
	}
	if len(u.AllowedModels) > 0 && usesModel(ep, call) {
		for _, m := range append([]string{call.Model}, call.Fallbacks...) {
			if !slices.Contains(u.AllowedModels, m) {
				return &gateway.Error{Kind: gateway.Forbidden, Code: "model_not_allowed",
					Message: fmt.Sprintf("The user %s may not use the model %s.", quoted(s.id), quoted(m))}
			}
		}
	}
	if !allowsPath(u.AllowedPaths, ep) {
		return &gateway.Error{Kind: gateway.Forbidden, Code: "path_not_allowed",
			Message: fmt.Sprintf("The user %s may not call the path %s.", quoted(s.id), ep.Pattern)}
	}
	return nil
}

// unlessBlocked returns the refusal of a rule, a user's or the policy's, unless the
// key's own limits refuse the call: they come first, as with the peer. It charges
// nothing, so that who may not call takes no room from those who may. again applies
// the rule anew, for a key that has changed.
func (x *exchange) unlessBlocked(ctx context.Context, rule error, again func() error) error {
	counters, err := x.server.Store.Counters(ctx, x.entry.key.Hash)
	if err != nil {
		if errors.Is(err, gateway.ErrNotFound) {
			return rule // the key is being deleted
		}
		return unavailable(err)
	}
	if counters.Version != x.entry.key.Version {
		if err := x.renewKey(ctx); err != nil {
			return err
		}
		if rule = again(); !isRule(rule) { // other users may match it now, or no rule
			return rule
		}
	}
	if x.quote, err = x.newQuote(); err != nil {
		return rule // what a call costs that is not made need not be known
	}
	claim := x.newClaim(ctx)
	counters.Version = claim.Version // whatever changed by now was allowed as the call came
	var denied *limit.Denied
	if errors.As(counters.Decide(claim, x.server.Now()), &denied) && !x.lower(denied) {
		x.standing = limit.Standing{Limits: denied.Standing.Limits}
		return x.refuse(denied)
	}
	return rule
}

// scopes are what the call is held to beside its key.
func (x *exchange) scopes() []*scope {
	if x.named == nil || len(x.named.users) == 0 {
		return x.entry.tags
	}
	return slices.Concat(x.named.users, x.entry.tags)
}

// scopeOf finds a scope by its subject; nil for the key's.
func (x *exchange) scopeOf(subject string) *scope {
	for _, s := range x.scopes() {
		if s.share.Subject == subject {
			return s
		}
	}
	return nil
}

func (x *exchange) shares() []limit.Share {
	var list []limit.Share
	for _, s := range x.scopes() {
		list = append(list, s.share)
	}
	return list
}
