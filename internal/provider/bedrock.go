package provider

import (
	"net/http"
	"strings"

	"tollgate/internal/gateway"
)

// bedrockPrefix is where Bedrock's API stands on the proxy: the base URL of its SDKs.
const bedrockPrefix = "/api/providers/bedrock"

// Bedrock is Amazon Bedrock: its own API for every model (invoke, converse), its
// API in OpenAI's form, and Anthropic's API for Claude, as the peer has it.
var Bedrock Vendor = bedrock{openai: compatible{name: "bedrock", dialect: dialect{foreign: true}}}

type bedrock struct{ openai compatible }

// bedrockRows are the endpoints. Not here on purpose: what starts work that ends
// after the call (async-invoke, agents) and what is billed by other units only
// (apply-guardrail, rerank).
var bedrockRows = []Endpoint{
	{Method: "POST", Pattern: "/model/:model/invoke", Metering: Invoke, Dialect: gateway.AWSDialect, Model: ":model"},
	{Method: "POST", Pattern: "/model/:model/invoke-with-response-stream", Metering: Invoke, Dialect: gateway.AWSDialect, Model: ":model"},
	{Method: "POST", Pattern: "/model/:model/converse", Metering: Converse, Dialect: gateway.AWSDialect, Model: ":model"},
	{Method: "POST", Pattern: "/model/:model/converse-stream", Metering: Converse, Dialect: gateway.AWSDialect, Model: ":model"},
	{Method: "POST", Pattern: "/model/:model/count-tokens", Dialect: gateway.AWSDialect, Model: ":model"},
	{Method: "POST", Pattern: "/openai/v1/chat/completions", Metering: Chat},
	{Method: "POST", Pattern: "/openai/v1/responses", Metering: Responses},
}

// claudeOnBedrock are Anthropic's endpoints. Where they lead the body decides.
var claudeOnBedrock = []Endpoint{
	{Method: "POST", Pattern: "/v1/messages", Metering: Chat, Dialect: gateway.AnthropicDialect},
	{Method: "POST", Pattern: "/v1/complete", Metering: Completion, Dialect: gateway.AnthropicDialect},
}

func (v bedrock) Name() string { return v.openai.name }

// Endpoints implements Vendor.
func (v bedrock) Endpoints() []Endpoint {
	list := rows(bedrockPrefix, "", bedrockRows)
	for i := range list {
		list[i].ARN = list[i].Model != ""
	}
	for _, e := range rows(bedrockPrefix+"/anthropic", "", claudeOnBedrock) {
		e.Upstream = "/model"
		list = append(list, e)
	}
	return list
}

// isClaude reports whether the endpoint is one of Anthropic's.
func isClaude(e *Endpoint) bool { return strings.HasPrefix(e.Pattern, bedrockPrefix+"/anthropic/") }

// isOpenAI reports whether the endpoint is in OpenAI's form.
func isOpenAI(e *Endpoint) bool { return strings.HasPrefix(e.Pattern, bedrockPrefix+"/openai/") }

// BaseURL implements Vendor: the host of the region, or the setting's url.
func (v bedrock) BaseURL(s *gateway.Setting) string {
	if u := strings.TrimRight(s.Params["url"], "/"); u != "" {
		return u
	}
	region := s.Params["awsRegion"]
	host := "https://bedrock-runtime." + region + ".amazonaws.com"
	if strings.HasPrefix(region, "cn-") {
		host += ".cn"
	}
	return host
}

// Authorize implements Vendor, for a Bedrock API key. All else is a signature.
func (v bedrock) Authorize(h http.Header, c Credential) { v.openai.Authorize(h, c) }

// Identity implements Signing: an API key goes before all other credentials.
func (v bedrock) Identity(c Credential, baseURL string) (Identity, bool) {
	if c.APIKey != "" {
		return Identity{}, false
	}
	id := Identity{
		AccessKeyID: c.Params["awsAccessKeyId"], SecretAccessKey: c.Params["awsSecretAccessKey"], SessionToken: c.Params["awsSessionToken"],
		RoleARN: c.Params["awsRoleArn"], ExternalID: c.Params["awsExternalId"], Region: c.Params["awsRegion"], Service: "bedrock",
	}
	if id.RoleARN == OwnRole {
		id.RoleARN = ""
	}
	if strings.Contains(baseURL, "//bedrock-mantle.") { // the other host signs by its own name
		id.Service = "bedrock-mantle"
	}
	return id, true
}

// OwnRole stands in a setting's awsRoleArn for no other role than the process's own.
const OwnRole = "default"

// Parse implements Vendor. What depends on the model is left to Complete.
func (v bedrock) Parse(e *Endpoint, contentType string, body []byte) (*Call, error) {
	if isOpenAI(e) {
		return v.parseOpenAI(e, contentType, body)
	}
	c := &Call{Endpoint: e, Body: body, Watch: []string{invocationMetrics, converseTier}}
	c.Bound.Copies = 1
	if len(body) == 0 {
		return nil, invalid("invalid_json", "", "The body is empty; a JSON object is needed.")
	}
	if e.Metering == Free {
		return c, nil
	}
	m, err := members(body, bedrockWanted)
	if err != nil {
		return nil, err
	}
	if c.User, err = userID(m["metadata"]); err != nil {
		return nil, err
	}
	if err := typed(m); err != nil {
		return nil, err
	}
	c.read = m
	c.Stream = strings.HasSuffix(e.Pattern, "-stream")
	if isClaude(e) {
		c.Stream = m["stream"].Bool()
		c.Model, err = text(m, "model")
	}
	return c, err
}

func (v bedrock) parseOpenAI(e *Endpoint, contentType string, body []byte) (*Call, error) {
	c, err := v.openai.Parse(e, contentType, body)
	if err != nil {
		return nil, err
	}
	c.tier(c.Bound.Tier)
	return c, nil
}

// tier takes in the service tier that is asked for. What the dear ones cost is in
// no table.
func (c *Call) tier(name string) {
	c.Bound.Tier = name
	switch name {
	case "", "default", "standard", "auto", "flex":
	default:
		c.Bound.Unbounded = true
	}
}

// bedrockHeaders are the headers of Bedrock's own that a caller may set: all others
// of AWS's are for the gateway's signature to set.
var bedrockHeaders = []string{"X-Amzn-Bedrock-Accept", "X-Amzn-Bedrock-Guardrailidentifier", "X-Amzn-Bedrock-Guardrailversion",
	"X-Amzn-Bedrock-Performanceconfig-Latency", "X-Amzn-Bedrock-Request-Metadata", "X-Amzn-Bedrock-Service-Tier", "X-Amzn-Bedrock-Trace"}

// Complete implements Completer: it finds out what the model may cost, and where
// the call goes.
func (v bedrock) Complete(c *Call, h http.Header) error {
	if isOpenAI(c.Endpoint) {
		return nil
	}
	if !isModelID(c.Model) {
		return invalid("invalid_model", "model", "The model must be the id or the ARN of a Bedrock model or inference profile.")
	}
	c.Alias = isAlias(c.Model)
	m := c.read
	c.read = nil
	var err error
	switch c.Endpoint.Metering {
	case Converse:
		err = boundConverse(c, m)
	case Invoke:
		err = boundInvoke(c, m)
	case Chat, Completion:
		if err = boundAnthropic(c, m); err == nil {
			err = c.forClaude(m, h)
		}
	}
	if err != nil {
		return err
	}
	if c.Bound.Percent = 0; !isClaude(c.Endpoint) {
		c.bedrockHeader(h)
	}
	verb := c.Endpoint.Pattern[strings.LastIndexByte(c.Endpoint.Pattern, '/'):]
	if isClaude(c.Endpoint) {
		if verb = "/invoke"; c.Stream {
			verb = "/invoke-with-response-stream"
		}
	}
	c.Path = "/model/" + escapeID(c.Model) + verb
	return nil
}

// bedrockHeader passes on the headers that belong to the call, and takes in what
// they change about its price.
func (c *Call) bedrockHeader(h http.Header) {
	for _, name := range bedrockHeaders {
		v := h.Get(name)
		if v == "" {
			continue
		}
		if c.Header == nil {
			c.Header = make(http.Header)
		}
		c.Header.Set(name, v)
		switch name {
		case "X-Amzn-Bedrock-Service-Tier":
			c.tier(v)
		case "X-Amzn-Bedrock-Guardrailidentifier":
			c.Bound.Unbounded = true // billed by what it reads
		case "X-Amzn-Bedrock-Performanceconfig-Latency":
			c.Bound.Unbounded = c.Bound.Unbounded || v != "standard"
		}
	}
}
