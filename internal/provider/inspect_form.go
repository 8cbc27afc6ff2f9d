package provider

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
)

// formTexts finds the texts of a multipart body: its fields, and those of its files
// that are text.
func formTexts(e *Endpoint, contentType string, body []byte) ([]Text, error) {
	boundary, err := formBoundary(contentType)
	if err != nil {
		return nil, err
	}
	var texts []Text
	at := 0 // where the part begins
	for r := multipart.NewReader(bytes.NewReader(body), boundary); ; {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return texts, nil
		}
		if err != nil {
			return nil, invalid("invalid_form", "", "The multipart body cannot be read.")
		}
		t, err := partText(p, body, at)
		if err != nil {
			return nil, err
		}
		at = t.end
		switch seen, err := e.reads(p, t.Value); {
		case err != nil:
			return nil, err
		case seen:
			texts = append(texts, t)
		}
	}
}

// partText finds the content of a part in the body. at is in front of the part.
func partText(p *multipart.Part, body []byte, at int) (Text, error) {
	content, err := io.ReadAll(p)
	if err != nil {
		return Text{}, invalid("invalid_form", "", "The multipart body ends in the middle of a part.")
	}
	head := bytes.Index(body[at:], []byte("\r\n\r\n"))
	start := at + head + 4
	// Not so if the header is broken into lines in another way than ours.
	if head < 0 || !bytes.HasPrefix(body[start:], content) {
		return Text{}, Unseen("a part of a form that cannot be found again")
	}
	return Text{Value: string(content), start: start, end: start + len(content), form: plainForm}, nil
}

// reads reports whether a part is a text to be inspected.
func (e *Endpoint) reads(p *multipart.Part, content string) (bool, error) {
	name, file, err := disposition(p)
	switch {
	case err != nil:
		return false, err
	case !file:
		return content != "" && !formFields[name] && !notText[name], nil
	case e.takesMedia():
		return false, nil
	case !isText([]byte(content)):
		return false, Unseen("a file in a format that cannot be read here")
	}
	return content != "", nil
}

// takesMedia reports whether the files of a form are pictures or sound.
func (e *Endpoint) takesMedia() bool {
	return e.Metering == Image || e.Metering == Transcription
}
