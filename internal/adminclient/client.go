// Package adminclient calls the admin API: a deployed one by requests signed with
// the usual AWS profile, or a local one with its password.
package adminclient

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxAnswer bounds an answer in bytes: Lambda's own limit is 6 MB.
const maxAnswer = 64 << 20

// Signer adds to a request what lets it in. The hash is the hex SHA-256 of its body.
type Signer interface {
	Sign(ctx context.Context, r *http.Request, bodyHash string) error
}

// Client calls one admin API.
type Client struct {
	Base   string // URL of the API, without "/api"
	Signer Signer // nil for none
	HTTP   *http.Client
}

// Error is an answer that is no success.
type Error struct {
	Status int
	Title  string
	Detail string
	// RequestID names the call in the function's log.
	RequestID string
}

func (e *Error) Error() string {
	text := e.Title
	if e.Detail != "" {
		text = e.Detail
	}
	if text == "" {
		text = http.StatusText(e.Status)
	}
	return fmt.Sprintf("%s (%d)", text, e.Status)
}

// Unreachable is an API that did not answer.
type Unreachable struct {
	Base string
	Err  error
}

func (e *Unreachable) Error() string { return fmt.Sprintf("%s does not answer: %v", e.Base, e.Err) }

func (e *Unreachable) Unwrap() error { return e.Err }

// Page is what an answer says of the rest of a list.
type Page struct{ Next string } // cursor of the next page, empty after the last

// Call sends body, if not nil, as JSON and decodes the answer into answer, if not
// nil. Its errors are *Error, *Unreachable and those of the signer.
func (c *Client) Call(ctx context.Context, method, path string, query url.Values, body, answer any) (Page, error) {
	r, err := c.request(ctx, method, path, query, body)
	if err != nil {
		return Page{}, err
	}
	client := c.HTTP
	if client == nil {
		client = &http.Client{Timeout: time.Minute}
	}
	res, err := client.Do(r)
	if err != nil {
		return Page{}, &Unreachable{c.Base, reason(err)}
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return Page{}, &Unreachable{c.Base, err}
	}
	if res.StatusCode < 200 || res.StatusCode >= 300 {
		return Page{}, failure(res, text)
	}
	if answer != nil {
		if err := json.Unmarshal(text, answer); err != nil {
			return Page{}, fmt.Errorf("%s: the answer to %s %s is not what the admin API answers: is this its URL? (%w)", c.Base, method, path, err)
		}
	}
	return Page{res.Header.Get("X-Next-Cursor")}, nil
}

// reason is the cause without the URL, which the caller names.
func reason(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

func (c *Client) request(ctx context.Context, method, path string, query url.Values, body any) (*http.Request, error) {
	var sent []byte
	if body != nil {
		var err error
		if sent, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	u := strings.TrimRight(c.Base, "/") + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, u, bytes.NewReader(sent))
	if err != nil {
		return nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("User-Agent", "tollgate-cli")
	if c.Signer != nil {
		sum := sha256.Sum256(sent)
		if err := c.Signer.Sign(ctx, r, hex.EncodeToString(sum[:])); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// failure reads the admin API's error body, or API Gateway's, which has only a
// message.
func failure(res *http.Response, text []byte) error {
	var b struct {
		Title, Detail, Message string
	}
	_ = json.Unmarshal(text, &b) // another body says nothing we could show
	e := &Error{Status: res.StatusCode, Title: b.Title, Detail: b.Detail, RequestID: res.Header.Get("X-Request-Id")}
	if e.Detail == "" {
		e.Detail = b.Message
	}
	return e
}

// Password lets a local admin API in by its header.
type Password string

// Sign implements Signer.
func (p Password) Sign(_ context.Context, r *http.Request, _ string) error {
	if p != "" {
		r.Header.Set("X-API-KEY", string(p))
	}
	return nil
}
