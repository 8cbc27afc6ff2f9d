// Package kmsbox is the secret.Box of AWS: KMS seals and opens directly, bound to
// an encryption context, so no key is ever in the process.
package kmsbox

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"tollgate/internal/gateway"
)

// Box implements secret.Box. KMS takes secrets of up to 4096 bytes.
type Box struct {
	client func() *kms.Client
	key    string // id, ARN or alias
}

// New returns a box that seals with the key. The client is made at the first use: a
// cold start needs none.
func New(cfg aws.Config, key string) *Box {
	return &Box{key: key, client: sync.OnceValue(func() *kms.Client { return kms.NewFromConfig(cfg) })}
}

// Seal implements secret.Box.
func (b *Box) Seal(ctx context.Context, plain []byte, bind map[string]string) ([]byte, error) {
	out, err := b.client().Encrypt(ctx, &kms.EncryptInput{KeyId: &b.key, Plaintext: plain, EncryptionContext: bind})
	if err != nil {
		return nil, convert(err)
	}
	return out.CiphertextBlob, nil
}

// Open implements secret.Box.
func (b *Box) Open(ctx context.Context, sealed []byte, bind map[string]string) ([]byte, error) {
	out, err := b.client().Decrypt(ctx, &kms.DecryptInput{KeyId: &b.key, CiphertextBlob: sealed, EncryptionContext: bind})
	if err != nil {
		return nil, convert(err)
	}
	return out.Plaintext, nil
}

// convert sorts KMS's failures: a ciphertext that does not belong here stays one,
// all others are the key service's trouble.
func convert(err error) error {
	var foreign *types.InvalidCiphertextException
	var wrongKey *types.IncorrectKeyException
	if errors.As(err, &foreign) || errors.As(err, &wrongKey) {
		return fmt.Errorf("sealed secret does not open: %w", err)
	}
	return &gateway.Error{Kind: gateway.Unavailable, Code: "key_service_unavailable", Err: err,
		Message: "The key service does not answer."}
}
