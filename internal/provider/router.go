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
	leaf   map[string]*Endpoint // by method
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
		if strings.HasPrefix(seg, ":") {
			if n.param == nil {
				n.param = &node{}
			}
			n = n.param
			continue
		}
		if n.static == nil {
			n.static = make(map[string]*node)
		}
		if n.static[seg] == nil {
			n.static[seg] = &node{}
		}
		n = n.static[seg]
	}
	if n.leaf == nil {
		n.leaf = make(map[string]*Endpoint)
	}
	n.dialects |= 1 << e.Dialect
	n.leaf[e.Method] = &e
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
	if n.dialects == 1<<gateway.AnthropicDialect {
		return gateway.AnthropicDialect
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
		if err != nil || !safeSegment(value) {
			return nil, "", &gateway.Error{Kind: gateway.Invalid, Code: "invalid_path",
				Message: "The path holds an id with characters that no id has."}
		}
		params = append(params, value)
		n = n.param
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
		if strings.HasPrefix(seg, ":") {
			b.WriteString(url.PathEscape(params[0]))
			params = params[1:]
			continue
		}
		b.WriteString(seg)
	}
	return b.String()
}
