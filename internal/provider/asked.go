package provider

import (
	"net/http"
)

// What only some vendors are asked. The request path asks whoever implements it.

// Completer is a Vendor of which body and path alone do not tell all of a call.
type Completer interface {
	// Complete takes in the headers of a call that Parse has read, with the model
	// in place that its path names. It may set Call.Path and Call.Header and patch
	// Call.Body. Its errors are *gateway.Error of kind Invalid.
	Complete(c *Call, h http.Header) error
}

// Signing is a Vendor whose requests may have to be signed as a whole.
type Signing interface {
	// Identity is whose signature a request needs that goes to baseURL. It is
	// false where Authorize does.
	Identity(c Credential, baseURL string) (Identity, bool)
}

// Identity is who signs a request to AWS, and what for.
type Identity struct {
	// Keys of the setting's own; empty for those of the process.
	AccessKeyID, SecretAccessKey, SessionToken string
	// RoleARN is a role to assume with these keys; empty for none.
	RoleARN, ExternalID string

	Region, Service string // "eu-central-1", "bedrock"
}

// String keeps keys out of whatever is printed.
func (i Identity) String() string { return i.Service + " in " + i.Region }

// GoString implements fmt.GoStringer for the same reason.
func (i Identity) GoString() string { return i.String() }

// Answering is a Vendor whose answers may not be in the form that callers of an
// endpoint expect.
type Answering interface {
	// Answer may change the answer's body and headers. Its status stays.
	Answer(c *Call, res *http.Response)
}

// PriceNaming is a Vendor that gives one model several names.
type PriceNaming interface {
	// PriceNames are the names under which a model may stand in the price table,
	// the best first.
	PriceNames(model string) []string
}

// PriceNames are the names under which a vendor's model may stand in the price
// table, the best first and never none.
func PriceNames(v Vendor, model string) []string {
	if v, ok := v.(PriceNaming); ok {
		return v.PriceNames(model)
	}
	return []string{model}
}

// Complete asks the vendor of a call for what Completer says, if it has to be asked.
func Complete(c *Call, h http.Header) error {
	if v, ok := c.Endpoint.Vendor.(Completer); ok {
		return v.Complete(c, h)
	}
	return nil
}

// Answer asks the vendor of a call for what Answering says, if it has to be asked.
func Answer(c *Call, res *http.Response) {
	if v, ok := c.Endpoint.Vendor.(Answering); ok {
		v.Answer(c, res)
	}
}
