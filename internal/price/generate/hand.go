package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"tollgate/internal/price"
)

// handFile is what is kept by hand: corrections of rows from the lists, and
// rows that no list has.
type handFile struct {
	Comment   string                    `json:"comment"`
	Providers map[string]price.Provider `json:"providers"`
	Patches   []patch                   `json:"patches"`
	Rows      []price.Row               `json:"rows"`
}

// patch changes the rows of a provider whose names fit one of the patterns of
// path.Match. A pattern that fits nothing is an error, so that none grows stale.
type patch struct {
	Provider string    `json:"provider"`
	Match    []string  `json:"match"`
	Except   []string  `json:"except"`
	Drop     bool      `json:"drop"` // leave these names out
	Set      price.Row `json:"set"`
}

// addHand adds the rows, then applies the patches in order, so that a patch can
// reach rows of either kind.
func (b *builder) addHand(file string) (map[string]price.Provider, error) {
	hand, err := readHand(file)
	if err != nil {
		return nil, err
	}
	for _, r := range hand.Rows {
		b.addRow(r)
	}
	for i := range hand.Patches {
		if err := b.apply(&hand.Patches[i]); err != nil {
			return nil, fmt.Errorf("%s: patch %d: %w", file, i+1, err)
		}
	}
	return hand.Providers, nil
}

func readHand(file string) (*handFile, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	hand := new(handFile)
	if err := d.Decode(hand); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return hand, nil
}

// claudeOnBedrock gives Claude's rows on Bedrock the price of cache writes of an hour,
// which lists have for few of them: as at Anthropic it is twice that of input.
func (b *builder) claudeOnBedrock() {
	for k, r := range b.rows {
		if k.provider != "bedrock" || !strings.Contains(k.name, "claude") || r.CacheWrite == "" || r.CacheWriteLong != "" {
			continue
		}
		r.CacheWriteLong = product(r.Input, 2)
		r.ContextTiers = slices.Clone(r.ContextTiers)
		for i := range r.ContextTiers {
			r.ContextTiers[i].CacheWriteLong = product(r.ContextTiers[i].Input, 2)
		}
		r.Source += "; long write is 2x input"
	}
}

// addRow lays a row over what the lists have under each of its names.
func (b *builder) addRow(r price.Row) {
	add := func(name string, prefix bool) {
		k := key{r.Provider, prefix, strings.ToLower(name), r.From}
		row := r
		row.Exact, row.Prefix = nil, nil
		if have := b.rows[k]; have != nil {
			merged := *have
			overlay(&merged, &row, true)
			row = merged
		}
		b.put(k, name, row)
	}
	for _, name := range r.Exact {
		add(name, false)
	}
	for _, name := range r.Prefix {
		add(name, true)
	}
}

func (b *builder) apply(p *patch) error {
	for _, pattern := range p.Match {
		hits := 0
		for k, row := range b.rows {
			if k.provider != p.Provider || !fits(k.name, pattern) || fitsAny(k.name, p.Except) {
				continue
			}
			hits++
			if p.Drop {
				delete(b.rows, k)
				continue
			}
			overlay(row, &p.Set, true)
		}
		if hits == 0 {
			return fmt.Errorf("%q fits no row of %s", pattern, p.Provider)
		}
	}
	return nil
}

func fitsAny(name string, patterns []string) bool {
	for _, pattern := range patterns {
		if fits(name, pattern) {
			return true
		}
	}
	return false
}

// fits is path.Match, with names that contain a slash taken as one word.
func fits(name, pattern string) bool {
	flat := func(s string) string { return strings.ReplaceAll(s, "/", "\x00") }
	ok, err := path.Match(flat(pattern), flat(name))
	return ok && err == nil
}
