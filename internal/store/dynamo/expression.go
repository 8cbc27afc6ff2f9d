package dynamo

import (
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// expression numbers the names and values of a request. All names are numbered:
// counters have colons in theirs, and DynamoDB reserves some 570 words.
type expression struct {
	names  map[string]string // placeholder to attribute
	values item
	taken  map[string]string // attribute to placeholder
}

func newExpression() *expression {
	return &expression{names: map[string]string{}, values: item{}, taken: map[string]string{}}
}

// name is the placeholder of an attribute, the same one every time.
func (x *expression) name(attribute string) string {
	p, ok := x.taken[attribute]
	if !ok {
		p = "#" + strconv.Itoa(len(x.names))
		x.taken[attribute], x.names[p] = p, attribute
	}
	return p
}

// has reports whether the attribute has a placeholder.
func (x *expression) has(attribute string) bool {
	_, ok := x.taken[attribute]
	return ok
}

// value is a placeholder for v.
func (x *expression) value(v types.AttributeValue) string {
	p := ":" + strconv.Itoa(len(x.values))
	x.values[p] = v
	return p
}

// number is a placeholder for n.
func (x *expression) number(n int64) string { return x.value(num(n)) }
