package admin

import (
	"context"
	"fmt"
	"strings"

	"tollgate/internal/gateway"
	"tollgate/internal/record"
)

// referrers are the records of one kind that refer to another record.
type referrers struct {
	kind string // in the plural
	ids  []string
}

// refer refuses to delete what others refer to, and says who they are; nil if there
// are none. Lists may be a second behind, so that a reference made at this very
// moment can slip through: whoever reads it has to do with what is not there.
func refer(what string, by ...referrers) error {
	var names []string
	for _, r := range by {
		if len(r.ids) > 0 {
			names = append(names, "the "+r.kind+" "+some(r.ids))
		}
	}
	if len(names) == 0 {
		return nil
	}
	return &gateway.Error{Kind: gateway.Conflict,
		Message: fmt.Sprintf("the %s is used by %s", what, strings.Join(names, " and by "))}
}

// recordsWith is the records that a condition holds for.
func recordsWith[T any](ctx context.Context, of record.Of[T], holds func(*T) bool) (ids []string, err error) {
	list, _, err := of.List(ctx, record.Page{})
	if err != nil {
		return nil, stored(err, "the list")
	}
	for i := range list {
		if holds(&list[i]) {
			ids = append(ids, of.Head(&list[i]).ID)
		}
	}
	return ids, nil
}

// some lists the first of many.
func some(ids []string) string {
	const most = 20
	if len(ids) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(ids[:most], ", "), len(ids)-most)
	}
	return strings.Join(ids, ", ")
}
