package provider

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"tollgate/internal/gateway"
)

// maxDepth is how deep a JSON body may nest. The parser recurses, and a body of
// nothing but brackets must not exhaust the stack.
const maxDepth = 512

func invalid(code, param, format string, args ...any) error {
	return &gateway.Error{Kind: gateway.Invalid, Code: code, Param: param, Message: fmt.Sprintf(format, args...)}
}

// members reads the members of a JSON object that are named in want, values raw.
//
// It refuses an object that has one of them twice: parsers differ in which one
// counts, so what was checked here need not be what the provider acts on.
func members(body []byte, want map[string]bool) (map[string]gjson.Result, error) {
	if err := readable(body); err != nil {
		return nil, err
	}
	root := gjson.ParseBytes(body)
	if !root.IsObject() {
		return nil, invalid("invalid_json", "", "The body must be a JSON object.")
	}
	got := make(map[string]gjson.Result, 8)
	var err error
	root.ForEach(func(k, v gjson.Result) bool {
		name := k.String()
		if !want[name] {
			return true
		}
		if _, twice := got[name]; twice {
			err = invalid("invalid_json", name, "The body has the member %q more than once.", name)
			return false
		}
		got[name] = v
		return true
	})
	return got, err
}

// readable refuses a body that is not JSON which every parser reads alike.
func readable(body []byte) error {
	if tooDeep(body) {
		return invalid("invalid_json", "", "The JSON body is nested more than %d levels deep.", maxDepth)
	}
	if !gjson.ValidBytes(body) || !utf8.Valid(body) { // what is no UTF-8 every reader mends in its own way
		return invalid("invalid_json", "", "The body is not valid JSON.")
	}
	return nil
}

// tooDeep reports whether the brackets outside of strings nest beyond maxDepth.
func tooDeep(b []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// text is the value of a member that must be a string where it is present; null
// counts as absent.
func text(m map[string]gjson.Result, name string) (string, error) {
	v, ok := m[name]
	if !ok || v.Type == gjson.Null {
		return "", nil
	}
	if v.Type != gjson.String {
		return "", invalid("invalid_type", name, "The member %q must be a string.", name)
	}
	return v.String(), nil
}

// numbers are the wanted members that multiply or cap what a call may cost.
var numbers = []string{"max_tokens", "max_completion_tokens", "max_output_tokens", "max_tokens_to_sample", "max_tool_calls", "n", "best_of", "partial_images"}

// typed refuses members of a type that the APIs do not take. Some servers turn
// "5" into 5 and "yes" into true; then what was bounded here is not what runs.
func typed(m map[string]gjson.Result) error {
	for _, name := range numbers {
		if v, ok := m[name]; ok && v.Type != gjson.Number && v.Type != gjson.Null {
			return invalid("invalid_type", name, "The member %q must be a number.", name)
		}
	}
	if v, ok := m["stream"]; ok && !v.IsBool() && v.Type != gjson.Null {
		return invalid("invalid_type", "stream", "The member \"stream\" must be true or false.")
	}
	return nil
}

// amount is a number of tokens or copies, rounded up; 0 if it is absent or not
// positive. A value that makes no sense is left to the provider to refuse: here
// it only must not lower a bound.
func amount(v gjson.Result) int64 {
	if v.Type != gjson.Number || !(v.Num > 0) {
		return 0
	}
	return int64(math.Ceil(math.Min(v.Num, 1<<40)))
}

// longLived reports whether a body may ask for a part of it to be cached for hours:
// a "ttl" of "1h", "12h" or the like stands anywhere in it.
func longLived(body []byte) bool {
	if !bytes.Contains(body, []byte("ttl")) && !bytes.Contains(body, []byte(`\u`)) {
		return false
	}
	return hasLongLife(gjson.ParseBytes(body), 0)
}

func hasLongLife(v gjson.Result, depth int) (found bool) {
	if depth > surveyDepth || !v.IsObject() && !v.IsArray() {
		return false
	}
	v.ForEach(func(k, e gjson.Result) bool {
		found = k.String() == "ttl" && strings.HasSuffix(e.String(), "h") || hasLongLife(e, depth+1)
		return !found
	})
	return found
}

// survey looks through the input of a call for what is not plain text.
type survey struct {
	images int64
	audio  int64 // base64 characters of audio
	data   int64 // characters of inline pictures and audio, which are no text
	opaque bool  // refers to content that is not in the body
}

// surveyDepth bounds the walk: each level reads what is below it again. No input
// of the APIs nests deeper; what does is taken as opaque.
const surveyDepth = 16

func (s *survey) walk(v gjson.Result, depth int) {
	switch {
	case depth > surveyDepth:
		s.opaque = true
	case v.IsObject():
		s.object(v, depth)
	case v.IsArray():
		v.ForEach(func(_, e gjson.Result) bool {
			s.walk(e, depth+1)
			return true
		})
	}
}

// object looks at one part of the input, and below it.
func (s *survey) object(v gjson.Result, depth int) {
	named, shown := int64(0), int64(0) // pictures by type and by member
	// ForEach and not Get: where a member stands twice, both are looked at.
	v.ForEach(func(k, e gjson.Result) bool {
		switch k.String() {
		case "type":
			named += s.kind(e.String())
		case "image_url":
			if e.Type != gjson.Null {
				shown++
				s.data += inline(e)
			}
		case "file_id", "file_ids", "file_data", "file_url":
			s.opaque = s.opaque || e.Type != gjson.Null
		case "input_audio":
			n := int64(len(e.Get("data").String()))
			s.audio += n
			s.data += n
		case "audio":
			// An assistant turn that refers to audio of an earlier answer.
			s.opaque = s.opaque || e.Get("id").Exists()
		}
		s.walk(e, depth+1)
		return true
	})
	// Some servers take a part for what its members say, type or no type.
	s.images += max(named, shown)
}

// kind looks at the type of a part, and is 1 for a picture.
func (s *survey) kind(name string) int64 {
	switch name {
	case "image_url", "input_image", "image_file", "computer_screenshot":
		return 1
	case "file", "input_file", "item_reference", "image_generation_call", "compaction",
		"input_video", "video_url", "audio_url":
		s.opaque = true
	}
	return 0
}

// inline is the length of a data URL, given by itself or as {"url": …}; 0 for
// any other. Only what is counted as a picture may be taken off the text.
func inline(v gjson.Result) int64 {
	if v.IsObject() {
		v = v.Get("url")
	}
	if u := v.String(); strings.HasPrefix(u, "data:") {
		return int64(len(u))
	}
	return 0
}
