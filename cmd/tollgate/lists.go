package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// pages is a whole list, which the API answers in pages: as a bare list with the
// cursor in a header, or as an object with both.
func (p *program) pages(ctx context.Context, path string, query url.Values) ([]row, error) {
	all := []row{}
	asked := url.Values{}
	for name, values := range query {
		asked[name] = values
	}
	for {
		var answer json.RawMessage
		next, err := p.page(ctx, http.MethodGet, path, asked, nil, &answer)
		if err != nil {
			return nil, err
		}
		var page listAnswer
		if err := json.Unmarshal(answer, &page); err != nil {
			return nil, err
		}
		all = append(all, page.rows...)
		if page.cursor != "" {
			next = page.cursor
		}
		if next == "" {
			return all, nil
		}
		asked.Set("cursor", next)
	}
}

// listAnswer is a bare list, or an object with the list and a cursor.
type listAnswer struct {
	rows   []row
	cursor string
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *listAnswer) UnmarshalJSON(b []byte) error {
	if strings.HasPrefix(string(b), "[") {
		return json.Unmarshal(b, &a.rows)
	}
	var object struct {
		Entries []row
		Cursor  string
	}
	err := json.Unmarshal(b, &object)
	a.rows, a.cursor = object.Entries, object.Cursor
	return err
}

// readPaths reads METHOD:PATTERN.
func readPaths(texts []string) ([]map[string]string, error) {
	paths := []map[string]string{}
	for _, text := range texts {
		method, pattern, ok := strings.Cut(text, ":")
		if !ok || !strings.HasPrefix(pattern, "/") {
			return nil, usage("--path %s: it is a method with a pattern, such as POST:/api/providers/openai/v1/chat/completions", text)
		}
		paths = append(paths, map[string]string{"method": strings.ToUpper(method), "path": pattern})
	}
	return paths, nil
}
