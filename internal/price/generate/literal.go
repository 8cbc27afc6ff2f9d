package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// parseLiteral reads the JavaScript literal that text begins with and ignores
// what follows. It knows objects, arrays, strings in all three quotes (without
// substitutions), numbers, true, false, null, !0 and !1: what a bundler makes of
// plain data. The value has the types of encoding/json.
func parseLiteral(text string) (any, error) {
	p := literal{text: text}
	v, err := p.value(0)
	if err != nil {
		return nil, fmt.Errorf("literal at byte %d: %w", p.at, err)
	}
	return v, nil
}

type literal struct {
	text string
	at   int
}

var (
	errEnd   = errors.New("unexpected end")
	errDepth = errors.New("nested too deeply")
	errValue = errors.New("no value known here")
)

func (p *literal) space() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

// next skips space and takes c if it is there.
func (p *literal) next(c byte) bool {
	p.space()
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *literal) value(depth int) (any, error) {
	p.space()
	if depth > 100 {
		return nil, errDepth
	}
	if p.at >= len(p.text) {
		return nil, errEnd
	}
	switch c := p.text[p.at]; {
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '"' || c == '\'' || c == '`':
		return p.str()
	case c == '.' || c == '-' || c >= '0' && c <= '9':
		return p.number()
	}
	for word, v := range map[string]any{"true": true, "false": false, "null": nil, "!0": true, "!1": false} {
		if strings.HasPrefix(p.text[p.at:], word) {
			p.at += len(word)
			return v, nil
		}
	}
	return nil, errValue
}

func (p *literal) object(depth int) (any, error) {
	p.at++
	members := make(map[string]any)
	for {
		if p.next('}') {
			return members, nil
		}
		name, err := p.name()
		if err != nil {
			return nil, err
		}
		if !p.next(':') {
			return nil, errors.New("a colon is missing")
		}
		if members[name], err = p.value(depth + 1); err != nil {
			return nil, err
		}
		if !p.next(',') && !p.ahead('}') {
			return nil, errors.New("a comma is missing")
		}
	}
}

func (p *literal) array(depth int) (any, error) {
	p.at++
	items := []any{}
	for {
		if p.next(']') {
			return items, nil
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		items = append(items, v)
		if !p.next(',') && !p.ahead(']') {
			return nil, errors.New("a comma is missing")
		}
	}
}

func (p *literal) ahead(c byte) bool {
	p.space()
	return p.at < len(p.text) && p.text[p.at] == c
}

// name reads a member's name, quoted or not.
func (p *literal) name() (string, error) {
	p.space()
	if p.at < len(p.text) && (p.text[p.at] == '"' || p.text[p.at] == '\'') {
		return p.str()
	}
	from := p.at
	for p.at < len(p.text) && isWord(p.text[p.at]) {
		p.at++
	}
	if from == p.at {
		return "", errors.New("a name is missing")
	}
	return p.text[from:p.at], nil
}

func isWord(c byte) bool {
	return c == '_' || c == '$' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func (p *literal) number() (any, error) {
	from := p.at
	for p.at < len(p.text) && strings.IndexByte("+-.0123456789eE", p.text[p.at]) >= 0 {
		p.at++
	}
	f, err := strconv.ParseFloat(p.text[from:p.at], 64)
	if err != nil {
		return nil, fmt.Errorf("%q is no number", p.text[from:p.at])
	}
	return f, nil
}

func (p *literal) str() (string, error) {
	quote := p.text[p.at]
	p.at++
	var b strings.Builder
	for p.at < len(p.text) {
		c := p.text[p.at]
		p.at++
		switch {
		case c == quote:
			return b.String(), nil
		case c == '$' && quote == '`' && p.at < len(p.text) && p.text[p.at] == '{':
			return "", errors.New("a substitution is no plain data")
		case c == '\\':
			if err := p.escape(&b); err != nil {
				return "", err
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", errEnd
}

func (p *literal) escape(b *strings.Builder) error {
	if p.at >= len(p.text) {
		return errEnd
	}
	c := p.text[p.at]
	p.at++
	if at := strings.IndexByte("ntrbfv0", c); at >= 0 {
		b.WriteByte("\n\t\r\b\f\v\x00"[at])
		return nil
	}
	switch c {
	case 'x':
		return p.hex(b, 2)
	case 'u':
		return p.hex(b, 4)
	default:
		b.WriteByte(c) // quotes, backslash, slash, and $ stand for themselves
	}
	return nil
}

func (p *literal) hex(b *strings.Builder, digits int) error {
	if p.at+digits > len(p.text) {
		return errEnd
	}
	n, err := strconv.ParseUint(p.text[p.at:p.at+digits], 16, 32)
	if err != nil {
		return errors.New("an escape is no hexadecimal number")
	}
	p.at += digits
	b.Write(utf8.AppendRune(nil, rune(n)))
	return nil
}
