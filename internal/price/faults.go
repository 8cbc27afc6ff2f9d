package price

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
)

// Faults are the reasons why a table was refused, the first maxFaults of them.
// Each names the row, the model and the member at fault.
type Faults []string

// maxFaults is as many as a person wants to read about at once.
const maxFaults = 10

func (f Faults) Error() string { return "price table: " + strings.Join(f, "; ") }

// note adds a fault, and says once that there are more than fit.
func (f *Faults) note(err error) {
	switch {
	case len(*f) < maxFaults:
		*f = append(*f, err.Error())
	case len(*f) == maxFaults:
		*f = append(*f, "and more")
	}
}

// strict decodes one JSON value that must be all of data.
func strict(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the end")
	}
	return nil
}

// located finds the rows that could not be decoded, which encoding/json does not
// say. Decoding row by row costs half as much again, so it waits for an error.
func located(data []byte, err error) (faults Faults) {
	var file struct {
		Rows []json.RawMessage `json:"rows"`
	}
	if json.Unmarshal(data, &file) == nil {
		for i, raw := range file.Rows {
			var row Row
			if err := strict(raw, &row); err != nil {
				faults.note(row.wrap(i, inWords(err)))
			} else if _, err := row.compile(Provider{}); err != nil {
				faults.note(row.wrap(i, err))
			}
		}
	}
	if len(faults) == 0 {
		faults.note(inWords(err))
	}
	return faults
}

// inWords says what is wrong with a member in the words of JSON, not of Go.
func inWords(err error) error {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	member := strings.TrimPrefix(strings.ReplaceAll(wrong.Field, "TokenPrices.", ""), "rows.")
	switch {
	case member == "":
		return fmt.Errorf("is a %s, not an object", wrong.Value)
	case wrong.Type.Kind() == reflect.String:
		return fmt.Errorf(`%s: is a %s; a text such as "2.5" is expected`, member, wrong.Value)
	}
	return fmt.Errorf("%s: is a %s, which does not fit", member, wrong.Value)
}

// wrap says which row an error is about.
func (r *Row) wrap(index int, err error) error {
	name := "?"
	if names := slices.Concat(r.Exact, r.Prefix); len(names) > 0 {
		name = names[0]
	}
	return fmt.Errorf("row %d (%s %s): %w", index+1, r.Provider, name, err)
}
