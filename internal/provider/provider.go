// Package provider knows the LLM vendors: which endpoints they have, how a call
// to them is read and bounded, how it is sent, and how its answer tells what it
// consumed. Vendors are values that answer these few questions; the request path
// itself is written once, in package proxy.
package provider

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/internal/gateway"
)

// Metering says what a call is billed by, and so how it is bounded before it
// leaves and what is read from its answer.
type Metering uint8

// The ways to meter.
const (
	Free          Metering = iota // costs nothing by itself
	Chat                          // tokens; output bounded by the request or the model
	Completion                    // legacy completions: tokens, 16 out by default
	Responses                     // OpenAI responses: tokens and server tools
	Embeddings                    // tokens in
	Image                         // image tokens, or a price each
	Speech                        // characters in, or audio tokens out
	Transcription                 // audio in, by time or tokens
	Run                           // assistant runs: tokens, model often not in the body
	FileSearch                    // one file search call
	Unbounded                     // billed later, or by what the gateway cannot see
	Invoke                        // Bedrock, in a model's own form: tokens
	Converse                      // Bedrock, in the form it has for all models: tokens
)

// Endpoint is one row of the endpoint table: a method and path of the proxy and
// what stands behind it.
type Endpoint struct {
	Vendor   Vendor
	Method   string
	Pattern  string // "/api/providers/openai/v1/models/:model"; what allowedPaths names
	Upstream string // below the vendor's base URL, with the same :names
	Metering Metering
	Form     bool            // multipart/form-data instead of JSON
	File     bool            // the form must have a part named file
	Dialect  gateway.Dialect // of the gateway's own errors
	Model    string          // the parameter that names the model, such as ":deployment_id"; empty: the body does
	ARN      bool            // that parameter may be an ARN, which has a slash
}

// ModelIn is the model that an upstream path names, as Match returned the path.
func (e *Endpoint) ModelIn(path string) string {
	if e.Model == "" {
		return ""
	}
	have := strings.Split(path, "/")
	for i, seg := range strings.Split(e.Upstream, "/") {
		if name, verb, ok := param(seg); ok && name == e.Model && i < len(have) {
			model, _ := url.PathUnescape(have[i]) // Match escaped it
			return strings.TrimSuffix(model, verb)
		}
	}
	return ""
}

// Vendor is one LLM provider.
type Vendor interface {
	// Name is the provider's name in settings, prices and events.
	Name() string
	// Endpoints is the vendor's part of the endpoint table.
	Endpoints() []Endpoint
	// BaseURL is where calls go for a setting, without a trailing slash.
	BaseURL(s *gateway.Setting) string
	// Authorize puts the credential into the headers of an upstream request,
	// which hold none.
	Authorize(h http.Header, c Credential)
	// Parse reads what the request path must know of a call. Its errors are
	// *gateway.Error of kind Invalid.
	Parse(e *Endpoint, contentType string, body []byte) (*Call, error)
	// Usage turns the members that a Meter caught into usage. The second
	// result is false if they do not say what was consumed.
	Usage(c *Call, m *Members) (gateway.Usage, bool)
}

// Credential holds the opened parameters of a setting.
type Credential struct {
	APIKey string
	Params map[string]string // all of them, the public ones included
}

// Call is what the gateway understood of a request. It reads only what it needs;
// the body stays as it came but for single members that are patched.
type Call struct {
	Endpoint *Endpoint
	Model    string
	User     string
	Stream   bool
	Body     []byte

	// Alias is set when Model is a name of the caller's own, a deployment: the
	// answer tells which model it is and so what it costs.
	Alias bool
	// Fallbacks are other models that may answer instead.
	Fallbacks []string

	Bound Bound

	// Custom is the route of an operator's own provider, which says where the
	// texts are; nil for a vendor.
	Custom *gateway.RouteConfig
	// Watch names members of the answer that the vendor's Usage asks for beside
	// those that all answers are searched for.
	Watch []string
	// List: the answer may come as an array of what would be the events of a stream.
	List bool
	// StreamEnd is the data of the event that ends a stream, if it is not [DONE].
	StreamEnd string
	// OpenEnd: streams just end, without saying that they are complete.
	OpenEnd bool

	// Path is where the call goes below the vendor's base URL if the endpoint alone
	// does not say it. The caller's query then stays behind.
	Path string
	// Header goes upstream over the caller's own headers; one without values takes
	// a header away.
	Header http.Header
	// read are members of the body, between Parse and Complete.
	read map[string]gjson.Result

	// HideUsage is set when the gateway asked for the stream's usage and the
	// caller did not: the extra chunk is taken out again.
	HideUsage bool
}

// Bound says what limits the cost of a call before it runs.
type Bound struct {
	Input  int64 // tokens in at most, if not Opaque
	Images int64 // pictures in the input
	Media  bool  // the input may hold audio or pictures
	// Uncountable: the vendor's tokenizer is its own. What ours counts is an
	// estimate, and bounds nothing.
	Uncountable bool
	// Opaque: the input refers to what the gateway cannot see (a file, an earlier
	// response), so only the model's context window bounds it.
	Opaque bool

	// Turns is how often the provider may go through the whole input once more, for
	// the tools that it runs itself. CapPerTurn: the output cap holds for each of them.
	Turns      int64
	CapPerTurn bool
	// ToolCaps are what must be written into the body for Turns to hold.
	ToolCaps []ToolCap

	Output    int64  // tokens out asked for, per copy; 0 if the caller set no cap
	OutputAdd int64  // tokens out that may come on top of the cap (predictions)
	MinOutput int64  // least cap that the provider accepts
	CapMember string // member of the body that holds the cap; empty: it has none
	CapAlso   string // member that may be obeyed in its place, and must not be above it
	// FullOutput: the caller set no cap and none may be written, so only the
	// model's own maximum bounds the output.
	FullOutput bool
	MediaOut   bool  // the output may be audio or pictures
	Copies     int64 // answers asked for

	Tier string // service tier asked for
	// LongLife: the input may be written to a cache for hours, at a price of its own.
	LongLife bool
	// Percent is the most that tokens may cost in percent of the list price,
	// where a region costs more; 0 is 100.
	Percent int64
	Size    string // of pictures
	Grade   string // quality of pictures

	// Extra is billed whatever the tokens: characters, milliseconds of audio,
	// pictures, searches. It is what the call consumes when the provider
	// reports nothing and Exact is set.
	Extra gateway.Usage
	Exact bool

	// Later: the answer comes before the work is done, so it tells no usage and
	// holds no text to count.
	Later bool

	// Unbounded: nothing bounds the cost; see Metering.
	Unbounded bool
}

// All lists the vendors in the order of the endpoint table.
func All() []Vendor {
	return append(append([]Vendor{OpenAI, Anthropic, Azure}, compatibles...), Gemini, Bedrock)
}
