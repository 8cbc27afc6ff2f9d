package runtimeapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"
)

// Invoke hands the function an event of whatever kind, as an event source does, and
// returns what it answers. The function is one that takes such events: Config.Plain.
func (f *Function) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	c := newCall(uuid.NewString(), event, time.Now().Add(f.config.Timeout))
	go f.dispatch(c)
	select {
	case a := <-c.answer:
		if a.refused != "" {
			return nil, errors.New(a.refused)
		}
		return io.ReadAll(a.body)
	case <-ctx.Done():
		go c.discard()
		return nil, fmt.Errorf("invocation: %w", ctx.Err())
	}
}

// takePlain passes a response on as it is.
func (c *call) takePlain(r *http.Request) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, responseLimit+1))
	switch {
	case err != nil:
		return err
	case len(body) > responseLimit:
		return errors.New("response is larger than 6 MiB")
	}
	c.give(answer{status: http.StatusOK, body: bytes.NewReader(body)})
	return nil
}
