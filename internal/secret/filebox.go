package secret

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// FileBox seals with AES-256-GCM under a key kept in a file. It is for machines
// without a key service.
type FileBox struct{ aead cipher.AEAD }

// sealedV1 is the first byte of what FileBox seals, so that another form can follow.
const sealedV1 = 1

// OpenFileBox reads the key in the file, or makes a new one (mode 0600) if the
// file is not there. It refuses a file that others may read.
func OpenFileBox(path string) (*FileBox, error) {
	key, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = createKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("key file %s can be read by others: set its mode to 0600", path)
	}
	if len(key) != 32 {
		return nil, fmt.Errorf("key file %s has %d bytes instead of 32", path, len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &FileBox{aead}, nil
}

// createKey writes a new key so that a crash leaves a whole file or none.
func createKey(path string) ([]byte, error) {
	key := make([]byte, 32)
	rand.Read(key)
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(key)
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return nil, err
	}
	// Link fails if another process made the file meanwhile: then its key counts.
	if err := os.Link(tmp.Name(), path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return os.ReadFile(path)
		}
		return nil, err
	}
	return key, nil
}

// Seal implements Box.
func (b *FileBox) Seal(_ context.Context, plain []byte, bind map[string]string) ([]byte, error) {
	return b.aead.Seal([]byte{sealedV1}, nil, plain, binding(bind)), nil
}

// Open implements Box.
func (b *FileBox) Open(_ context.Context, sealed []byte, bind map[string]string) ([]byte, error) {
	if len(sealed) == 0 || sealed[0] != sealedV1 {
		return nil, errors.New("sealed secret has an unknown form")
	}
	return b.aead.Open(nil, nil, sealed[1:], binding(bind))
}

// binding is the context as bytes; encoding/json sorts the names.
func binding(bind map[string]string) []byte {
	b, _ := json.Marshal(bind) // a map of strings always marshals
	return b
}
