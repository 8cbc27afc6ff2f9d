package provider

import (
	"bytes"

	"github.com/tidwall/gjson"
)

// maxMember bounds a value that Members keeps.
const maxMember = 64 << 10

// Members watches one JSON object go by in pieces of any size and keeps the raw
// values of the members it was told to look for, at the top or one level down.
// It needs no more memory than those values, however large the object is, and it
// never fails: what is no JSON just has no members.
type Members struct {
	want []string // "usage", "response.usage"
	got  [][]byte // by index of want; buffers are used again
	has  []bool

	depth  int
	inText bool // inside of a string
	escape bool // after a backslash
	// Of the objects at depth 1 and 2 that may hold wanted members: the key
	// being read, or the last one read.
	watch  [2]bool
	key    [2][]byte
	onKey  bool // the next string at this depth is a key
	inKey  bool
	lists  bool // an array at the top is a list of objects: the last one that has a member counts
	list   bool // inside of it
	large  bool // a wanted member was too large to be kept
	taking int  // index of the member being kept, -1 for none
	from   int  // depth at which it started
	taken  []byte
}

// NewMembers looks for the members named by want.
func NewMembers(want ...string) *Members {
	return &Members{want: want, got: make([][]byte, len(want)), has: make([]bool, len(want)), taking: -1}
}

// reset forgets everything but what to look for.
func (m *Members) reset() {
	clear(m.has)
	m.large = false
	m.depth, m.inText, m.escape, m.onKey, m.inKey, m.list, m.taking = 0, false, false, false, false, false, -1
	m.watch = [2]bool{}
}

// Get is the value of a member; it does not exist if the member was not seen.
func (m *Members) Get(name string) gjson.Result {
	for i, w := range m.want {
		if w == name && m.has[i] {
			return gjson.ParseBytes(m.got[i])
		}
	}
	return gjson.Result{}
}

// put gives a wanted member a value.
func (m *Members) put(name, raw string) {
	for i, w := range m.want {
		if w == name {
			m.got[i], m.has[i] = append(m.got[i][:0], raw...), true
		}
	}
}

// merge takes over what other has seen; null and "" count as not seen.
func (m *Members) merge(other *Members) {
	for i, v := range other.got {
		if !other.has[i] || bytes.Equal(v, null) || bytes.Equal(v, blank) || m.has[i] && bytes.Equal(v, m.got[i]) {
			continue
		}
		m.got[i], m.has[i] = append(m.got[i][:0], v...), true
	}
}

// drop forgets the value of a member.
func (m *Members) drop(name string) {
	for i, w := range m.want {
		m.has[i] = m.has[i] && w != name
	}
}

var null, blank = []byte("null"), []byte(`""`)

// Write looks at the next piece. It never returns an error.
func (m *Members) Write(p []byte) (int, error) {
	for i := 0; i < len(p); {
		if m.inText {
			i += m.text(p[i:])
			continue
		}
		m.structure(p[i])
		i++
	}
	return len(p), nil
}

// text consumes the inside of a string up to its end and returns how much that was.
func (m *Members) text(p []byte) int {
	n := 0
	for n < len(p) {
		if m.escape {
			m.escape = false
			n++
			continue
		}
		stop := bytes.IndexAny(p[n:], `"\`)
		if stop < 0 {
			n = len(p)
			break
		}
		n += stop + 1
		if p[n-1] == '"' {
			m.inText = false
			break
		}
		m.escape = true
	}
	switch {
	case m.inKey && !m.inText:
		m.addKey(p[:n-1])
		m.inKey = false
	case m.inKey:
		m.addKey(p[:n])
	default:
		m.keep(p[:n])
	}
	return n
}

func (m *Members) addKey(p []byte) {
	k := &m.key[m.depth-1]
	// 64 bytes are more than any wanted name has: a longer key is cut, and will
	// not match.
	*k = append(*k, p[:min(len(p), max(64-len(*k), 0))]...)
}

// structure consumes one byte outside of strings.
func (m *Members) structure(c byte) {
	level := m.depth - 1 // index of the object we are in, if it is watched
	watched := level >= 0 && level < 2 && m.watch[level]
	switch c {
	case '"':
		m.inText = true
		if watched && m.onKey {
			m.inKey, m.onKey = true, false
			m.key[level] = m.key[level][:0]
			return
		}
	case ':':
		if watched && m.taking < 0 {
			m.begin()
			return
		}
	case '{', '[':
		if c == '[' && m.depth == 0 && m.lists && !m.list {
			m.list = true
			return
		}
		m.keep([]byte{c})
		m.open(c == '{')
		return
	case '}', ']':
		if m.depth == 0 && m.list {
			m.list = false
			return
		}
		m.end(m.depth)
		m.depth--
		m.onKey = false
		m.keep([]byte{c})
		return
	case ',':
		m.end(m.depth)
		if watched {
			m.onKey = true
		}
	}
	m.keep([]byte{c})
}

// open enters an object or array.
func (m *Members) open(object bool) {
	m.depth++
	m.onKey = false
	switch m.depth {
	case 1:
		m.watch[0] = object
	case 2:
		m.watch[1] = object && m.watch[0] && m.taking < 0 && m.isParent(m.key[0])
	default:
		return
	}
	m.onKey = m.watch[m.depth-1]
}

func (m *Members) isParent(key []byte) bool {
	for _, w := range m.want {
		if len(w) > len(key) && w[len(key)] == '.' && w[:len(key)] == string(key) {
			return true
		}
	}
	return false
}

// begin starts to keep the value after a wanted key.
func (m *Members) begin() {
	for i, w := range m.want {
		match := false
		if m.depth == 1 {
			match = w == string(m.key[0]) && !bytes.Contains(m.key[0], []byte("."))
		} else if n := len(m.key[0]); len(w) > n+1 && w[n] == '.' {
			match = w[:n] == string(m.key[0]) && w[n+1:] == string(m.key[1])
		}
		if match {
			m.taking, m.from, m.taken = i, m.depth, m.taken[:0]
			return
		}
	}
}

func (m *Members) keep(p []byte) {
	if m.taking < 0 {
		return
	}
	if len(m.taken)+len(p) > maxMember {
		m.taking, m.large = -1, true // too large to be what we look for
		return
	}
	m.taken = append(m.taken, p...)
}

// end finishes the value being kept, if it began at this depth.
func (m *Members) end(depth int) {
	if m.taking >= 0 && m.from == depth {
		m.got[m.taking] = append(m.got[m.taking][:0], bytes.TrimSpace(m.taken)...)
		m.has[m.taking] = true
		m.taking = -1
	}
}
