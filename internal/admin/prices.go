package admin

import (
	"encoding/json"
	"errors"
	"net/http"

	"tollgate/internal/gateway"
	pricelist "tollgate/internal/price"
	pricestore "tollgate/internal/price/stored"
)

const pricesPath = "/api/prices"

var (
	pricesInvalid = label{"/errors/validation", "price table validation failed"}
	pricesFailed  = label{"/errors/prices", "price table error"}
)

var priceRoutes = []route{
	{"GET", pricesPath, (*api).getPrices, wording{
		invalid: label{"/errors/validation", "prices request validation failed"},
		missing: label{"/errors/not-found", "model is not in the price table"},
		failed:  pricesFailed}},
	{"PUT", pricesPath, (*api).putPrices, wording{invalid: pricesInvalid, failed: pricesFailed}},
	{"DELETE", pricesPath, (*api).deletePrices, wording{failed: pricesFailed}},
	{"POST", pricesPath + "/check", (*api).checkPrices, wording{invalid: pricesInvalid, failed: pricesFailed}},
}

// pricesAnswer is the price table in use, without its prices but those asked for.
type pricesAnswer struct {
	Version  string       `json:"version"`
	Source   string       `json:"source"`   // embedded, stored
	StoredAt *int64       `json:"storedAt"` // unix seconds; null for the embedded table
	AgeDays  int          `json:"ageDays"`  // since the date in the version
	Models   int          `json:"models"`   // names, and beginnings of names, that have prices
	Prices   []modelPrice `json:"prices,omitempty"`
}

// modelPrice is what a model costs now.
type modelPrice struct {
	Provider string `json:"provider"`
	// USD is in dollars per million units of each class that has a price, the
	// classes included that are billed as another one. Decimal texts.
	USD map[string]string `json:"usdPerMillion"`
	// Row is as it stands in the table.
	Row pricelist.Row `json:"row"`
}

// pricesInUse reads the table that new calls are priced by.
func (a *api) pricesInUse(r *http.Request) (table *pricelist.Table, info pricestore.Info, err error) {
	table, info, err = pricestore.Get(r.Context(), a.store)
	var faults pricelist.Faults
	switch {
	case errors.As(err, &faults):
		return nil, info, &gateway.Error{Kind: gateway.Internal, Err: err,
			Message: "the stored price table is for another version of this program; calls are priced by the last table that could be read. PUT one, or DELETE it"}
	case err != nil:
		return nil, info, stored(err, "price table")
	}
	return table, info, nil
}

// getPrices tells which table is in use; with model, and provider to narrow it
// down, what the model costs; with table=true the table itself, to be changed and
// sent back.
func (a *api) getPrices(r *http.Request) (any, error) {
	table, info, err := a.pricesInUse(r)
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	if q.Get("table") == "true" {
		if table == nil {
			return json.RawMessage(pricelist.EmbeddedFile()), nil
		}
		return json.RawMessage(info.File), nil
	}
	answer := a.showPrices(table, info)
	if model := q.Get("model"); model != "" {
		if table == nil {
			table = pricelist.Embedded()
		}
		answer.Prices = a.pricesOf(table, q.Get("provider"), model)
		if len(answer.Prices) == 0 {
			return nil, &gateway.Error{Kind: gateway.NotFound, Message: "no provider has a price for the model " + clip(model)}
		}
	}
	return answer, nil
}

// showPrices describes a table, nil for the embedded one.
func (a *api) showPrices(table *pricelist.Table, info pricestore.Info) pricesAnswer {
	answer := pricesAnswer{Source: "stored"}
	if table == nil {
		table, answer.Source = pricelist.Embedded(), "embedded"
	} else if !info.At.IsZero() {
		at := info.At.Unix()
		answer.StoredAt = &at
	}
	answer.Version, answer.AgeDays, answer.Models = table.Version(), table.Age(a.now()), table.Names()
	return answer
}

// pricesOf finds a model at one provider, or without one at all that have it.
func (a *api) pricesOf(table *pricelist.Table, provider, model string) (found []modelPrice) {
	providers := table.Providers()
	if provider != "" {
		providers = []string{provider}
	}
	for _, p := range providers {
		m, ok := table.Lookup(p, model, a.now())
		if !ok || provider == "" && m.Provider != p { // those of its fallback come by themselves
			continue
		}
		price := modelPrice{Provider: p, USD: make(map[string]string)}
		price.Row, _ = m.Row()
		for c, rate := range m.Rates {
			if rate.Known {
				price.USD[gateway.Class(c).String()] = pricelist.FormatUSD(rate.Nano)
			}
		}
		found = append(found, price)
	}
	return found
}

// putPrices replaces the table. The proxies take it within a minute.
func (a *api) putPrices(r *http.Request) (any, error) {
	before, info, err := a.pricesInUse(r)
	if err != nil && gateway.KindOf(err) != gateway.Internal { // one that cannot be read is to be replaced
		return nil, err
	}
	was := a.showPrices(before, info)
	var file json.RawMessage
	if err := decode(r, &file); err != nil {
		return nil, err
	}
	now := a.now().UTC()
	table, err := pricestore.Put(r.Context(), a.store, file, now)
	if err != nil {
		return nil, stored(err, "price table")
	}
	answer := a.showPrices(table, pricestore.Info{At: now})
	return reply{body: answer, change: &change{kind: "prices", id: "current", before: was, after: answer}}, nil
}

// deletePrices goes back to the embedded table.
func (a *api) deletePrices(r *http.Request) (any, error) {
	before, info, err := a.pricesInUse(r)
	if err != nil && gateway.KindOf(err) != gateway.Internal {
		return nil, err
	}
	was := a.showPrices(before, info)
	if err := pricestore.Remove(r.Context(), a.store, a.now().UTC()); err != nil {
		return nil, stored(err, "price table")
	}
	answer := a.showPrices(nil, pricestore.Info{})
	return reply{body: answer, change: &change{kind: "prices", id: "current", before: was, after: answer}}, nil
}

// checkPrices answers what PUT would, and changes nothing.
func (a *api) checkPrices(r *http.Request) (any, error) {
	var file json.RawMessage
	if err := decode(r, &file); err != nil {
		return nil, err
	}
	table, err := pricestore.Check(r.Context(), a.store, file)
	if err != nil {
		return nil, stored(err, "price table")
	}
	return a.showPrices(table, pricestore.Info{}), nil
}
