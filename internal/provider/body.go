package provider

import (
	"fmt"
	"math"
	"strings"

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
	if tooDeep(body) {
		return nil, invalid("invalid_json", "", "The JSON body is nested more than %d levels deep.", maxDepth)
	}
	if !gjson.ValidBytes(body) {
		return nil, invalid("invalid_json", "", "The body is not valid JSON.")
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

// amount is a number of tokens or copies, rounded up; 0 if it is absent, not a
// number or not positive. A value that makes no sense is left to the provider to
// refuse: here it only must not lower a bound.
func amount(v gjson.Result) int64 {
	if v.Type != gjson.Number || !(v.Num > 0) {
		return 0
	}
	return int64(math.Ceil(math.Min(v.Num, 1<<40)))
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
	if depth > surveyDepth {
		s.opaque = true
		return
	}
	if !v.IsObject() && !v.IsArray() {
		return
	}
	// ForEach and not Get: where a member stands twice, both are looked at.
	object := v.IsObject()
	v.ForEach(func(k, e gjson.Result) bool {
		if object {
			s.member(k.String(), e)
		}
		s.walk(e, depth+1)
		return true
	})
}

func (s *survey) member(name string, v gjson.Result) {
	switch name {
	case "type":
		switch v.String() {
		case "image_url", "input_image", "image_file", "computer_screenshot":
			s.images++
		case "file", "input_file", "item_reference", "input_video":
			s.opaque = true
		}
	case "file_id", "file_ids", "file_data", "file_url":
		s.opaque = s.opaque || v.Type != gjson.Null
	case "image_url", "url":
		if u := v.String(); strings.HasPrefix(u, "data:") {
			s.data += int64(len(u))
		}
	case "input_audio":
		n := int64(len(v.Get("data").String()))
		s.audio += n
		s.data += n
	case "audio":
		// An assistant turn that refers to audio of an earlier answer.
		s.opaque = s.opaque || v.Get("id").Exists()
	}
}
