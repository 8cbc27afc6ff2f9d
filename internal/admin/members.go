package admin

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
)

// ignored is a member that is the server's own. Callers send back what they were
// given, as they may with the peer; it is accepted and counts for nothing.
type ignored struct{}

// UnmarshalJSON takes any value.
func (*ignored) UnmarshalJSON([]byte) error { return nil }

// unknownMember refuses a body with a member that its type does not have: it would
// be a rule that somebody believes in and that does not hold. The body is known to
// fit otherwise.
func unknownMember(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(reflect.New(reflect.TypeOf(into).Elem()).Interface())
	if err == nil {
		return nil
	}
	name, ok := strings.CutPrefix(err.Error(), "json: unknown field ")
	if !ok {
		return nil // as before, without complaint
	}
	return invalid("there is no member %s here", clip(name))
}
