package admin

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"tollgate/internal/gateway"
	"tollgate/internal/record"
)

func (a *api) customs() record.Of[gateway.CustomProvider] { return record.OfCustomProviders(a.store) }

func (a *api) createCustom(r *http.Request) (any, error) {
	var b customBody
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	if err := b.checkCreate(a); err != nil {
		return nil, err
	}
	now := a.now().UTC()
	p := gateway.CustomProvider{ID: newID(r.Context()), Provider: strings.ToLower(b.Provider), CreatedAt: now, UpdatedAt: now}
	if b.AuthParam != nil {
		p.AuthParam = strings.ToLower(*b.AuthParam)
	}
	for _, c := range b.Routes {
		p.Routes = append(p.Routes, c.config())
	}
	if err := checkSize(&p); err != nil {
		return nil, err
	}
	err := a.customs().Create(r.Context(), &p, func(same []gateway.CustomProvider) error {
		if len(same) > 0 {
			return &gateway.Error{Kind: gateway.Conflict, Message: "provider must be unique"}
		}
		return nil
	})
	if err != nil {
		return nil, stored(err, "the custom provider")
	}
	return created(a.customs(), p.ID, showCustom(&p)), nil
}

func (a *api) listCustom(r *http.Request) (any, error) {
	return listed(r, a.customs(), showCustom, nil)
}

func (a *api) getCustom(r *http.Request) (any, error) {
	return got(r, a.customs(), "custom provider", showCustom)
}

// patchCustom takes effect with the next call: the keys that use the provider get
// a new version.
func (a *api) patchCustom(r *http.Request) (any, error) {
	var b customBody
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	// An unknown id comes before anything else, as the peer has it.
	p, _, err := a.customs().Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return nil, stored(err, "custom provider")
	}
	if err := b.checkShape(); err != nil {
		return nil, err
	}
	if err := a.checkTargets(b.Routes); err != nil {
		return nil, err
	}
	answer, err := patched(r, a.customs(), "custom provider", showCustom, func(p *gateway.CustomProvider) error {
		p.UpdatedAt = a.now().UTC()
		return b.mergeInto(p)
	})
	if err != nil {
		return nil, err
	}
	return answer, a.touchSettings(r.Context(), p.Provider)
}

// deleteCustom refuses while settings use the provider.
func (a *api) deleteCustom(r *http.Request) (any, error) {
	return remove(r, a.customs(), "custom provider", showCustom, func(p *gateway.CustomProvider) error {
		ids, err := a.settingsOf(r.Context(), p.Provider)
		if err != nil {
			return err
		}
		return refer("custom provider", referrers{"provider settings", ids})
	})
}

// required is the parameters that a setting of the provider must have. ok is false
// if there is no such provider.
func (a *api) required(ctx context.Context, provider string) (names []string, ok bool, err error) {
	if names, ok := a.providers[provider]; ok {
		return names, true, nil
	}
	if len(provider) > maxText {
		return nil, false, nil
	}
	same, err := a.customs().In(ctx, provider)
	if err != nil {
		return nil, false, stored(err, "custom providers")
	}
	if len(same) == 0 {
		return nil, false, nil
	}
	if same[0].AuthParam != "" {
		names = []string{same[0].AuthParam}
	}
	return names, true, nil
}

// checkTarget wants an absolute URL. Addresses inside of a network are refused:
// whoever may define providers could otherwise look around there. A name is not
// resolved, since it may mean something else by the time of the call.
func checkTarget(s string, allowPrivate bool) error {
	whole, err := url.Parse(s)
	if err != nil || strings.Contains(s, "#") {
		return errors.New("is not a URL")
	}
	base := *whole
	base.RawQuery, base.ForceQuery = "", false
	if err := checkURL(base.String()); err != nil {
		return err
	}
	if strings.ContainsFunc(s, badInURL) || len(s) > 2048 {
		return errors.New("is not a URL")
	}
	if !allowPrivate && private(whole.Hostname()) {
		return errors.New("can not be an address of this machine or of a private network")
	}
	return nil
}

// private tells hosts that are this machine, or in a network of one's own.
func private(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") || strings.HasSuffix(host, ".internal") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		// Resolvers take 127.1, 0x7f000001 and 2130706433 for addresses too.
		last := host[strings.LastIndexByte(host, '.')+1:]
		return last != "" && last[0] >= '0' && last[0] <= '9'
	}
	addr = addr.Unmap().WithZone("")
	return addr.IsLoopback() || addr.IsPrivate() || addr.IsUnspecified() || addr.IsMulticast() ||
		netip.MustParsePrefix("100.64.0.0/10").Contains(addr)
}
