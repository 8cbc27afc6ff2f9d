// Package awsauth signs calls to AWS: with keys that it is given, with a role that
// it assumes, or with the process's own credentials.
package awsauth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"tollgate/internal/gateway"
	"tollgate/internal/provider"
)

const (
	// renewBefore is how long before their end credentials of a role are replaced:
	// longer than a call takes to reach its provider.
	renewBefore = 5 * time.Minute
	// patience bounds how long a call waits for credentials.
	patience = 8 * time.Second
	// maxRoles bounds the roles whose credentials are kept.
	maxRoles = 1000
	// sessionName is what an account's log shows as who has assumed a role.
	sessionName = "tollgate"
)

// Options are the means of a Signer. The zero value is right but in tests.
type Options struct {
	Now func() time.Time // default time.Now
	// Load is the process's own configuration. Default: the usual AWS environment,
	// read when the first call needs it.
	Load func(context.Context) (aws.Config, error)
}

// Signer signs requests. It is safe for concurrent use.
type Signer struct {
	now  func() time.Time
	sign *v4.Signer
	own  func() (aws.Config, error)

	mu    sync.Mutex
	roles map[provider.Identity]*aws.CredentialsCache
}

// New returns a signer. It does no work that the first call could do.
func New(o Options) *Signer {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Load == nil {
		o.Load = func(ctx context.Context) (aws.Config, error) { return config.LoadDefaultConfig(ctx) }
	}
	return &Signer{
		now: o.Now, sign: v4.NewSigner(),
		// Not the context of the call that happens to be first: its end would be
		// the end for all others.
		own: sync.OnceValues(func() (aws.Config, error) {
			cfg, err := o.Load(context.Background())
			if err == nil && cfg.Credentials == nil {
				err = errors.New("the process has no AWS credentials")
			}
			return cfg, err
		}),
		roles: make(map[provider.Identity]*aws.CredentialsCache),
	}
}

// Sign adds the signature of id to a request that will be sent with this body. An
// error is a *gateway.Error of kind Unavailable.
//
// It signs host, content type and AWS's own headers. What proxies on the way may
// rewrite stays out of it.
func (s *Signer) Sign(ctx context.Context, req *http.Request, body []byte, id provider.Identity) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	keys, err := s.keys(ctx, id)
	if err != nil {
		return unavailable(err)
	}
	target := *req.URL // the signer sorts the query in the URL that it is given
	part := &http.Request{Method: req.Method, URL: &target, Host: req.Host, Header: make(http.Header), ContentLength: req.ContentLength}
	for name, values := range req.Header {
		if name == "Content-Type" || strings.HasPrefix(name, "X-Amz") {
			part.Header[name] = values
		}
	}
	sum := sha256.Sum256(body)
	if err := s.sign.SignHTTP(ctx, keys, part, hex.EncodeToString(sum[:]), id.Service, id.Region, s.now()); err != nil {
		return unavailable(err)
	}
	for _, name := range []string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token"} {
		if v := part.Header.Get(name); v != "" {
			req.Header.Set(name, v)
		}
	}
	return nil
}

func unavailable(err error) error {
	return &gateway.Error{Kind: gateway.Unavailable, Code: "credential_unavailable", Err: err,
		Message: "The AWS credentials of the provider setting cannot be had. The call was not sent."}
}

// keys are the keys to sign with.
func (s *Signer) keys(ctx context.Context, id provider.Identity) (aws.Credentials, error) {
	if id.RoleARN != "" {
		return s.role(ctx, id)
	}
	if id.AccessKeyID != "" {
		return aws.Credentials{AccessKeyID: id.AccessKeyID, SecretAccessKey: id.SecretAccessKey, SessionToken: id.SessionToken}, nil
	}
	cfg, err := s.own()
	if err != nil {
		return aws.Credentials{}, err
	}
	return cfg.Credentials.Retrieve(ctx) // kept by the SDK until they end
}

// role is the keys of a role, kept until shortly before they end.
func (s *Signer) role(ctx context.Context, id provider.Identity) (aws.Credentials, error) {
	id.Service = "" // one role for all services
	s.mu.Lock()
	cache := s.roles[id]
	s.mu.Unlock()
	if cache == nil {
		var err error
		if cache, err = s.assume(id); err != nil {
			return aws.Credentials{}, err
		}
	}
	return cache.Retrieve(ctx)
}

// assume is a cache for the keys of a role; nothing is asked for yet.
func (s *Signer) assume(id provider.Identity) (*aws.CredentialsCache, error) {
	cfg, err := s.own()
	if err != nil {
		return nil, err
	}
	if id.AccessKeyID != "" {
		cfg.Credentials = credentials.NewStaticCredentialsProvider(id.AccessKeyID, id.SecretAccessKey, id.SessionToken)
	}
	cfg.Region = id.Region
	assumer := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), id.RoleARN, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = sessionName
		if id.ExternalID != "" {
			o.ExternalID = &id.ExternalID
		}
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if cache := s.roles[id]; cache != nil {
		return cache, nil // another call was faster
	}
	if len(s.roles) >= maxRoles {
		clear(s.roles)
	}
	cache := aws.NewCredentialsCache(assumer, func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = renewBefore })
	s.roles[id] = cache
	return cache, nil
}
