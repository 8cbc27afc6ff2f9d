package dynamo

import (
	"context"
	"encoding/base64"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/internal/gateway"
	"tollgate/internal/record"
)

// KeysPage lists a page of the keys, newest first, and the cursor of the next page,
// empty after the last. A change may take a second to show. A cursor that is none is
// a *gateway.Error of kind Invalid.
func (s *Store) KeysPage(ctx context.Context, page record.Page) (list []gateway.Key, next string, err error) {
	in, err := s.keysQuery(page)
	if err != nil {
		return nil, "", err
	}
	last := ""
	err = s.query(ctx, in, func(it item) error {
		if page.Limit > 0 && len(list) == page.Limit {
			next = base64.RawURLEncoding.EncodeToString([]byte(last))
			return errEnough
		}
		last = text(it, attrKindSort)
		k, err := decode[gateway.Key](it)
		list = append(list, k)
		return err
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, "", err
	}
	return list, next, nil
}

func (s *Store) keysQuery(page record.Page) (*dynamodb.QueryInput, error) {
	x := newExpression()
	condition := x.name(attrKind) + " = " + x.value(str(kindKey))
	if page.Cursor != "" {
		after, err := base64.RawURLEncoding.DecodeString(page.Cursor)
		if err != nil || len(after) < 2 {
			return nil, &gateway.Error{Kind: gateway.Invalid, Code: "invalid_cursor", Param: "cursor",
				Message: "The cursor is not one that a list ended with."}
		}
		condition += " AND " + x.name(attrKindSort) + " < " + x.value(str(valid(string(after))))
	}
	index, forward := indexKind, false
	in := &dynamodb.QueryInput{
		TableName:                 &s.gateway,
		IndexName:                 &index,
		ScanIndexForward:          &forward,
		KeyConditionExpression:    &condition,
		ExpressionAttributeNames:  x.names,
		ExpressionAttributeValues: x.values,
	}
	if page.Limit > 0 {
		most := int32(min(page.Limit, 1000)) + 1 // one more shows whether there is another page
		in.Limit = &most
	}
	return in, nil
}
