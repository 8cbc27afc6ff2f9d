package adminclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
)

// SigV4 signs for API Gateway.
type SigV4 struct {
	Credentials aws.CredentialsProvider
	Region      string
	Now         func() time.Time
}

// NewSigV4 takes credentials and region from the usual AWS environment; profile
// and region, if not empty, win over it.
func NewSigV4(ctx context.Context, profile, region string) (*SigV4, error) {
	var options []func(*config.LoadOptions) error
	if profile != "" {
		options = append(options, config.WithSharedConfigProfile(profile))
	}
	if region != "" {
		options = append(options, config.WithRegion(region))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, err
	}
	if cfg.Region == "" {
		return nil, errors.New("no AWS region: set AWS_REGION, or call with --region")
	}
	return &SigV4{Credentials: cfg.Credentials, Region: cfg.Region, Now: time.Now}, nil
}

// Sign implements Signer.
func (s *SigV4) Sign(ctx context.Context, r *http.Request, bodyHash string) error {
	credentials, err := s.Credentials.Retrieve(ctx)
	if err != nil {
		return fmt.Errorf("no AWS credentials: set AWS_PROFILE, or call with --profile (%w)", err)
	}
	return v4.NewSigner().SignHTTP(ctx, credentials, r, bodyHash, "execute-api", s.Region, s.Now())
}
