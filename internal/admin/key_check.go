package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"tollgate/internal/gateway"
)

const (
	maxText   = 255       // characters of a name, a tag, a secret, an id
	maxRecord = 256 << 10 // bytes of a stored key or setting; DynamoDB takes 400 kB
)

// checkCreate finds what is wrong with a new key, in the peer's order.
func (b *keyBody) checkCreate() error {
	if !b.hasSettingID() && len(b.SettingIDs) == 0 {
		return invalid("settingId is not set in either setting_id or setting_ids field")
	}
	if err := b.checkOneSettingField(); err != nil {
		return err
	}
	var f faults
	f.add("tags", badTags(b.Tags))
	f.add("key", b.Key != nil && badSecret(*b.Key))
	f.add("name", b.Name == nil || *b.Name == "" || tooLong(*b.Name))
	f.addEmpty("settingIds", b.SettingIDs)
	f.add("costLimitInUsd", negative(b.CostLimit))
	f.add("costLimitInUsdOverTime", negative(b.CostLimitOver))
	f.add("rateLimitOverTime", negative(b.RateLimitOver))
	f.add("ttl", badTTL(b.TTL))
	f.addPaths(b.AllowedPaths)
	if len(f) > 0 {
		return f.err()
	}
	if err := firstFault(b.ratePair().faultsOnCreate, b.costPair().faultsOnCreate); err != nil {
		return err
	}
	return b.checkAdditions()
}

// checkChange finds what is wrong with a PATCH, in the peer's order.
func (b *keyBody) checkChange() error {
	if err := b.checkOneSettingField(); err != nil {
		return err
	}
	var f faults
	f.add("tags", badTags(b.Tags))
	f.add("name", b.Name != nil && tooLong(*b.Name))
	f.add("revokedReason", b.RevokedReason != nil && tooLong(*b.RevokedReason))
	f.add("costLimitInUsd", negative(b.CostLimit))
	f.add("costLimitInUsdOverTime", negative(b.CostLimitOver))
	f.add("rateLimitOverTime", negative(b.RateLimitOver))
	f.addEmpty("settingIds", b.SettingIDs)
	f.add("ttl", badTTL(b.TTL))
	f.addPaths(b.AllowedPaths)
	if len(f) > 0 {
		return f.err()
	}
	if err := firstFault(b.ratePair().faultsOnChange, b.costPair().faultsOnChange); err != nil {
		return err
	}
	return b.checkAdditions()
}

func (b *keyBody) hasSettingID() bool { return b.SettingID != nil && *b.SettingID != "" }

func (b *keyBody) checkOneSettingField() error {
	if b.hasSettingID() && len(b.SettingIDs) > 0 {
		return invalid("settingId and settingIds can not be set together: use settingIds")
	}
	return nil
}

// checkAdditions checks the members that the peer does not have.
func (b *keyBody) checkAdditions() error {
	if _, err := readLimits(b.Limits); err != nil {
		return err
	}
	if b.UnknownModel != nil {
		switch gateway.UnknownModel(*b.UnknownModel) {
		case gateway.UnknownModelDefault, gateway.UnknownModelDeny, gateway.UnknownModelAllow:
		default:
			return invalid(`unknownModel can only be "deny", "allow" or ""`)
		}
	}
	return nil
}

// faults gathers the names of members that are wrong.
type faults []string

func (f *faults) add(name string, wrong bool) {
	if wrong {
		*f = append(*f, name)
	}
}

func (f *faults) addEmpty(name string, list []string) {
	for i, s := range list {
		f.add(fmt.Sprintf("%s[%d]", name, i), s == "")
	}
}

// addPaths names the first entry that is wrong only: so does the peer.
func (f *faults) addPaths(paths []pathWire) {
	for i, p := range paths {
		if p.Path == "" {
			f.add(fmt.Sprintf("allowedPaths.%d.path", i), true)
			return
		}
		if !slices.Contains(verbs, strings.ToUpper(p.Method)) {
			f.add(fmt.Sprintf("allowedPaths.%d.method", i), true)
			return
		}
	}
}

// verbs are the methods that a path can be allowed for.
var verbs = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut,
	http.MethodPatch, http.MethodDelete, http.MethodOptions}

// maxFaults bounds how many members one answer names.
const maxFaults = 50

func (f faults) err() error {
	if len(f) > maxFaults {
		f = append(f[:maxFaults:maxFaults], "…")
	}
	return invalid("fields [%s] are invalid", strings.Join(f, ", "))
}

// maxTags bounds the tags of one key, and the like: each is a sum that every call of the
// key is counted in, and to exchange all of them is a transaction of two items for each,
// of which DynamoDB takes a hundred.
const maxTags = 40

func badTags(tags []string) bool { return len(tags) > maxTags || badNames(tags) }

func badNames(names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return n == "" || tooLong(n) })
}

// badSecret tells secrets that no HTTP header could carry back to us.
func badSecret(s string) bool {
	return tooLong(s) || strings.TrimSpace(s) != s || strings.ContainsFunc(s, unicode.IsControl)
}

func badTTL(ttl *string) bool {
	if ttl == nil {
		return false
	}
	_, err := parseTTL(*ttl)
	return err != nil
}

func tooLong(s string) bool { return utf8.RuneCountInString(s) > maxText }

func negative[T ~int64](n *T) bool { return n != nil && *n < 0 }

// checkSize refuses records that a store could not take.
func checkSize(record any) error {
	if b, err := json.Marshal(record); err != nil || len(b) > maxRecord {
		return invalid("the record is too large to be stored: at most %d bytes", maxRecord)
	}
	return nil
}
