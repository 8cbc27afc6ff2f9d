package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"tollgate/internal/gateway"
)

// decode reads the request's body, one JSON value, into a struct. Names match in
// any case, of repeated members the last counts, and null leaves a member as it is:
// so does the peer. Members that the struct does not have are refused.
func decode(r *http.Request, into any) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return &gateway.Error{Kind: gateway.TooLarge, Code: badBody, Err: err,
				Message: "the body is larger than " + strconv.FormatInt(tooLarge.Limit, 10) + " bytes"}
		}
		return &gateway.Error{Kind: gateway.Invalid, Code: badBody, Message: "the body could not be read", Err: err}
	}
	if err := json.Unmarshal(body, into); err != nil {
		return &gateway.Error{Kind: gateway.Invalid, Code: badJSON, Message: jsonFault(err), Err: err}
	}
	return unknownMember(body, into)
}

// jsonFault says what is wrong with a body in the words of JSON, not of Go.
func jsonFault(err error) string {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return err.Error() // a syntax error, with what is at fault
	}
	member := wrong.Field
	if member == "" {
		member = "the body"
	}
	got, _, _ := strings.Cut(wrong.Value, " ") // "number 1.5" is a number
	return member + ": expected " + expected(wrong.Type) + ", got " + got
}

// expected describes the JSON that a type takes.
func expected(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[number]():
		return "a number"
	case reflect.TypeFor[dollars]():
		return "a number of dollars (0, or 0.000000001 to 1000000000)"
	case reflect.TypeFor[price]():
		return "a price in dollars per 1000 tokens (0, or 0.000000000001 to 1000000)"
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int64:
		return "a whole number"
	case reflect.Slice:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "an object"
	}
	return "a number"
}

// dollars is an amount of money, in JSON a number of USD.
type dollars gateway.NanoUSD

// UnmarshalJSON reads the decimal text itself: a float would have lost digits.
func (d *dollars) UnmarshalJSON(text []byte) error {
	n, err := gateway.ParseUSD(string(text))
	if err != nil || !isNumber(text) {
		return wrongType[dollars](text)
	}
	*d = dollars(n)
	return nil
}

// price is in nano-dollars per million tokens, in JSON a number of USD per 1000
// tokens. A trillionth of a dollar per 1000 tokens is the finest that it holds.
type price int64

// UnmarshalJSON moves the decimal point by three places, in the text, and leaves
// the rest to ParseUSD: dollars per million tokens are then exact.
func (p *price) UnmarshalJSON(text []byte) error {
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !isNumber(text) {
		return wrongType[price](text)
	}
	digits, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, 64), "e")
	e, _ := strconv.Atoi(exponent)
	n, err := gateway.ParseUSD(digits + "e" + strconv.Itoa(e+3))
	if err != nil {
		return wrongType[price](text)
	}
	*p = price(n)
	return nil
}

// MarshalJSON gives back the number that was sent: an integer divided by a power
// of ten is the float nearest to the decimal.
func (p price) MarshalJSON() ([]byte, error) {
	return json.Marshal(float64(p) / 1e12)
}

// number is a JSON number whose meaning depends on other members.
type number string

// UnmarshalJSON keeps the text. (json.Number would take a string too.)
func (n *number) UnmarshalJSON(text []byte) error {
	if !isNumber(text) {
		return wrongType[number](text)
	}
	*n = number(text)
	return nil
}

// isNumber tells numbers from the other valid JSON values.
func isNumber(text []byte) bool {
	return len(text) > 0 && (text[0] == '-' || '0' <= text[0] && text[0] <= '9')
}

// wrongType is the error to which encoding/json adds the member's name.
func wrongType[T any](text []byte) error {
	value := "number"
	switch {
	case bytes.HasPrefix(text, []byte(`"`)):
		value = "string"
	case bytes.HasPrefix(text, []byte("{")):
		value = "object"
	case bytes.HasPrefix(text, []byte("[")):
		value = "array"
	case bytes.Equal(text, []byte("null")):
		value = "null"
	case !isNumber(text):
		value = "bool"
	}
	return &json.UnmarshalTypeError{Value: value, Type: reflect.TypeFor[T]()}
}
