package proxy

import (
	"slices"

	"tollgate/internal/gateway"
	"tollgate/internal/price"
	"tollgate/internal/provider"
)

// price charges the usage at the prices of the call and of the tier that served it.
func (x *exchange) price(e *gateway.Event, usage gateway.Usage) {
	model := x.billed(e, &usage)
	switch {
	case model == nil && usage.Charge > 0:
		e.Cost, e.Price = usage.Charge, chargedByProvider
		return
	case model == nil:
		e.Basis = gateway.BasisUnpriced
		return
	}
	x.priceAt(e, model, usage)
}

// priceAt adds to the event what the usage costs at a model's prices.
func (x *exchange) priceAt(e *gateway.Event, model *price.Model, usage gateway.Usage) {
	model = model.At(max(usage.Percent, hostPercent(&x.setting.Setting)))
	tier := x.tier(e, model)
	cost, unpriced := model.Cost(usage, tier)
	if e.Cost += cost; e.Parts == nil {
		e.Parts = make(map[string]gateway.NanoUSD, 4)
	}
	for class, part := range model.Parts(usage, tier) {
		e.Parts[class] += part
	}
	for _, c := range unpriced {
		e.Unpriced = append(e.Unpriced, c.String())
	}
	if !model.KnowsTier(tier) {
		e.Unpriced = append(e.Unpriced, "tier:"+short(tier))
	}
}

// tier is the service tier to charge: the one that served the call, as the end of its
// answer says. Without that it is the one that was asked for, but nothing cheaper than
// standard: what callers ask for is no discount. Nor is a batch, which no call is.
func (x *exchange) tier(e *gateway.Event, model *price.Model) string {
	if e.Tier != "" && e.Tier != "batch" && e.Basis == gateway.BasisReported {
		return e.Tier
	}
	if asked := model.AtLeast(x.call.Bound.Tier); asked != "" {
		return asked
	}
	return model.AtLeast(e.Tier)
}

// chargedByProvider stands in an event for the version of the prices where the
// amount is the one that the provider named, for want of a price.
const chargedByProvider = "provider"

// billed finds the prices of the model that is billed: the one that was asked for,
// but where that is a name of the caller's own and nobody has said what it stands
// for, or where others might answer, the one that answered.
func (x *exchange) billed(e *gateway.Event, usage *gateway.Usage) *price.Model {
	switch {
	case e.Served == "":
		return x.quote.model
	case len(x.call.Fallbacks) > 0 && !provider.SameModel(e.Served, x.call.Model):
		return x.fellBack(e, usage)
	case !x.unmapped():
		return x.quote.model
	}
	model, version := x.pricesOf(x.quote.table, e.Served)
	if model == nil {
		return x.quote.model
	}
	x.server.served.add(x.deployment(), e.Served)
	e.Price = version
	return model
}

// fellBack finds the prices of a model that answered in place of the one that was asked
// for. Without them the amount that the provider names counts, or those of the model
// that was asked for, and the event says so.
func (x *exchange) fellBack(e *gateway.Event, usage *gateway.Usage) *price.Model {
	if model, version := x.pricesUnder(x.quote.table, e.Served, e.Served); model != nil {
		e.Price = version
		return model
	}
	if usage.Charge > 0 {
		return nil
	}
	e.Unpriced = append(e.Unpriced, "model:"+e.Served)
	return x.quote.model
}

// priceShares charges what other models consumed for the call, each at its own prices,
// and adds it to the usage. What is reported and has no class is noted.
func (x *exchange) priceShares(e *gateway.Event, usage *gateway.Usage) {
	for _, s := range provider.Shares(x.call, x.meter.Members()) {
		model := x.quote.model
		if !provider.SameModel(s.Model, x.call.Model) {
			if model, _ = x.pricesUnder(x.quote.table, s.Model, s.Model); model == nil {
				e.Unpriced = append(e.Unpriced, "model:"+short(s.Model))
				model = x.quote.model
			}
		}
		s.Usage.Percent = usage.Percent
		usage.Add(s.Usage)
		if model != nil && e.Price != chargedByProvider { // which is for all of the call
			x.priceAt(e, model, s.Usage)
		}
	}
	e.Unpriced = append(e.Unpriced, provider.Unclassed(x.call, x.meter.Members())...)
	slices.Sort(e.Unpriced)
	e.Unpriced = slices.Compact(e.Unpriced)
}
