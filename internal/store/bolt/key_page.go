package bolt

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"

	"tollgate/internal/gateway"
	"tollgate/internal/record"
)

// KeysPage lists a page of the keys by their ids, and the cursor of the next page,
// empty after the last. A cursor that is none is a *gateway.Error of kind Invalid.
func (s *Store) KeysPage(ctx context.Context, page record.Page) (list []gateway.Key, next string, err error) {
	from, err := base64.RawURLEncoding.DecodeString(page.Cursor)
	if err != nil {
		return nil, "", &gateway.Error{Kind: gateway.Invalid, Code: "invalid_cursor", Param: "cursor",
			Message: "The cursor is not one that a list ended with."}
	}
	err = s.view(ctx, func(t *txn) error {
		cursor := t.tx.Bucket(bucketKeys).Cursor()
		id, b := cursor.Seek(from)
		if page.Cursor != "" && bytes.Equal(id, from) {
			id, b = cursor.Next()
		}
		for ; id != nil; id, b = cursor.Next() {
			if page.Limit > 0 && len(list) == page.Limit {
				next = base64.RawURLEncoding.EncodeToString([]byte(list[len(list)-1].ID))
				return nil
			}
			var k gateway.Key
			if err := json.Unmarshal(b, &k); err != nil {
				return broken("key "+string(id), err)
			}
			list = append(list, k)
		}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	return list, next, nil
}
