package proxy

import (
	"encoding/json"
	"math"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/price"
	"tollgate/internal/provider"
	"tollgate/internal/tokenize"
)

// Stand-ins for what the price table does not know of a model.
const (
	// defaultCap is the output cap that is written into a call which has none
	// to a model whose own maximum is not known, if a limit counts its tokens.
	defaultCap = 8192
	// defaultContext is the input bound of a call that refers to what the
	// gateway cannot see: larger than any context window in the table.
	defaultContext = 2_000_000
)

// quote is what a call may cost at most, and at which prices.
type quote struct {
	table   *price.Table   // the one in use as the call came; it is settled by the same
	model   *price.Model   // nil: the price is not known
	dearest *price.Model   // what it is reserved by: model, or a dearer one, where it costs most
	version string         // of the price table, with "+costMap" where that was used
	read    provider.Bound // the call's bound, without what the model is not billed by
	bound   price.Bound
	add     int64 // output tokens per copy that come on top of the cap
	cap     int64 // output cap to be written into the body; 0 leaves the body alone
	exact   bool  // the input was counted
}

// fileSearchRow is the row of the price table for file searches without a model.
const fileSearchRow = "tool:file-search"

// errNoPrice refuses a call that a key with a cost limit could not be held to.
var errNoPrice = &gateway.Error{Kind: gateway.Forbidden, Code: "model_price_unknown",
	Message: "The price of this call is not known, and a cost limit applies to it. " +
		"An operator can add a price to the provider setting's costMap, or set the key's unknownModel to allow."}

// errNoModel is errNoPrice for a call that names no model.
var errNoModel = &gateway.Error{Kind: gateway.Invalid, Code: "missing_required_parameter", Param: "model",
	Message: "The call names no model. Without one its price is not known, and a cost limit applies to it."}

var errUnbounded = &gateway.Error{Kind: gateway.Forbidden, Code: "cost_not_boundable",
	Message: "The cost of this call cannot be bounded before it runs, and a cost limit applies to it. " +
		"An operator can set the key's unknownModel to allow."}

// newQuote prices the worst case of the call.
func (x *exchange) newQuote() (*quote, error) {
	q := &quote{read: x.call.Bound}
	if x.endpoint.Metering == provider.Free {
		return q, nil
	}
	if q.read.Unbounded && x.deniesUnknown() {
		return nil, errUnbounded
	}
	if x.endpoint.Metering != provider.Unbounded {
		q.table = x.server.Prices()
		q.model, q.version = x.lookup(q.table)
		q.dearest = q.model.At(x.percent())
	}
	q.unit()
	q.tokens()
	if q.dearest == nil || len(q.dearest.Unpriced(q.bound)) > 0 || !q.dearest.KnowsTier(q.bound.Tier) {
		switch {
		case !x.deniesUnknown():
		case x.call.Model == "" && x.endpoint.Metering != provider.Run: // a run has its assistant's
			return nil, errNoModel
		default:
			return nil, errNoPrice
		}
	}
	x.fearDearer(q)
	return q, nil
}

// lookup finds the prices of the call: of the model that it names.
func (x *exchange) lookup(table *price.Table) (*price.Model, string) {
	if x.endpoint.Metering == provider.FileSearch {
		return x.pricesOf(table, fileSearchRow)
	}
	if model, ok := x.mapped(); ok {
		return x.pricesOf(table, model)
	}
	return x.pricesOf(table, x.call.Model)
}

// pricesOf finds a model's prices and their version: the setting's own before the
// table's. A costMap counts under the name that the call used, then under the model's.
func (x *exchange) pricesOf(table *price.Table, model string) (*price.Model, string) {
	return x.pricesUnder(table, model, x.call.Model, model)
}

// pricesUnder finds a model's prices, of which the costMap may have some under one of
// the names.
func (x *exchange) pricesUnder(table *price.Table, model string, names ...string) (*price.Model, string) {
	m, ok := x.inTable(table, model)
	version := table.Version()
	embeddings := x.endpoint.Metering == provider.Embeddings
	for _, name := range names {
		if own, priced := m.WithCostMap(x.setting.CostMap, name, embeddings); priced {
			m, ok, version = own, true, version+"+costMap"
			break
		}
	}
	if !ok {
		return nil, ""
	}
	return m.ForImage(x.call.Bound.Size, x.call.Bound.Grade), version
}

// inTable finds a model in the price table under any of its names.
func (x *exchange) inTable(table *price.Table, model string) (m *price.Model, ok bool) {
	vendor := x.endpoint.Vendor
	for _, name := range provider.PriceNames(vendor, model) {
		if m, ok = table.Lookup(vendor.Name(), name, x.start); ok {
			break
		}
	}
	return m, ok
}

// unit decides between the two ways in which pictures, speech and audio are
// billed: by the unit, if the model has a price for it, else by tokens. What does
// not apply is dropped from the bound.
func (q *quote) unit() {
	b := &q.read
	for _, u := range []gateway.Class{gateway.Images, gateway.Characters, gateway.AudioMillis} {
		if b.Extra.Counts[u] == 0 {
			continue
		}
		if q.dearest != nil && q.dearest.Rates[u].Known {
			b.Input, b.Output, b.Media, b.MediaOut = 0, 0, false, false
		} else {
			b.Extra.Counts[u] = 0
		}
	}
}

// tokens bounds input and output.
func (q *quote) tokens() {
	b := &q.read
	contextWindow, maxOutput := int64(0), int64(0)
	if q.dearest != nil {
		contextWindow, maxOutput = q.dearest.Context, q.dearest.MaxOutput
	}
	// What the request itself states is not lowered by what the table has of a model's
	// limits: they come from lists, which are behind where a limit was raised.
	in := b.Input
	switch {
	case b.Opaque && contextWindow > 0:
		in = turns(max(in, contextWindow), b.Turns)
	case b.Opaque:
		in = turns(max(in, defaultContext), b.Turns)
	}
	out := b.Output
	if b.CapMember != "" || b.FullOutput {
		switch {
		case out == 0 && maxOutput > 0:
			out = maxOutput
		case out == 0 && b.FullOutput:
			out = max(contextWindow, defaultCap)
		case out == 0:
			out, q.cap = max(defaultCap, b.MinOutput), max(defaultCap, b.MinOutput)
		}
	}
	q.add = b.OutputAdd
	copies := max(b.Copies, 1)
	if b.CapPerTurn {
		copies = turns(copies, b.Turns)
	}
	q.bound = price.Bound{
		Input: in, Media: b.Media, Output: out + q.add, AudioOut: b.MediaOut,
		Copies: copies, Tier: b.Tier, LongLife: b.LongLife, Extra: b.Extra,
	}
}

// turns is n for each turn of a call that has so many more than one.
func turns(n, more int64) int64 {
	const most = math.MaxInt64 / 8 // so that sums do not overflow
	if more > 0 && n > most/(more+1) {
		return most
	}
	return n * (more + 1)
}

// cost is the worst case in money; 0 if the price is not known.
func (q *quote) cost() gateway.NanoUSD {
	if q.dearest == nil {
		return 0
	}
	return q.dearest.Worst(q.bound)
}

// nonsense is more than any call costs. What asks for more is refused by its
// provider; on a key without a cost limit it must not overflow the counter before.
const nonsense = 1_000_000 * gateway.OneUSD

// reserve is what is to be reserved of cost; limited says that a limit counts it.
func (q *quote) reserve(limited bool) gateway.NanoUSD {
	if limited {
		return q.cost()
	}
	return min(q.cost(), nonsense)
}

// size is the worst case in tokens.
func (q *quote) size() int64 { return q.bound.Input + q.output() }

// output is the most tokens out that all copies have together.
func (q *quote) output() int64 {
	const most = math.MaxInt64 / 4 // so that sums do not overflow
	if out := q.bound.Output; out > 0 && q.bound.Copies > most/out {
		return most
	}
	return q.bound.Output * q.bound.Copies
}

// fit makes the worst case fit what the limits have left: first by counting the
// input instead of bounding it, then by lowering the output cap. It reports false
// if not even the least answer fits.
func (q *quote) fit(limits []limit.State, c *provider.Call) bool {
	money, tokens := gateway.NanoUSD(math.MaxInt64), int64(math.MaxInt64)
	for i := range limits {
		switch s := &limits[i]; s.Limit.Measure {
		case gateway.Cost:
			money = min(money, gateway.NanoUSD(s.Left()))
		case gateway.Tokens:
			tokens = min(tokens, s.Left())
		}
	}
	q.count(c)
	fits := func() bool { return q.cost() <= money && q.size() <= tokens }
	if fits() {
		return true
	}
	if q.allowFewer(fits) {
		return true
	}
	if c.Bound.CapMember == "" {
		return false
	}
	out := int64(math.MaxInt64)
	if q.dearest != nil {
		out = q.dearest.Affordable(q.bound, money)
	}
	out = min(out, (tokens-q.bound.Input)/q.bound.Copies, q.bound.Output)
	if out-q.add < c.Bound.MinOutput {
		return false
	}
	q.bound.Output, q.cap = out, out-q.add
	return true
}

// allowFewer lowers how often the provider may run tools of its own, where the caller
// has set no cap, until the call fits, but not below once.
func (q *quote) allowFewer(fits func() bool) bool {
	if len(q.read.ToolCaps) == 0 {
		return false
	}
	for n := q.read.ToolCaps[0].Calls - 1; n > 0; n-- {
		q.read.AllowCalls(n)
		q.tokens()
		if fits() {
			return true
		}
	}
	return false
}

// count replaces the cheap bound of the input by the tokenizer's count, once, if
// that is possible and lower.
func (q *quote) count(c *provider.Call) {
	if q.exact || c.Bound.Uncountable {
		return
	}
	q.exact = true
	texts, extra, ok := provider.RequestText(c)
	if !ok {
		return
	}
	if n, err := tokenize.Count(texts...); err == nil {
		q.bound.Input = min(q.bound.Input, n+extra)
	}
}

// writeCap puts the lowered output cap into the body, and nothing else. A member that
// holds less stays as it is.
func writeCap(c *provider.Call, tokens int64) error {
	write := func(member string) error {
		body, err := sjson.SetRawBytes(c.Body, member, jsonInt(tokens))
		if err == nil {
			c.Body = body
		}
		return err
	}
	held := gjson.GetBytes(c.Body, c.Bound.CapMember)
	if held.Type != gjson.Number || held.Num <= 0 || held.Num > float64(tokens) {
		if err := write(c.Bound.CapMember); err != nil {
			return err
		}
	}
	if also := c.Bound.CapAlso; also != "" && gjson.GetBytes(c.Body, also).Num > float64(tokens) {
		return write(also)
	}
	return nil
}

// writeToolCaps puts the caps on the provider's own tools into the body.
func writeToolCaps(c *provider.Call) error {
	for _, most := range c.Bound.ToolCaps {
		body, err := sjson.SetRawBytes(c.Body, most.Member, jsonInt(most.Calls))
		if err != nil {
			return err
		}
		c.Body = body
	}
	return nil
}

func jsonInt(n int64) []byte {
	b, _ := json.Marshal(n)
	return b
}
