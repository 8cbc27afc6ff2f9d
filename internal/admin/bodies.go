package admin

import (
	"context"
	"log/slog"

	"tollgate/internal/gateway"
)

// openBodies puts the events' bodies in clear in place of the sealed ones. One that
// does not open, because it was changed or its key is gone, is left out and logged;
// a key service that does not answer is an error, or the list would look as if
// nothing had been recorded.
func (a *api) openBodies(ctx context.Context, events []gateway.Event) error {
	for i := range events {
		e := &events[i]
		if !e.Sealed {
			continue
		}
		for _, b := range []struct {
			body    *[]byte
			purpose string
		}{{&e.Request, e.RequestPurpose()}, {&e.Response, e.ResponsePurpose()}} {
			if len(*b.body) == 0 {
				continue
			}
			plain, err := a.bodies.Open(ctx, *b.body, b.purpose)
			if gateway.KindOf(err) == gateway.Unavailable && err != nil {
				return boxFault(err)
			}
			if err != nil {
				a.log.LogAttrs(ctx, slog.LevelError, "body of an event does not open",
					slog.String("event", e.ID), slog.Any("error", err))
			}
			*b.body = plain
		}
	}
	return nil
}
