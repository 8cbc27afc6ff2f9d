package samtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// template is a transformed template, as far as the checks look at it.
type template struct {
	Resources map[string]resource
}

type resource struct {
	Type           string
	DeletionPolicy string
	Properties     properties
}

// properties are those of all types of resources that are looked at.
type properties struct {
	// RestApi
	EndpointConfiguration struct{ Types []string }
	Body                  apiBody
	// Function
	Architectures []string
	Runtime       string
	// EventSourceMapping
	FunctionResponseTypes          []string
	BisectBatchOnFunctionError     bool
	MaximumBatchingWindowInSeconds int
	StartingPosition               string
	FilterCriteria                 struct{ Filters []struct{ Pattern string } }
	DestinationConfig              struct {
		OnFailure struct{ Destination map[string][]string }
	}
	// Role
	Policies []struct{ PolicyDocument policy }
	// ManagedPolicy
	PolicyDocument policy
	// Table
	AttributeDefinitions             []struct{ AttributeName, AttributeType string }
	KeySchema                        []keyElement
	GlobalSecondaryIndexes           []index
	TimeToLiveSpecification          struct{ AttributeName string }
	StreamSpecification              struct{ StreamViewType string }
	PointInTimeRecoverySpecification struct{ PointInTimeRecoveryEnabled bool }
	SSESpecification                 struct{ SSEType string }
}

type apiBody struct {
	Paths            map[string]map[string]method
	BinaryMediaTypes []string `json:"x-amazon-apigateway-binary-media-types"`
	Components       struct {
		SecuritySchemes map[string]struct {
			AuthType string `json:"x-amazon-apigateway-authtype"`
		}
	}
	GatewayResponses map[string]struct {
		ResponseTemplates map[string]string
	} `json:"x-amazon-apigateway-gateway-responses"`
}

type method struct {
	Security    []map[string]any
	Integration struct {
		URI                  map[string]string
		ResponseTransferMode string
		TimeoutInMillis      int
		Credentials          any
	} `json:"x-amazon-apigateway-integration"`
}

type policy struct{ Statement []statement }

type statement struct {
	Sid      string
	Action   oneOrMore
	Resource any
}

// UnmarshalJSON reads a statement that depends on a condition as it is when the
// condition holds.
func (s *statement) UnmarshalJSON(text []byte) error {
	var conditional struct {
		If []json.RawMessage `json:"Fn::If"`
	}
	if err := json.Unmarshal(text, &conditional); err != nil {
		return err
	}
	if len(conditional.If) == 3 {
		text = conditional.If[1]
	}
	type plain statement
	return json.Unmarshal(text, (*plain)(s))
}

// oneOrMore is a string or a list of strings, as policies have them.
type oneOrMore []string

func (o *oneOrMore) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*o = oneOrMore{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(o))
}

type keyElement struct{ AttributeName, KeyType string }

type index struct {
	IndexName  string
	KeySchema  []keyElement
	Projection struct{ ProjectionType string }
}

// check reports all that is wrong with the transformed template.
func check(text []byte) error {
	var t template
	if err := json.Unmarshal(text, &t); err != nil {
		return err
	}
	return errors.Join(
		t.checkProxyAPI(), t.checkAdminAPI(), t.checkFunctions(), t.checkRoles(), t.checkManagedPolicies(), t.checkTables(), t.checkStream())
}

func (t *template) checkProxyAPI() error {
	var faults []error
	api := t.Resources["ProxyApi"].Properties
	faults = append(faults, checkRegional("ProxyApi", api), checkPaths("ProxyApi", api, "any /", "any /{proxy+}"))
	if !slices.Equal(api.Body.BinaryMediaTypes, []string{"*/*"}) {
		faults = append(faults, fmt.Errorf("ProxyApi passes %q as bytes instead of */*", api.Body.BinaryMediaTypes))
	}
	for where, m := range methods(api) {
		i := m.Integration
		if uri := i.URI["Fn::Sub"]; !strings.HasSuffix(uri, "${ProxyFunction.Arn}/response-streaming-invocations") {
			faults = append(faults, fmt.Errorf("ProxyApi %s does not stream: it calls %s", where, uri))
		}
		if i.ResponseTransferMode != "STREAM" {
			faults = append(faults, fmt.Errorf("ProxyApi %s has the transfer mode %q", where, i.ResponseTransferMode))
		}
		if i.TimeoutInMillis != 900_000 {
			faults = append(faults, fmt.Errorf("ProxyApi %s times out after %d ms", where, i.TimeoutInMillis))
		}
		if m.Security != nil || i.Credentials != nil {
			faults = append(faults, fmt.Errorf("ProxyApi %s asks for AWS credentials", where))
		}
	}
	for name, response := range api.Body.GatewayResponses {
		if err := checkErrorBody(response.ResponseTemplates["application/json"]); err != nil {
			faults = append(faults, fmt.Errorf("ProxyApi gateway response %s: %w", name, err))
		}
	}
	for _, name := range []string{"DEFAULT_4XX", "DEFAULT_5XX", "ACCESS_DENIED", "THROTTLED", "REQUEST_TOO_LARGE"} {
		if _, ok := api.Body.GatewayResponses[name]; !ok {
			faults = append(faults, fmt.Errorf("ProxyApi answers %s in API Gateway's own shape", name))
		}
	}
	return errors.Join(faults...)
}

// checkErrorBody checks that SDKs can read a body that API Gateway makes.
func checkErrorBody(text string) error {
	text = strings.ReplaceAll(text, "$context.error.messageString", `"a message"`)
	var body struct {
		Type      string
		Error     struct{ Type, Message, Code string }
		RequestID string `json:"request_id"`
	}
	if err := json.Unmarshal([]byte(text), &body); err != nil {
		return err
	}
	if body.Type != "error" || body.Error.Type == "" || body.Error.Message == "" || body.Error.Code == "" || body.RequestID == "" {
		return fmt.Errorf("the body lacks a member: %s", text)
	}
	return nil
}

func (t *template) checkAdminAPI() error {
	var faults []error
	api := t.Resources["AdminApi"].Properties
	faults = append(faults, checkRegional("AdminApi", api), checkPaths("AdminApi", api, "any /", "any /{proxy+}", preflight))
	if got := api.Body.Components.SecuritySchemes["AWS_IAM"].AuthType; got != "awsSigv4" {
		faults = append(faults, fmt.Errorf("AdminApi has the authentication type %q", got))
	}
	for where, m := range methods(api) {
		guarded := len(m.Security) == 1 && m.Security[0]["AWS_IAM"] != nil
		if where == preflight && (len(m.Security) != 1 || m.Security[0]["NONE"] == nil) {
			faults = append(faults, fmt.Errorf("AdminApi %s asks for a signature, which a browser cannot give", where))
		}
		if where != preflight && !guarded {
			faults = append(faults, fmt.Errorf("AdminApi %s is not guarded by IAM", where))
		}
		if m.Integration.Credentials != nil {
			faults = append(faults, fmt.Errorf("AdminApi %s calls the function with the caller's credentials", where))
		}
		if uri := m.Integration.URI["Fn::Sub"]; !strings.HasSuffix(uri, "${AdminFunction.Arn}/invocations") {
			faults = append(faults, fmt.Errorf("AdminApi %s calls %s", where, uri))
		}
	}
	return errors.Join(faults...)
}

// preflight is what a browser asks before it calls the admin API.
const preflight = "options /{proxy+}"

func checkRegional(name string, api properties) error {
	if got := api.EndpointConfiguration.Types; !slices.Equal(got, []string{"REGIONAL"}) {
		return fmt.Errorf("%s has the endpoint types %q instead of REGIONAL", name, got)
	}
	return nil
}

// checkPaths checks that every path reaches the function, so that the loops over
// methods look at something.
func checkPaths(name string, api properties, want ...string) error {
	got := slices.Sorted(maps.Keys(methods(api)))
	if !slices.Equal(got, want) {
		return fmt.Errorf("%s has the methods %q instead of %q", name, got, want)
	}
	return nil
}

// methods are all methods of an API by name and path.
func methods(api properties) map[string]method {
	all := make(map[string]method)
	for path, item := range api.Body.Paths {
		for name, m := range item {
			name = strings.TrimSuffix(strings.TrimPrefix(name, "x-amazon-apigateway-"), "-method")
			all[name+" "+path] = m
		}
	}
	return all
}

func (t *template) checkFunctions() error {
	var faults []error
	for _, name := range []string{"ProxyFunction", "AdminFunction", "RollupFunction"} {
		f := t.Resources[name].Properties
		if !slices.Equal(f.Architectures, []string{"arm64"}) || f.Runtime != "provided.al2023" {
			faults = append(faults, fmt.Errorf("%s is for %q on %q", name, f.Architectures, f.Runtime))
		}
	}
	return errors.Join(faults...)
}

// checkRoles checks what the functions may do: nothing but what is listed here.
func (t *template) checkRoles() error {
	allowed := map[string]map[string]string{
		"ProxyFunctionRole": {
			"Gateway":         "BatchGetItem DeleteItem GetItem PutItem Query UpdateItem",
			"Usage":           "GetItem PutItem",
			"OpenCredentials": "Decrypt",
			"SealBodies":      "Encrypt",
			// Only with parameters that say so.
			"CallBedrock":        "CountTokens InvokeModel InvokeModelWithResponseStream",
			"AssumeBedrockRoles": "AssumeRole",
		},
		"AdminFunctionRole": {
			"Tables":          "BatchGetItem ConditionCheckItem DeleteItem GetItem PutItem UpdateItem",
			"Lists":           "Query",
			"SealCredentials": "Decrypt Encrypt",
		},
		"RollupFunctionRole": {
			"Sums": "PutItem UpdateItem",
			"":     "SendMessage", // to the queue of failures; the transform adds it
		},
	}
	var faults []error
	for role, want := range allowed {
		got := make(map[string]string)
		for _, p := range t.Resources[role].Properties.Policies {
			for _, s := range p.PolicyDocument.Statement {
				for i, action := range s.Action {
					_, s.Action[i], _ = strings.Cut(action, ":")
				}
				got[s.Sid] = strings.Join(slices.Sorted(slices.Values(s.Action)), " ")
			}
		}
		if !maps.Equal(got, want) {
			faults = append(faults, fmt.Errorf("%s allows %q instead of %q", role, got, want))
		}
	}
	return errors.Join(faults...)
}

// checkStream checks that exactly the new events reach the function, that one
// batch which fails does not stop the others, and that none is lost unseen.
func (t *template) checkStream() error {
	m := t.Resources["RollupFunctionUsage"].Properties
	var faults []error
	if f := m.FilterCriteria.Filters; len(f) != 1 || f[0].Pattern != `{"eventName":["INSERT"],"dynamodb":{"Keys":{"pk":{"S":[{"prefix":"E#"}]}}}}` {
		faults = append(faults, fmt.Errorf("the stream's filter is %q", f))
	}
	if !slices.Equal(m.FunctionResponseTypes, []string{"ReportBatchItemFailures"}) || !m.BisectBatchOnFunctionError {
		faults = append(faults, fmt.Errorf("a failed record takes its whole batch with it: %q", m.FunctionResponseTypes))
	}
	if got := m.DestinationConfig.OnFailure.Destination["Fn::GetAtt"]; !slices.Equal(got, []string{"RollupFailures", "Arn"}) {
		faults = append(faults, fmt.Errorf("what cannot be folded goes to %q", got))
	}
	if m.StartingPosition != "TRIM_HORIZON" || m.MaximumBatchingWindowInSeconds < 1 {
		faults = append(faults, fmt.Errorf("the stream is read from %s, for %d s at once", m.StartingPosition, m.MaximumBatchingWindowInSeconds))
	}
	return errors.Join(faults...)
}

func (t *template) checkTables() error {
	return errors.Join(
		t.checkTable("GatewayTable", "", map[string][2]string{"byKind": {"kind", "kindSort"}}),
		t.checkTable("UsageTable", "NEW_IMAGE", map[string][2]string{"byUser": {"user", "sk"}, "byCustom": {"custom", "sk"}}),
	)
}

func (t *template) checkTable(name, stream string, indexes map[string][2]string) error {
	table := t.Resources[name]
	p := table.Properties
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf(name+" "+format, args...))
	}
	if table.DeletionPolicy != "Retain" {
		fault("goes with the stack")
	}
	if got := keys(p.KeySchema); got != [2]string{"pk", "sk"} {
		fault("has the key %q", got)
	}
	got := make(map[string][2]string)
	for _, i := range p.GlobalSecondaryIndexes {
		got[i.IndexName] = keys(i.KeySchema)
		if i.Projection.ProjectionType != "ALL" {
			fault("projects %s into %s", i.Projection.ProjectionType, i.IndexName)
		}
	}
	if !maps.Equal(got, indexes) {
		fault("has the indexes %q instead of %q", got, indexes)
	}
	for _, a := range p.AttributeDefinitions {
		if a.AttributeType != "S" {
			fault("has the attribute %s of type %s", a.AttributeName, a.AttributeType)
		}
	}
	if p.TimeToLiveSpecification.AttributeName != "ttl" {
		fault("expires items by %q", p.TimeToLiveSpecification.AttributeName)
	}
	if p.StreamSpecification.StreamViewType != stream {
		fault("has the stream %q instead of %q", p.StreamSpecification.StreamViewType, stream)
	}
	if !p.PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled || p.SSESpecification.SSEType != "KMS" {
		fault("has no point-in-time recovery, or no encryption by KMS")
	}
	return errors.Join(faults...)
}

// keys are the names of the hash and the range attribute.
func keys(schema []keyElement) (names [2]string) {
	for _, e := range schema {
		switch e.KeyType {
		case "HASH":
			names[0] = e.AttributeName
		case "RANGE":
			names[1] = e.AttributeName
		}
	}
	return names
}
