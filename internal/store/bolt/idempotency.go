package bolt

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"tollgate/internal/limit"
)

// attempted is what is remembered of a call under its idempotency key. Stored as
//
//	1 byte   1 if ended
//	8 bytes  start, milliseconds since 1970
//	8 bytes  expires, the reservation's, alike
//	rest     id of the claim
//
// under the hash of the key's hash and the value, which may be of any length. A
// second bucket lists the same by the time at which they can be removed.
type attempted struct {
	claim   string
	start   time.Time
	expires time.Time
	ended   bool
}

// until is when the value is free again.
func (a *attempted) until() time.Time {
	end := a.start.Add(limit.IdempotencyWindow)
	if !a.ended && a.expires.After(end) {
		return a.expires
	}
	return end
}

func (a *attempted) encode() []byte {
	b := make([]byte, 17, 17+len(a.claim))
	if a.ended {
		b[0] = 1
	}
	binary.BigEndian.PutUint64(b[1:], uint64(a.start.UnixMilli()))
	binary.BigEndian.PutUint64(b[9:], uint64(a.expires.UnixMilli()))
	return append(b, a.claim...)
}

var errAttempted = errors.New("malformed idempotency record")

func decodeAttempted(b []byte) (attempted, error) {
	if len(b) < 17 {
		return attempted{}, errAttempted
	}
	return attempted{
		ended:   b[0] == 1,
		start:   time.UnixMilli(int64(binary.BigEndian.Uint64(b[1:]))),
		expires: time.UnixMilli(int64(binary.BigEndian.Uint64(b[9:]))),
		claim:   string(b[17:]),
	}, nil
}

func idempotencyName(keyHash, value string) []byte {
	sum := sha256.Sum256([]byte(keyHash + "\x00" + value))
	return sum[:]
}

// attempted returns the record under the name; ok is false if there is none.
func (t *txn) attempted(name []byte) (a attempted, ok bool, err error) {
	b := t.get(bucketClaims, name)
	if b == nil {
		return attempted{}, false, nil
	}
	a, err = decodeAttempted(b)
	if err != nil {
		return attempted{}, false, broken("idempotency", err)
	}
	return a, true, nil
}

// checkIdempotency refuses a value that another call claimed. A claim that ended
// is refused even to itself: its reservation is gone, and a second would charge twice.
func (t *txn) checkIdempotency(claim *limit.Claim, now time.Time) error {
	if claim.IdempotencyKey == "" {
		return nil
	}
	a, ok, err := t.attempted(idempotencyName(claim.Key, claim.IdempotencyKey))
	switch {
	case err != nil:
		return err
	case !ok || !now.Before(a.until()):
		return nil
	case a.ended:
		return limit.ErrRepeated
	case a.claim != claim.ID:
		return limit.ErrRunning
	}
	return nil
}

// rememberIdempotency takes the value for the claim, which was admitted.
func (t *txn) rememberIdempotency(claim *limit.Claim, now time.Time) error {
	if claim.IdempotencyKey == "" {
		return nil
	}
	name := idempotencyName(claim.Key, claim.IdempotencyKey)
	a := attempted{claim: claim.ID, start: claim.At, expires: claim.Expires}
	if err := t.put(bucketClaims, name, a.encode()); err != nil {
		return err
	}
	if err := t.put(bucketLapses, slices.Concat(instant(a.until()), name), nil); err != nil {
		return err
	}
	return t.lapse(now)
}

// lapseAtOnce is how many old records one claim removes. More than one, so that
// they become fewer.
const lapseAtOnce = 3

// lapse removes records whose time is over.
func (t *txn) lapse(now time.Time) error {
	var due [][]byte
	present := instant(now)
	cursor := t.tx.Bucket(bucketLapses).Cursor()
	for k, _ := cursor.First(); k != nil && len(due) < lapseAtOnce && string(k[:8]) <= string(present); k, _ = cursor.Next() {
		due = append(due, slices.Clone(k))
	}
	for _, k := range due {
		if err := t.delete(bucketLapses, k); err != nil {
			return err
		}
		// Meanwhile another call may have taken the value; its own entry follows.
		a, ok, err := t.attempted(k[8:])
		if err == nil && ok && now.Before(a.until()) {
			continue
		}
		if err := t.delete(bucketClaims, k[8:]); err != nil {
			return err
		}
	}
	return nil
}

// endIdempotency marks or forgets the settled call's value, if it still has it.
func (t *txn) endIdempotency(v *limit.Settlement) error {
	if v.IdempotencyKey == "" {
		return nil
	}
	name := idempotencyName(v.Key, v.IdempotencyKey)
	a, ok, err := t.attempted(name)
	if err != nil || !ok || a.claim != v.Reservation.ID {
		return err
	}
	if v.Forget {
		return t.delete(bucketClaims, name)
	}
	if a.ended {
		return nil
	}
	a.ended = true
	return t.put(bucketClaims, name, a.encode())
}
