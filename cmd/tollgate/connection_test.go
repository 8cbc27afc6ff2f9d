package main

import (
	"testing"

	"tollgate/internal/adminclient"
)

// Which requests are signed: those to AWS, and those to a deployment's own domain
// where there is an AWS environment, or a flag that stands for one, and no password.
func TestWhoSigns(t *testing.T) {
	t.Setenv("AWS_REGION", "eu-central-1") // for the SDK; the program is told by env
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/config")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/credentials")
	const api, domain = "https://a1.execute-api.eu-west-1.amazonaws.com/Prod", "https://tollgate.example.com"
	for _, tt := range []struct {
		connection connection
		env        map[string]string
		region     string // of the signature; none without one
	}{
		{connection{url: api}, nil, "eu-west-1"},
		{connection{url: api}, map[string]string{"ADMIN_PASS": "x"}, "eu-west-1"},
		{connection{url: api, region: "us-east-1"}, nil, "us-east-1"},
		{connection{url: domain}, nil, ""},
		{connection{url: domain, region: "us-east-1"}, map[string]string{"ADMIN_PASS": "x"}, "us-east-1"},
		{connection{url: domain}, map[string]string{"AWS_PROFILE": "ops"}, "eu-central-1"},
		{connection{url: domain}, map[string]string{"AWS_REGION": "eu-central-1"}, "eu-central-1"},
		{connection{url: domain}, map[string]string{"AWS_ACCESS_KEY_ID": "x"}, "eu-central-1"},
		{connection{url: domain}, map[string]string{"AWS_REGION": "eu-central-1", "ADMIN_PASS": "x"}, ""},
		{connection{url: "http://127.0.0.1:8001"}, map[string]string{"AWS_PROFILE": "ops"}, ""},
		{connection{url: "http://localhost:8001"}, map[string]string{"AWS_REGION": "eu-central-1"}, ""},
		{connection{local: true}, map[string]string{"AWS_PROFILE": "ops"}, ""},
	} {
		p := &program{getenv: func(name string) string { return tt.env[name] }, connection: tt.connection}
		c, err := p.client(t.Context())
		if err != nil {
			t.Errorf("%+v %v: %v", tt.connection, tt.env, err)
			continue
		}
		region := ""
		if s, ok := c.Signer.(*adminclient.SigV4); ok {
			region = s.Region
		}
		if region != tt.region {
			t.Errorf("%+v %v is signed for %q, want %q", tt.connection, tt.env, region, tt.region)
		}
	}
}
