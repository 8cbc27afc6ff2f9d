package provider

import (
	"net/http"
	"strings"

	"github.com/tidwall/gjson"

	"tollgate/internal/gateway"
)

// CustomPrefix is where operators' own providers stand on the proxy: their name
// and the path of one of their routes follow.
const CustomPrefix = "/api/custom/providers/"

// CustomPattern is what allowedPaths names them by, all routes of all of them.
const CustomPattern = CustomPrefix + ":provider/*"

// CustomEndpoint is the endpoint of a route of an operator's own provider, for any
// method. route is nil as long as it is not known; then no call can be parsed.
func CustomEndpoint(p *gateway.CustomProvider, route *gateway.RouteConfig, method string) *Endpoint {
	return &Endpoint{Vendor: custom{p, route}, Method: method, Pattern: CustomPattern, Metering: Chat}
}

// custom is a vendor of one endpoint: nothing is known of it but its route.
type custom struct {
	provider *gateway.CustomProvider
	route    *gateway.RouteConfig
}

func (v custom) Name() string { return v.provider.Provider }

// Endpoints implements Vendor. The table has none: which there are is found out
// call by call.
func (v custom) Endpoints() []Endpoint { return nil }

// BaseURL implements Vendor: the whole address, for the path upstream is empty.
func (v custom) BaseURL(*gateway.Setting) string { return v.route.TargetURL }

// Authorize implements Vendor. Where the provider declares no parameter, or the
// setting lacks it, an apikey that the setting has is meant.
func (v custom) Authorize(h http.Header, c Credential) {
	token := c.Params[v.provider.AuthParam]
	if token == "" {
		token = c.APIKey
	}
	if token != "" {
		h.Set("Authorization", "Bearer "+token)
	}
}

// customOutput stands in for an output cap: nobody knows which member of the body
// would be one, and whether it is obeyed.
const customOutput = 8192

// Parse implements Vendor. The body may be any JSON, or nothing.
func (v custom) Parse(e *Endpoint, _ string, body []byte) (*Call, error) {
	if v.route == nil {
		return nil, errNoRoute
	}
	c := &Call{Endpoint: e, Body: body, Custom: v.route, StreamEnd: v.route.StreamEnd, OpenEnd: v.route.StreamEnd == ""}
	c.Bound = Bound{Copies: 1, FullOutput: true, Output: customOutput, Uncountable: true}
	if len(body) == 0 {
		return c, nil
	}
	if err := readable(body); err != nil {
		return nil, err
	}
	root := gjson.ParseBytes(body)
	model, err := located(root, v.route.Model)
	if err != nil {
		return nil, err
	}
	stream, err := located(root, v.route.Stream)
	if err != nil {
		return nil, err
	}
	if given(model) && model.Type != gjson.String {
		return nil, invalid("invalid_type", v.route.Model, "The member %q must be a string.", v.route.Model)
	}
	c.Model, c.Stream = model.String(), stream.Bool()
	c.boundCustom(root)
	return c, nil
}

// boundCustom looks for what other APIs have too: pictures, references, a cap that
// is above the stand-in.
func (c *Call) boundCustom(root gjson.Result) {
	var s survey
	s.walk(root, 0)
	b := &c.Bound
	b.Input = int64(len(c.Body)) - s.data + s.images*tokensPerImage + s.audio/perAudioToken
	b.Images, b.Media, b.Opaque = s.images, s.images > 0 || s.audio > 0, s.opaque
	for _, name := range numbers {
		b.Output = max(b.Output, amount(root.Get(name)))
	}
}

// located is the value at a location. A body that has a member on the way there
// twice is refused: what was checked here need not be what the provider acts on.
func located(root gjson.Result, path string) (gjson.Result, error) {
	if path == "" {
		return gjson.Result{}, nil
	}
	for v, rest := root, path; rest != "" && v.IsObject(); {
		name, more, _ := strings.Cut(rest, ".")
		if strings.ContainsAny(name, `\|#@*?!{}[]()`) {
			break // a query, which finds what it finds
		}
		m, ok := only(v, name)
		if !ok {
			return v, invalid("invalid_json", path, "The body has the member %q more than once.", name)
		}
		v, rest = m[name], more
	}
	return root.Get(path), nil
}

// Usage implements Vendor: where the answer reports it as OpenAI and Anthropic do.
func (v custom) Usage(c *Call, m *Members) (gateway.Usage, bool) {
	var u gateway.Usage
	usage := m.Get("usage")
	if m.Get("message.usage").IsObject() || given(usage.Get("cache_read_input_tokens")) || given(usage.Get("cache_creation_input_tokens")) {
		return Anthropic.Usage(c, m)
	}
	return u, usage.IsObject() && tokens(&u, c, usage)
}

// textsAt are the strings at a location, in lists of any depth; without a location
// the whole body is text.
func textsAt(body []byte, path string) []string {
	if path == "" {
		return []string{string(body)}
	}
	var texts []string
	var add func(gjson.Result, int)
	add = func(v gjson.Result, depth int) {
		if v.Type == gjson.String {
			texts = append(texts, v.String())
		}
		if v.IsArray() && depth < surveyDepth {
			v.ForEach(func(_, e gjson.Result) bool { add(e, depth+1); return true })
		}
	}
	add(gjson.GetBytes(body, path), 0)
	return texts
}

// customAnswer are the texts of an answer, or of the part of it that there is.
func customAnswer(route *gateway.RouteConfig, answer []byte, events bool) []string {
	if !events {
		return textsAt(answer, route.Completion)
	}
	path := route.StreamCompletion
	if path == "" {
		path = route.Completion
	}
	var texts []string
	eachEvent(answer, func(data []byte) { texts = append(texts, textsAt(data, path)...) })
	return texts
}
