package provider

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// Text is a text in the body of a request, and where it stands.
type Text struct {
	Value string // what a reader of the body takes it for: without escapes, decoded

	start, end int // of its written form in the body
	form       textForm
	prefix     string // of a data URL, up to its comma
}

// textForm is how a text is written in a body.
type textForm uint8

const (
	quotedForm  textForm = iota // a JSON string, or a number
	encodedForm                 // a JSON string in base64
	plainForm                   // as it is, in a part of a form
)

// Unseen is the failure to see all the texts of a body: it says, for a person, what
// cannot be looked into.
type Unseen string

func (u Unseen) Error() string { return "the body holds " + string(u) }

// Texts finds the texts that a caller sends, wherever the body of the call has them:
// messages, instructions, prompts, definitions of tools, what tools were given and
// answered, documents that are text. It leaves out what stands for no text: names of
// models, roles and other words of the API, ids, pictures, sound and video, and the
// names of members. The error is Unseen if there may be text that it cannot read, or
// a *gateway.Error for a body that cannot be read at all.
func Texts(c *Call, contentType string, body []byte) ([]Text, error) {
	switch {
	case len(body) == 0:
		return nil, nil
	case c.Endpoint.Form:
		return formTexts(c.Endpoint, contentType, body)
	}
	if err := readable(body); err != nil {
		return nil, err
	}
	root := gjson.ParseBytes(body)
	var r textReader
	in := place{}
	if c.Custom != nil {
		in.free, r.foreign = true, true
		r.skip = skipped(root, c.Custom.Model)
	}
	err := r.value(root, in)
	return r.texts, err
}

// skipped is where the value at a location begins; 0, where none is, without one.
func skipped(root gjson.Result, path string) int {
	if path == "" || !root.IsObject() {
		return 0
	}
	return root.Get(path).Index
}

// Rewrite puts other values in the place of texts, those that differ, and leaves
// every other byte of the body as it is. values has one for each text.
func Rewrite(body []byte, texts []Text, values []string) []byte {
	out := make([]byte, 0, len(body))
	end := 0
	for i, t := range texts {
		if values[i] != t.Value {
			out = append(out, body[end:t.start]...)
			out = append(out, t.written(values[i])...)
			end = t.end
		}
	}
	return append(out, body[end:]...)
}

// written is a value in the form that the text has in the body.
func (t *Text) written(value string) []byte {
	switch t.form {
	case plainForm:
		return []byte(value)
	case encodedForm:
		value = t.prefix + base64.StdEncoding.EncodeToString([]byte(value))
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(value) // strings always encode
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// maxTextDepth bounds the walk: each level reads again what is below it.
const maxTextDepth = 64

// place is where in a body a value stands.
type place struct {
	name  string // of the member that it is the value of, or an element of
	under string // the same of the object that has the member
	depth int
	// free: below this anything may stand, and all of it is text: what a tool is
	// given, for one. Names mean nothing there.
	free bool
	// media: this is part of a picture, of sound or video.
	media bool
	// of is the object that has the member.
	of gjson.Result
}

// textReader gathers the texts of a JSON body.
type textReader struct {
	texts []Text
	// foreign: the API is not known. All its strings are text, its numbers are not.
	foreign bool
	skip    int // where a value begins that is no text; 0 for none
}

func (r *textReader) value(v gjson.Result, in place) error {
	switch {
	case in.depth > maxTextDepth:
		return Unseen("values that are nested too deep")
	case v.IsObject():
		return r.object(v, in)
	case v.IsArray():
		var err error
		in.depth++
		v.ForEach(func(_, e gjson.Result) bool {
			err = r.value(e, in)
			return err == nil
		})
		return err
	case v.Type == gjson.String:
		return r.text(v, in)
	case v.Type == gjson.Number:
		return r.number(v, in)
	}
	return nil
}

func (r *textReader) object(v gjson.Result, in place) error {
	var err error
	v.ForEach(func(k, e gjson.Result) bool {
		name := k.String()
		below := place{name: name, under: in.name, depth: in.depth + 1, of: v, free: in.free, media: in.media || sensoryMembers[name]}
		if !in.free {
			below.free = anything[name] && e.IsObject()
		}
		err = r.value(e, below)
		return err == nil
	})
	return err
}

func (r *textReader) text(v gjson.Result, in place) error {
	value := v.String()
	id := in.name == "user_id" && in.under == "metadata"
	if value == "" || !in.free && notText[in.name] || id || r.skip > 0 && v.Index == r.skip {
		return nil
	}
	t := Text{Value: value, start: v.Index, end: v.Index + len(v.Raw)}
	if !in.free {
		switch seen, err := t.decode(in); {
		case err != nil:
			return err
		case !seen:
			return nil
		}
	}
	r.texts = append(r.texts, t)
	return nil
}

// number takes a number for text where it is what a tool is given or answered. As
// input by itself it is a token, which cannot be read.
func (r *textReader) number(v gjson.Result, in place) error {
	switch {
	case in.free && !r.foreign:
		r.texts = append(r.texts, Text{Value: v.Raw, start: v.Index, end: v.Index + len(v.Raw)})
	case tokenMembers[in.name]:
		return Unseen("tokens in the place of text")
	}
	return nil
}

// decode looks into what is written in base64. It reports whether there is a text.
func (t *Text) decode(in place) (bool, error) {
	data, mime := t.Value, ""
	if rest, ok := strings.CutPrefix(t.Value, "data:"); ok {
		head, encoded, ok := strings.Cut(rest, ";base64,")
		if !ok || strings.ContainsAny(head, " \n\r\t") {
			return true, nil // a text that begins like one
		}
		t.prefix, data, mime = t.Value[:len(t.Value)-len(encoded)], encoded, head
	} else if !encodedAt(in, t.Value) {
		return true, nil
	} else if in.of.Get("type").String() == "redacted_thinking" {
		return false, nil // encrypted, and the provider's own
	} else {
		mime = declared(in.of)
	}
	plain, ok := unbase64(data)
	switch {
	case !ok:
		t.prefix = ""
		return true, nil // not what it says, so whatever it says
	case in.media || noText(mime):
		return false, nil
	case !isText(plain):
		return false, Unseen("a document in a format that cannot be read here (" + orElse(in.name, "data") + ")")
	}
	t.Value, t.form = string(plain), encodedForm
	return true, nil
}

// encodedAt reports whether the APIs have base64 at a place.
func encodedAt(in place, value string) bool {
	switch in.name {
	case "bytes", "file_data":
		return true
	case "data":
		kind := in.of.Get("type").String()
		return in.media || kind == "base64" || kind == "redacted_thinking" || declared(in.of) != "" && kind != "text"
	}
	return in.media && imageMembers[in.name] && len(value) > leastPicture
}

// leastPicture is shorter than any picture in base64: what is not above it is taken
// for a word.
const leastPicture = 64

// declared is the media type that an object gives for its data.
func declared(of gjson.Result) string {
	for _, name := range [...]string{"media_type", "mimeType", "mime_type"} {
		if v := of.Get(name); v.Type == gjson.String {
			return v.String()
		}
	}
	return ""
}

// noText reports whether a media type is that of a picture, of sound or of video.
func noText(mime string) bool {
	kind, _, _ := strings.Cut(strings.ToLower(mime), "/")
	return kind == "image" || kind == "audio" || kind == "video"
}

func isText(b []byte) bool { return utf8.Valid(b) && bytes.IndexByte(b, 0) < 0 }

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// unbase64 reads any of the alphabets, with or without padding.
func unbase64(s string) ([]byte, bool) {
	s = strings.TrimRight(s, "=")
	for _, e := range [...]*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if b, err := e.DecodeString(s); err == nil {
			return b, true
		}
	}
	return nil, false
}
