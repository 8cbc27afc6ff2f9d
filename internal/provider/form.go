package provider

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"strconv"

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
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "multipart/form-data" || params["boundary"] == "" {
		return invalid("invalid_content_type", "", "This endpoint takes multipart/form-data with a boundary.")
	}
	f, err := readForm(multipart.NewReader(bytes.NewReader(c.Body), params["boundary"]))
	if err != nil {
		return err
	}
	if c.Endpoint.File && f.named["file"] == 0 {
		return invalid("missing_file", "file", "The form has no part named \"file\".")
	}
	c.Model, c.User = f.values["model"], f.values["user"]
	c.Stream = f.values["stream"] == "true" || f.values["stream"] == "1"
	b := &c.Bound
	b.Copies, b.MinOutput = max(f.number("n"), 1), 1
	switch c.Endpoint.Metering {
	case Image:
		b.Images = f.files
		b.Input = f.text + f.files*tokensPerImage
		b.image(f.values["size"], f.values["quality"], f.number("partial_images"))
	case Transcription:
		seconds := f.fileBytes/audioBytesPerSecond + 1
		b.Extra.Counts[gateway.AudioMillis] = seconds * 1000
		b.Media = true
		b.Input = seconds*audioTokensPerSecond + f.text
		b.Output = seconds * audioTokensPerSecond // speech is at most as dense as its own audio tokens
	}
	return nil
}

// form is what was read of a multipart body.
type form struct {
	values    map[string]string
	named     map[string]int
	files     int64
	fileBytes int64
	text      int64 // bytes of all fields that are no files
}

func (f *form) number(name string) int64 {
	v, err := strconv.ParseFloat(f.values[name], 64)
	if err != nil || !(v > 0) {
		return 0
	}
	return int64(min(v, 1<<20) + 0.999999)
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
	name := p.FormName()
	f.named[name]++
	if p.FileName() != "" || !formFields[name] {
		n, err := io.Copy(io.Discard, p)
		if err != nil {
			return invalid("invalid_form", name, "The multipart body ends in the middle of a part.")
		}
		if p.FileName() == "" && name != "file" && name != "image" && name != "mask" {
			f.text += n
			return nil
		}
		f.files++
		f.fileBytes += n
		return nil
	}
	if f.named[name] > 1 {
		return invalid("invalid_form", name, "The form has the field %q more than once.", name)
	}
	v, err := io.ReadAll(io.LimitReader(p, maxField+1))
	if err != nil || len(v) > maxField {
		return invalid("invalid_form", name, "The form field %q cannot be read or is too long.", name)
	}
	f.values[name] = string(v)
	f.text += int64(len(v))
	return nil
}
