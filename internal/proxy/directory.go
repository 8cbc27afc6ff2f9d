package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"tollgate/internal/gateway"
	"tollgate/internal/policy"
	"tollgate/internal/provider"
	"tollgate/internal/secret"
)

// entry is a key with its settings, as they were read. It does not change.
type entry struct {
	hash     string // of the secret that the callers sent, one of the key's
	key      gateway.Key
	limits   []gateway.Limit
	settings []*setting
	custom   customProviders
	policy   *policy.Policy // nil: the key has none
	tags     []*scope       // of the key's tags, those with limits of their own
	read     time.Time      // before it was read
}

// setting is a provider setting of an entry.
type setting struct {
	gateway.Setting
}

// directory keeps keys and settings in memory.
//
// Nothing polls: every change of a key, or of a setting it uses, gives the key a
// new version, and a reservation with an old one is refused (limit.ErrStale).
// What is decided without a reservation, a refusal, is decided on a fresh entry.
type directory struct {
	store Store
	box   secret.Box
	now   func() time.Time
	loads singleflight.Group
	// native are the providers that no operator has to define.
	native map[string]bool

	mu          sync.Mutex
	entries     map[string]*entry
	credentials map[sealedID]provider.Credential
	policies    map[policyVersion]*policy.Policy
}

// sealedID names one version of a setting's secrets.
type sealedID struct {
	setting string
	version int64
}

const (
	// maxEntries bounds the memory that keys take, some kilobytes each.
	maxEntries = 10_000
	// maxAge bounds how long an entry is used without being read again: a
	// second line of defence should a version ever not have been changed.
	maxAge = 5 * time.Minute
	// loadTimeout bounds reading an entry, and opening a credential.
	loadTimeout = 3 * time.Second
)

func newDirectory(store Store, box secret.Box, now func() time.Time) *directory {
	return &directory{store: store, box: box, now: now, native: make(map[string]bool),
		entries: make(map[string]*entry), credentials: make(map[sealedID]provider.Credential),
		policies: make(map[policyVersion]*policy.Policy)}
}

// lookup returns the entry of a key's hash, from memory unless it was read before
// notBefore.
func (d *directory) lookup(ctx context.Context, hash string, notBefore time.Time) (*entry, error) {
	d.mu.Lock()
	e := d.entries[hash]
	d.mu.Unlock()
	if e != nil && !e.read.Before(notBefore) && d.now().Sub(e.read) < maxAge {
		return e, nil
	}
	// Callers that miss together read once, and one that leaves does not spoil
	// it for the others. The read one joins may have begun too early for it;
	// the next one has not.
	for {
		v, err, _ := d.loads.Do(hash, func() (any, error) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
			defer cancel()
			return d.load(ctx, hash)
		})
		if err != nil {
			d.forget(hash)
			return nil, err
		}
		if e := v.(*entry); !e.read.Before(notBefore) {
			return e, nil
		}
	}
}

func (d *directory) load(ctx context.Context, hash string) (*entry, error) {
	e := &entry{hash: hash, read: d.now()}
	var err error
	if e.key, err = d.store.KeyByHash(ctx, hash); err != nil {
		return nil, err
	}
	settings, err := d.store.Settings(ctx, e.key.AllSettingIDs())
	if err != nil {
		return nil, err
	}
	for _, s := range settings {
		e.settings = append(e.settings, &setting{s})
		if !d.native[s.Provider] {
			if err := e.custom.read(ctx, d.store, s.Provider); err != nil {
				return nil, err
			}
		}
	}
	if e.tags, err = readTags(ctx, d.store, e.key.Tags); err != nil {
		return nil, err
	}
	if e.policy, err = d.policyOf(ctx, &e.key); err != nil {
		return nil, err
	}
	e.limits = e.key.AllLimits()
	d.mu.Lock()
	defer d.mu.Unlock()
	for old := range d.entries { // any: it is read again when it is needed
		if len(d.entries) < maxEntries {
			break
		}
		delete(d.entries, old)
	}
	d.entries[hash] = e
	return e, nil
}

// discard forgets an entry that has proved to be out of date, whatever the clock
// says of its age.
func (d *directory) discard(e *entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.entries[e.hash] == e {
		delete(d.entries, e.hash)
	}
}

// retag reads the tags of these subjects again, and nothing else of the entry.
func (d *directory) retag(ctx context.Context, e *entry, subjects []string) (*entry, error) {
	next := *e
	next.tags = nil
	for _, tag := range e.tags {
		list := []*scope{tag}
		if slices.Contains(subjects, tag.share.Subject) {
			var err error
			if list, err = readTags(ctx, d.store, []string{tag.id}); err != nil {
				return nil, err
			}
		}
		next.tags = append(next.tags, list...)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.entries[e.hash] == e {
		d.entries[e.hash] = &next
	}
	return &next, nil
}

func (d *directory) forget(hash string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.entries, hash)
}

// open returns the setting's parameters in clear.
func (d *directory) open(ctx context.Context, s *setting) (provider.Credential, error) {
	id := sealedID{s.ID, s.Version}
	d.mu.Lock()
	c, ok := d.credentials[id]
	d.mu.Unlock()
	if ok {
		return c, nil
	}
	params := make(map[string]string, len(s.Params)+1)
	if len(s.Sealed) > 0 {
		ctx, cancel := context.WithTimeout(ctx, loadTimeout)
		defer cancel()
		plain, err := d.box.Open(ctx, s.Sealed, s.SealContext())
		if err == nil {
			err = json.Unmarshal(plain, &params)
		}
		if err != nil {
			return c, &gateway.Error{Kind: gateway.Unavailable, Code: "credential_unavailable",
				Message: "The provider credential cannot be opened. The call was not sent.",
				Err:     fmt.Errorf("setting %s: %w", s.ID, err)}
		}
	}
	for name, value := range s.Params {
		params[name] = value
	}
	c = provider.Credential{APIKey: params["apikey"], Params: params}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.credentials) >= maxEntries {
		clear(d.credentials)
	}
	d.credentials[id] = c
	return c, nil
}
