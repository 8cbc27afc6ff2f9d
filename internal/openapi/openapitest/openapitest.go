// Package openapitest checks tests' requests and answers against the OpenAPI document.
package openapitest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"tollgate/internal/openapi"
)

// Document is the document, read. It is safe for concurrent use.
type Document struct {
	root       map[string]any
	operations []Operation

	mu       sync.Mutex // guards compiler and schemas
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema // by pointer
}

// Operation is one call that the document has.
type Operation struct {
	Method, Path string // "GET", "/api/tags/{tag}"
	Tags         []string

	pointer string
	answers map[string]any // response objects or references to them, by status
}

const resource = "file:///openapi.json"

// Read returns the document that is served.
func Read() (*Document, error) {
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(openapi.Document))
	if err != nil {
		return nil, err
	}
	root, ok := parsed.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the document is no object")
	}
	d := &Document{root: root, compiler: jsonschema.NewCompiler(), schemas: make(map[string]*jsonschema.Schema)}
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	if err := d.compiler.AddResource(resource, root); err != nil {
		return nil, err
	}
	for path, item := range object(root["paths"]) {
		for method, op := range object(item) {
			o := object(op)
			found := Operation{Method: strings.ToUpper(method), Path: path,
				pointer: pointer("paths", path, method), answers: object(o["responses"])}
			list, _ := o["tags"].([]any)
			for _, tag := range list {
				found.Tags = append(found.Tags, fmt.Sprint(tag))
			}
			d.operations = append(d.operations, found)
		}
	}
	return d, nil
}

// Operations is all calls that the document has, in no order.
func (d *Document) Operations() []Operation { return d.operations }

// Find is the operation that a request is for. A path without parameters wins over
// one with.
func (d *Document) Find(method, escapedPath string) (found Operation, ok bool) {
	escapedPath = strings.TrimSuffix(escapedPath, "/")
	for _, o := range d.operations {
		if o.Method == method && matches(o.Path, escapedPath) && (!ok || !strings.Contains(o.Path, "{")) {
			found, ok = o, true
		}
	}
	return found, ok
}

func matches(template, path string) bool {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if plain, err := url.PathUnescape(got[i]); err != nil || want[i] != got[i] && (want[i] == "" || want[i][0] != '{' || plain == "") {
			return false
		}
	}
	return true
}

// CheckAnswer tells what of an answer the operation does not have: its status, its
// type, or what is in its body.
func (d *Document) CheckAnswer(o Operation, status int, contentType string, body []byte) error {
	answer, ok := o.answers[strconv.Itoa(status)]
	if !ok {
		return fmt.Errorf("%s %s: the status %d is not in the document", o.Method, o.Path, status)
	}
	at := o.pointer + pointer("responses", strconv.Itoa(status))
	if ref, ok := object(answer)["$ref"].(string); ok {
		at = strings.TrimPrefix(ref, "#")
		answer = d.at(at)
	}
	content := object(object(answer)["content"])
	if content == nil {
		if len(body) > 0 {
			return fmt.Errorf("%s %s: %d has no body in the document, but has %.200s", o.Method, o.Path, status, body)
		}
		return nil
	}
	if media, _, _ := strings.Cut(contentType, ";"); media != "application/json" {
		return fmt.Errorf("%s %s: %d is of type %q", o.Method, o.Path, status, contentType)
	}
	if err := d.Check(at+pointer("content", "application/json", "schema"), body); err != nil {
		return fmt.Errorf("%s %s: %d %.300s: %w", o.Method, o.Path, status, body, err)
	}
	return nil
}

// Check tells how a JSON text differs from the schema at a pointer into the document.
func (d *Document) Check(at string, text []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	schema, err := d.schema(at)
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

func (d *Document) schema(at string) (*jsonschema.Schema, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s, ok := d.schemas[at]; ok {
		return s, nil
	}
	s, err := d.compiler.Compile(resource + "#" + at)
	if err == nil {
		d.schemas[at] = s
	}
	return s, err
}

// CheckExamples compares every example with the schema beside it, and returns how many
// there are and what is wrong. Every body needs an example but an empty schema's.
func (d *Document) CheckExamples() (examples int, faults []error) {
	d.walk(d.root, "", func(at string, media map[string]any) {
		example, ok := media["example"]
		if !ok {
			if plain := object(media["schema"]); len(plain) > 1 || plain["$ref"] != nil {
				faults = append(faults, fmt.Errorf("%s has no example", at))
			}
			return
		}
		examples++
		text, err := json.Marshal(example)
		if err == nil {
			err = d.Check(at+"/schema", text)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", at, err))
		}
	})
	return examples, faults
}

// walk visits every media type object.
func (d *Document) walk(v any, at string, visit func(at string, media map[string]any)) {
	for name, member := range object(v) {
		below := at + pointer(name)
		if name == "content" {
			for kind, media := range object(member) {
				visit(below+pointer(kind), object(media))
			}
			continue
		}
		d.walk(member, below, visit)
	}
}

// Member is the part of the document at a pointer, nil if there is none.
func (d *Document) Member(parts ...string) map[string]any { return object(d.at(pointer(parts...))) }

func (d *Document) at(pointer string) any {
	var v any = d.root
	for part := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		name, err := url.PathUnescape(part)
		if err != nil {
			return nil
		}
		v = object(v)[strings.NewReplacer("~1", "/", "~0", "~").Replace(name)]
	}
	return v
}

// pointer is a JSON pointer as it stands in a URL.
func pointer(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(p)))
	}
	return b.String()
}

func object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}
