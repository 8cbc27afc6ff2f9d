package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"tollgate/internal/price"
)

// key tells rows apart while they are collected: one name each.
type key struct {
	provider string
	prefix   bool
	name     string // in lower case
	from     string
}

// builder collects rows, one for each name. Sources are added in falling order
// of trust, but for rows by hand, which come last and replace what is there.
type builder struct {
	log  io.Writer
	rows map[key]*price.Row

	imports bool // a list is taken as it is, without rows.json
}

// put adds a row under one name, in the spelling given.
func (b *builder) put(k key, name string, r price.Row) {
	r.Provider, r.From = k.provider, k.from
	r.Exact, r.Prefix = []string{name}, nil
	if k.prefix {
		r.Exact, r.Prefix = nil, []string{name}
	}
	b.rows[k] = &r
}

// fill completes a row with what another source knows beside it. Its token
// prices are taken only where both name the same price for input and output:
// otherwise they belong to another price list.
func fill(r, from *price.Row) {
	r.Context = max(r.Context, from.Context)
	if r.MaxOutput == 0 {
		r.MaxOutput = from.MaxOutput
	}
	if !samePrices(r, from) {
		return
	}
	prices := *from
	prices.Exact, prices.Prefix, prices.From, prices.Source = nil, nil, "", ""
	overlay(r, &prices, false)
	switch {
	case strings.Contains(from.Source, r.Source):
		r.Source = from.Source
	case !strings.Contains(r.Source, from.Source):
		r.Source += "; " + from.Source
	}
}

func samePrices(a, b *price.Row) bool { return a.Input == b.Input && a.Output == b.Output }

// overlay copies the fields that src states onto dst; those that dst has already
// are kept unless replace is set. Multipliers are merged one by one.
func overlay(dst, src *price.Row, replace bool) {
	d, s := reflect.ValueOf(dst).Elem(), reflect.ValueOf(src).Elem()
	for i := range d.NumField() {
		switch d.Type().Field(i).Name {
		case "TokenPrices":
			for j := range d.Field(i).NumField() {
				overlayField(d.Field(i).Field(j), s.Field(i).Field(j), replace)
			}
		case "Multipliers":
			below, above := src.Multipliers, dst.Multipliers
			if replace {
				below, above = above, below
			}
			// A map of its own: rows made from one another must not share it.
			merged := make(map[string]string)
			maps.Copy(merged, below)
			maps.Copy(merged, above)
			dst.Multipliers = merged
		default:
			overlayField(d.Field(i), s.Field(i), replace)
		}
	}
}

func overlayField(dst, src reflect.Value, replace bool) {
	if !src.IsZero() && (replace || dst.IsZero()) {
		dst.Set(src)
	}
}

// grouped joins rows that say the same under several names and sorts them.
func (b *builder) grouped() []price.Row {
	same := make(map[string]*price.Row)
	for _, k := range slices.SortedFunc(maps.Keys(b.rows), compareKeys) {
		r := *b.rows[k]
		if n := len(r.ContextTiers); n > 0 && r.ContextTiers[n-1].Above >= r.Context {
			r.Context = 0 // a list that prices longer requests knows better than its own limit
		}
		names, prefixes := r.Exact, r.Prefix
		r.Exact, r.Prefix = nil, nil
		text, err := json.Marshal(r)
		if err != nil {
			panic(err) // strings and numbers only
		}
		if have := same[string(text)]; have != nil {
			have.Exact = append(have.Exact, names...)
			have.Prefix = append(have.Prefix, prefixes...)
			continue
		}
		r.Exact, r.Prefix = slices.Clone(names), slices.Clone(prefixes)
		same[string(text)] = &r
	}
	var rows []price.Row
	for _, r := range same {
		rows = append(rows, *r)
	}
	first := func(r price.Row) string { return strings.ToLower(append(slices.Clone(r.Exact), r.Prefix...)[0]) }
	slices.SortFunc(rows, func(x, y price.Row) int {
		return cmp.Or(strings.Compare(x.Provider, y.Provider), strings.Compare(first(x), first(y)),
			len(y.Exact)-len(x.Exact), strings.Compare(x.From, y.From))
	})
	return rows
}

func compareKeys(x, y key) int {
	byKind := 0
	if x.prefix != y.prefix {
		byKind = 1
		if y.prefix {
			byKind = -1
		}
	}
	return cmp.Or(strings.Compare(x.provider, y.provider), byKind,
		strings.Compare(x.name, y.name), strings.Compare(x.from, y.from))
}

// render writes the table with one row on each line.
func render(file *price.File) ([]byte, error) {
	var w bytes.Buffer
	providers, err := marshal(file.Providers)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(&w, "{\n\"version\": %q,\n\"providers\": %s,\n\"rows\": [\n", file.Version, providers)
	for i := range file.Rows {
		line, err := marshal(file.Rows[i])
		if err != nil {
			return nil, err
		}
		if i > 0 {
			w.WriteString(",\n")
		}
		w.Write(line)
	}
	w.WriteString("\n]\n}\n")
	return w.Bytes(), nil
}

// marshal is json.Marshal that leaves < and > readable.
func marshal(v any) ([]byte, error) {
	var w bytes.Buffer
	e := json.NewEncoder(&w)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimRight(w.Bytes(), "\n"), err
}

// usd writes a list price as a decimal string. The lists hold floats; nine
// decimals are more than any of them means and hide the noise of a sum.
func usd(f float64) string {
	return strconv.FormatFloat(math.Round(f*1e9)/1e9, 'f', -1, 64)
}

// usdOrNone is usd where the list writes 0 for "no such price".
func usdOrNone(f float64) string {
	if f == 0 {
		return ""
	}
	return usd(f)
}
