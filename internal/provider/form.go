package provider

import (
	"bytes"
	"errors"
	"io"
	"math"
	"mime"
	"mime/multipart"
	"regexp"
	"strconv"
	"strings"

	"tollgate/internal/gateway"
)

// maxField bounds a form field that is read; files are only counted.
const maxField = 64 << 10

// Shortest plausible bit rate of uploaded audio, 4 kbit/s: it turns the size of a
// file into the longest it can last.
const audioBytesPerSecond = 500

// audioTokensPerSecond of the transcription models (OpenAI prices about 1,000
// tokens a minute), rounded up.
const audioTokensPerSecond = 20

// parseForm reads the fields of a multipart body and bounds the call by them. The
// body itself is relayed as it came.
func parseForm(c *Call, contentType string) error {
	boundary, err := formBoundary(contentType)
	if err != nil {
		return err
	}
	if !framed(c.Body, boundary) {
		return invalid("invalid_form", "", "The multipart body must begin with its boundary, end with it once, and hold nothing beside its parts.")
	}
	f, err := readForm(multipart.NewReader(bytes.NewReader(c.Body), boundary))
	if err != nil {
		return err
	}
	if c.Endpoint.File && f.named["file"] == 0 {
		return invalid("missing_file", "file", "The form has no part named \"file\".")
	}
	c.Model, c.User = f.values["model"], f.values["user"]
	copies, err := f.number("n")
	if err != nil {
		return err
	}
	partial, err := f.number("partial_images")
	if err != nil {
		return err
	}
	c.Stream, _ = strconv.ParseBool(f.values["stream"])
	b := &c.Bound
	b.Copies, b.MinOutput = max(copies, 1), 1
	switch c.Endpoint.Metering {
	case Image:
		b.Images = f.files
		b.Input = f.text + f.files*tokensPerImage
		b.image(f.values["size"], f.values["quality"], partial)
	case Transcription:
		seconds := f.fileBytes/audioBytesPerSecond + 1
		b.Extra.Counts[gateway.AudioMillis] = seconds * 1000
		b.Media = true
		b.Input = seconds*audioTokensPerSecond + f.text
		b.Output = seconds * audioTokensPerSecond // speech is at most as dense as its own audio tokens
	}
	return nil
}

// formBoundary reads the boundary from the Content-Type. Parameters that no client
// sends are refused: readers differ in how they take them, and a body means
// something else with another boundary.
func formBoundary(contentType string) (string, error) {
	kind, params, err := mime.ParseMediaType(contentType)
	boundary := params["boundary"]
	delete(params, "boundary")
	delete(params, "charset")
	if err != nil || kind != "multipart/form-data" || boundary == "" || len(params) > 0 || strings.Contains(contentType, "*") {
		return "", invalid("invalid_content_type", "", "This endpoint takes multipart/form-data with a boundary.")
	}
	return boundary, nil
}

// framed reports whether the parts are all there is of the body. Text before the
// first boundary, behind the last, or a second last one is read differently by
// different parsers.
func framed(body []byte, boundary string) bool {
	first, last := []byte("--"+boundary+"\r\n"), []byte("\r\n--"+boundary+"--")
	return bytes.HasPrefix(body, first) &&
		bytes.HasSuffix(bytes.TrimRight(body, " \t\r\n"), last) && bytes.Count(body, last) == 1
}

// form is what was read of a multipart body.
type form struct {
	values    map[string]string
	named     map[string]int
	files     int64
	fileBytes int64
	text      int64 // bytes of all fields that are no files
}

// number is a field that must be a number where it is present, rounded up.
func (f *form) number(name string) (int64, error) {
	s := f.values[name]
	if s == "" {
		return 0, nil
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || strings.Trim(s, "0123456789.eE+-") != "" { // no NaN, no hexadecimal, no underscores
		return 0, invalid("invalid_type", name, "The form field %q must be a number.", name)
	}
	return int64(math.Ceil(min(max(v, 0), 1<<20))), nil
}

// formFields are read; the same field twice is refused, as with JSON members.
var formFields = set("model", "user", "stream", "n", "size", "quality", "partial_images", "response_format")

func readForm(r *multipart.Reader) (*form, error) {
	f := &form{values: map[string]string{}, named: map[string]int{}}
	for parts := 0; ; parts++ {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) && parts > 0 {
			return f, nil
		}
		if err != nil || parts > 1000 {
			return nil, invalid("invalid_form", "", "The multipart body cannot be read.")
		}
		if err := f.add(p); err != nil {
			return nil, err
		}
	}
}

func (f *form) add(p *multipart.Part) error {
	name, file, err := disposition(p)
	if err != nil {
		return err
	}
	f.named[name]++
	if formFields[name] {
		return f.field(name, file, p)
	}
	n, err := io.Copy(io.Discard, p)
	if err != nil {
		return invalid("invalid_form", name, "The multipart body ends in the middle of a part.")
	}
	if !file && name != "file" && name != "image" && name != "mask" {
		f.text += n
		return nil
	}
	f.files++
	f.fileBytes += n
	return nil
}

// field reads a part that is wanted.
func (f *form) field(name string, file bool, p *multipart.Part) error {
	if f.named[name] > 1 {
		return invalid("invalid_form", name, "The form has the field %q more than once.", name)
	}
	if file {
		return invalid("invalid_form", name, "The form field %q must not be a file.", name)
	}
	v, err := io.ReadAll(io.LimitReader(p, maxField+1))
	if err != nil || len(v) > maxField {
		return invalid("invalid_form", name, "The form field %q cannot be read or is too long.", name)
	}
	f.values[name] = string(v)
	f.text += int64(len(v))
	return nil
}

// otherName finds the "name*" parameter: another way to give a name, which some
// parsers do not know. quotedText is where it means nothing.
var (
	otherName  = regexp.MustCompile(`(?i)(^|[^a-z])name\*`)
	quotedText = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
)

// disposition is the name of a part and whether it is a file. Only names that
// every parser reads alike pass: a field that the gateway takes for something
// else than the provider does would be a way around what is checked here.
func disposition(p *multipart.Part) (name string, file bool, err error) {
	refused := invalid("invalid_form", "", "The form has a part without a plain name.")
	lines := p.Header["Content-Disposition"]
	if len(lines) != 1 {
		return "", false, refused
	}
	_, params, err := mime.ParseMediaType(lines[0])
	name = params["name"]
	plain := name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.[]") == ""
	if err != nil || !plain || otherName.MatchString(quotedText.ReplaceAllString(lines[0], "")) {
		return "", false, refused
	}
	switch strings.ToLower(p.Header.Get("Content-Transfer-Encoding")) {
	case "", "7bit", "8bit", "binary":
	default: // some parsers decode it, others do not
		return "", false, invalid("invalid_form", name, "The form field %q must not be encoded for transfer.", name)
	}
	_, file = params["filename"]
	return name, file, nil
}
