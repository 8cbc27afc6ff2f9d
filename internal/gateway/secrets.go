package gateway

import (
	"slices"
	"time"
)

// KeySecret is one of the secrets of a key that was rotated.
type KeySecret struct {
	Hash  string    `json:"hash"`           // hex SHA-256
	Until time.Time `json:"until,omitzero"` // from then on it is refused; zero for the newest one
}

// MaxSecrets is how many secrets a key keeps, those that have ended included: they
// are told from secrets that never were, and no other key gets them.
const MaxSecrets = 10

// Newest is the hash of the secret that the key was given last.
func (k *Key) Newest() string {
	if n := len(k.Secrets); n > 0 {
		return k.Secrets[n-1].Hash
	}
	return k.Hash
}

// Hashes are the hashes under which the key is found, each once, and first the one
// that names its counters.
func (k *Key) Hashes() []string {
	hashes := []string{k.Hash}
	for _, s := range k.Secrets {
		if !slices.Contains(hashes, s.Hash) {
			hashes = append(hashes, s.Hash)
		}
	}
	return hashes
}

// Accepts reports whether the secret with the hash opens the key at now, as far as
// rotation goes: the key's own life and revocation are told by others.
func (k *Key) Accepts(hash string, now time.Time) bool {
	if len(k.Secrets) == 0 {
		return hash == k.Hash
	}
	i := slices.IndexFunc(k.Secrets, func(s KeySecret) bool { return s.Hash == hash })
	return i >= 0 && !k.Secrets[i].over(now)
}

func (s *KeySecret) over(now time.Time) bool { return !s.Until.IsZero() && !now.Before(s.Until) }

// Rotate makes the secret with the hash the newest one of the key. The others end
// at now + overlap, or at their own end if that is earlier: an end that callers were
// told is kept when a rotation is repeated, and an overlap of zero ends them all.
// Of more than MaxSecrets the oldest that has ended is forgotten; false, and nothing
// changed, if none of them has.
func (k *Key) Rotate(hash string, now time.Time, overlap time.Duration) bool {
	end := now.Add(overlap)
	secrets := slices.Clone(k.Secrets) // the list may be shared with a cached copy of the key
	if len(secrets) == 0 {
		secrets = []KeySecret{{Hash: k.Hash}}
	}
	for i := range secrets {
		if s := &secrets[i]; s.Until.IsZero() || end.Before(s.Until) {
			s.Until = end
		}
	}
	if len(secrets) >= MaxSecrets {
		oldest := slices.IndexFunc(secrets, func(s KeySecret) bool { return s.over(now) })
		if oldest < 0 {
			return false
		}
		secrets = slices.Delete(secrets, oldest, oldest+1)
	}
	k.Secrets = append(secrets, KeySecret{Hash: hash})
	return true
}
