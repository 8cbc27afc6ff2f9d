package provider

import (
	"net/url"
	"strings"

	"tollgate/internal/gateway"
)

// Router finds endpoints by method and path.
type Router struct{ root node }

type node struct {
	static map[string]*node
	param  *node
	verbs  map[string]*node     // of a parameter: by what follows it in its segment, ":embedContent"
	leaf   map[string]*Endpoint // by method
	arn    bool                 // of a parameter: it may be an ARN
	// dialects has a bit for each dialect of the endpoints at and below.
	dialects uint
}

// NewRouter builds the endpoint table of the vendors.
func NewRouter(vendors ...Vendor) *Router {
	r := &Router{}
	for _, v := range vendors {
		for _, e := range v.Endpoints() {
			e.Vendor = v
			r.add(e)
		}
	}
	return r
}

func (r *Router) add(e Endpoint) {
	n := &r.root
	for seg := range strings.SplitSeq(strings.Trim(e.Pattern, "/"), "/") {
		n.dialects |= 1 << e.Dialect
		if _, verb, ok := param(seg); ok {
			if n.param == nil {
				n.param = &node{}
			}
			n = n.param
			n.arn = n.arn || e.ARN && seg == e.Model
			if verb != "" {
				n = below(&n.verbs, verb)
			}
			continue
		}
		n = below(&n.static, seg)
	}
	if n.leaf == nil {
		n.leaf = make(map[string]*Endpoint)
	}
	n.dialects |= 1 << e.Dialect
	n.leaf[e.Method] = &e
}

// below is the node under a name, made if it is not there.
func below(nodes *map[string]*node, name string) *node {
	if *nodes == nil {
		*nodes = make(map[string]*node)
	}
	if (*nodes)[name] == nil {
		(*nodes)[name] = &node{}
	}
	return (*nodes)[name]
}

// param takes a segment of a pattern apart that is a parameter: ":model", or
// ":model:embedContent" with a verb, which keeps its colon.
func param(seg string) (name, verb string, ok bool) {
	if !strings.HasPrefix(seg, ":") {
		return "", "", false
	}
	if i := strings.IndexByte(seg[1:], ':'); i >= 0 {
		return seg[:i+1], seg[i+1:], true
	}
	return seg, "", true
}

// Dialect is how errors on a path are to be worded, whether or not there is an
// endpoint: as they are on all endpoints that begin like it.
func (r *Router) Dialect(escapedPath string) gateway.Dialect {
	n := &r.root
	for seg := range strings.SplitSeq(strings.Trim(escapedPath, "/"), "/") {
		next := n.static[seg]
		if next == nil {
			break
		}
		n = next
	}
	for _, d := range []gateway.Dialect{gateway.AnthropicDialect, gateway.GoogleDialect, gateway.AWSDialect} {
		if n.dialects == 1<<d {
			return d
		}
	}
	return gateway.OpenAIDialect
}

// Endpoints lists the whole table, in no particular order.
func (r *Router) Endpoints() []*Endpoint {
	var list []*Endpoint
	var walk func(*node)
	walk = func(n *node) {
		for _, e := range n.leaf {
			list = append(list, e)
		}
		for _, c := range n.static {
			walk(c)
		}
		for _, c := range n.verbs {
			walk(c)
		}
		if n.param != nil {
			walk(n.param)
		}
	}
	walk(&r.root)
	return list
}

// Match finds the endpoint for a method and an escaped path, and the path to call
// upstream. A slash at the end does not matter. An unknown path or method is
// NotFound; a path that means something else once decoded ("..", an encoded slash
// or question mark) is Invalid.
//
// Segments are compared as the provider will read them, decoded: "/threads/%72uns"
// is the endpoint /threads/runs, and not a thread of that name.
func (r *Router) Match(method, escapedPath string) (*Endpoint, string, error) {
	segs := strings.Split(strings.Trim(escapedPath, "/"), "/")
	if len(segs) > 32 {
		return nil, "", errNoRoute
	}
	var params []string
	n := &r.root
	for _, seg := range segs {
		value, err := url.PathUnescape(seg)
		// A static segment wins over a parameter at the same place; the table
		// has no two rows that need backtracking (TestTable).
		if next := n.static[value]; next != nil {
			n = next
			continue
		}
		if n.param == nil {
			return nil, "", errNoRoute
		}
		n = n.param
		if i := strings.LastIndexByte(value, ':'); i >= 0 && n.verbs[value[i:]] != nil {
			value, n = value[:i], n.verbs[value[i:]]
		}
		if err != nil || !safeSegment(value) && !(n.arn && isARN(value)) {
			return nil, "", &gateway.Error{Kind: gateway.Invalid, Code: "invalid_path",
				Message: "The path holds an id with characters that no id has."}
		}
		params = append(params, value)
	}
	e := n.leaf[method]
	if e == nil {
		return nil, "", errNoRoute
	}
	return e, fill(e.Upstream, params), nil
}

var errNoRoute = &gateway.Error{Kind: gateway.NotFound, Code: "unknown_url",
	Message: "This method and path are not served. See the documentation for the list of endpoints."}

// safeSegment refuses what could change the meaning of an upstream URL.
func safeSegment(s string) bool {
	if s == "" || s == "." || s == ".." || len(s) > 256 {
		return false
	}
	for _, c := range s {
		if c <= ' ' || c == 0x7f || strings.ContainsRune(`/\?#%&;"<>^{}|`+"`", c) {
			return false
		}
	}
	return true
}

// fill puts the parameters into the pattern, escaped.
func fill(pattern string, params []string) string {
	if len(params) == 0 {
		return pattern
	}
	var b strings.Builder
	for seg := range strings.SplitSeq(strings.TrimPrefix(pattern, "/"), "/") {
		b.WriteByte('/')
		if _, verb, ok := param(seg); ok {
			b.WriteString(url.PathEscape(params[0]) + verb)
			params = params[1:]
			continue
		}
		b.WriteString(seg)
	}
	return b.String()
}
