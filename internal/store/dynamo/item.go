package dynamo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// item is an item of a table, or the values of an expression.
type item = map[string]types.AttributeValue

// Attribute names that several files use.
const (
	attrPK      = "pk"
	attrSK      = "sk"
	attrDoc     = "doc"     // the record as JSON
	attrVersion = "version" // of the record
	attrTTL     = "ttl"     // epoch seconds; DynamoDB removes the item some days later
)

func str(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func num(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

// address is the primary key of an item.
func address(pk, sk string) item { return item{attrPK: str(pk), attrSK: str(sk)} }

// text is the string under name, empty if there is none.
func text(it item, name string) string {
	s, _ := it[name].(*types.AttributeValueMemberS)
	if s == nil {
		return ""
	}
	return s.Value
}

// number is the number under name, 0 if there is none.
func number(it item, name string) (int64, error) {
	n, _ := it[name].(*types.AttributeValueMemberN)
	if n == nil {
		return 0, nil
	}
	return parseNumber(n.Value)
}

// parseNumber reads a whole number. DynamoDB adds with 38 digits: what is beyond
// an int64 is the nearest one, which is above every limit.
func parseNumber(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		err = nil
	}
	return n, err
}

// expired reports whether DynamoDB should have removed the item by now.
func expired(it item, now time.Time) bool {
	ttl, err := number(it, attrTTL)
	return err == nil && ttl != 0 && ttl <= now.Unix()
}

// document adds the record to the item.
func document(it item, record any) (item, error) {
	doc, err := json.Marshal(record)
	if err != nil {
		return nil, broken(err)
	}
	it[attrDoc] = str(string(doc))
	return it, nil
}

// decode reads the record of an item.
func decode[T any](it item) (record T, err error) {
	if err := json.Unmarshal([]byte(text(it, attrDoc)), &record); err != nil {
		return record, broken(fmt.Errorf("item %q %q: %w", text(it, attrPK), text(it, attrSK), err))
	}
	return record, nil
}

// get reads an item, consistently. It is nil if there is none.
func (s *Store) get(ctx context.Context, table, pk, sk string) (item, error) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	consistent := true
	out, err := s.db.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &table, Key: address(pk, sk), ConsistentRead: &consistent,
	})
	if err != nil {
		return nil, storageError(err)
	}
	return out.Item, nil
}

// query gives each item of the answer to f, page after page.
func (s *Store) query(ctx context.Context, in *dynamodb.QueryInput, f func(item) error) error {
	for {
		out, err := s.page(ctx, in)
		if err != nil {
			return err
		}
		for _, it := range out.Items {
			if err := f(it); err != nil {
				return err
			}
		}
		if len(out.LastEvaluatedKey) == 0 {
			return nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

func (s *Store) page(ctx context.Context, in *dynamodb.QueryInput) (*dynamodb.QueryOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	out, err := s.db.Query(ctx, in)
	return out, storageError(err)
}
