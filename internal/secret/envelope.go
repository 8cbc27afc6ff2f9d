package secret

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"sync"
	"time"
)

// keyLife is how long an Envelope seals with one key. A call to the key service an
// hour is nothing; a key that got out opens an hour of bodies.
const keyLife = time.Hour

// keptKeys bounds how many keys of others an Envelope remembers having opened.
const keptKeys = 64

// keyBinding is the context of the keys: nothing else that is sealed opens with it.
var keyBinding = map[string]string{"event": "bodies"}

// Envelope seals what is too large, or comes too often, for a Box: with a key of
// its own, which goes along sealed by the Box. Safe for concurrent use.
type Envelope struct {
	box Box
	now func() time.Time

	making chan struct{} // holds a token while a key is made

	mu     sync.Mutex
	aead   cipher.AEAD // nil before the first use
	sealed []byte      // its key
	until  time.Time
	opened map[string]cipher.AEAD // by sealed key
}

// NewEnvelope does not call the box yet.
func NewEnvelope(box Box, now func() time.Time) *Envelope {
	return &Envelope{box: box, now: now, making: make(chan struct{}, 1), opened: make(map[string]cipher.AEAD)}
}

// envelopeV1 is the first byte of what an Envelope seals. Then follow the length
// of the sealed key in two bytes, that key, and the sealed text.
const envelopeV1 = 1

// Seal seals plain for a purpose, which must be named again to open it. Its errors
// are those of the Box.
func (e *Envelope) Seal(ctx context.Context, plain []byte, purpose string) ([]byte, error) {
	aead, key, err := e.current(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, 3+len(key)+len(plain)+aead.Overhead())
	out = append(out, envelopeV1)
	out = binary.BigEndian.AppendUint16(out, uint16(len(key)))
	out = append(out, key...)
	return aead.Seal(out, nil, plain, []byte(purpose)), nil
}

// current is the key to seal with; a new one when the old one is old. One caller
// makes it, and the others wait for that, each for as long as it will.
func (e *Envelope) current(ctx context.Context) (cipher.AEAD, []byte, error) {
	if aead, sealed := e.fresh(); aead != nil {
		return aead, sealed, nil
	}
	select {
	case e.making <- struct{}{}:
		defer func() { <-e.making }()
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	if aead, sealed := e.fresh(); aead != nil {
		return aead, sealed, nil
	}
	var key [32]byte
	rand.Read(key[:]) // never fails
	aead, err := newAEAD(key[:])
	if err != nil {
		return nil, nil, err
	}
	sealed, err := e.box.Seal(ctx, key[:], keyBinding)
	if err != nil {
		return nil, nil, err
	}
	if len(sealed) > 1<<16-1 {
		return nil, nil, errors.New("secret: the sealed key is too long")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.aead, e.sealed, e.until = aead, sealed, e.now().Add(keyLife)
	return aead, sealed, nil
}

// fresh is the key to seal with, nil if there is none or it is old.
func (e *Envelope) fresh() (cipher.AEAD, []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.aead == nil || !e.now().Before(e.until) {
		return nil, nil
	}
	return e.aead, e.sealed
}

var errEnvelope = errors.New("secret: not what an envelope seals")

// Open is the inverse of Seal, also for what another process sealed.
func (e *Envelope) Open(ctx context.Context, sealed []byte, purpose string) ([]byte, error) {
	if len(sealed) < 3 || sealed[0] != envelopeV1 {
		return nil, errEnvelope
	}
	n := int(binary.BigEndian.Uint16(sealed[1:]))
	if len(sealed) < 3+n {
		return nil, errEnvelope
	}
	aead, err := e.key(ctx, sealed[3:3+n])
	if err != nil {
		return nil, err
	}
	return aead.Open(nil, nil, sealed[3+n:], []byte(purpose))
}

// key opens a sealed key, once for all that were sealed with it.
func (e *Envelope) key(ctx context.Context, sealed []byte) (cipher.AEAD, error) {
	e.mu.Lock()
	aead := e.opened[string(sealed)]
	e.mu.Unlock()
	if aead != nil {
		return aead, nil
	}
	key, err := e.box.Open(ctx, sealed, keyBinding)
	if err != nil {
		return nil, err
	}
	if aead, err = newAEAD(key); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.opened) >= keptKeys {
		clear(e.opened)
	}
	e.opened[string(sealed)] = aead
	return aead, nil
}

// newAEAD makes its own nonces: one key seals far fewer than the 2^32 texts that
// random nonces allow.
func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
