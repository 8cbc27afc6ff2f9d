package admin

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"tollgate/internal/gateway"
)

// pair is an amount with the unit of its window, as the peer's two limits are
// sent. A nil part was not sent.
type pair struct {
	name   string // "rate limit"
	amount *int64
	unit   *string
	units  []gateway.Unit // that the limit can have
}

func (b *keyBody) ratePair() pair {
	return pair{"rate limit", b.RateLimitOver, b.RateLimitUnit,
		[]gateway.Unit{gateway.Second, gateway.Minute, gateway.Hour, gateway.Day}}
}

func (b *keyBody) costPair() pair {
	return pair{"cost limit", (*int64)(b.CostLimitOver), b.CostLimitUnit,
		[]gateway.Unit{gateway.Minute, gateway.Hour, gateway.Day, gateway.Month}}
}

// firstFault runs the checks of both limits in the peer's order: what the units
// lack, of rate and cost, comes before what the amounts lack.
func firstFault(rate, cost func() (ofUnit, ofAmount string)) error {
	rateUnit, rateAmount := rate()
	costUnit, costAmount := cost()
	for _, text := range []string{rateUnit, costUnit, rateAmount, costAmount} {
		if text != "" {
			return invalid("%s", text)
		}
	}
	return nil
}

// faultsOnCreate treats what was not sent as 0 and "".
func (p pair) faultsOnCreate() (ofUnit, ofAmount string) {
	amount, unit := p.values()
	switch {
	case unit != "" && amount == 0:
		ofUnit = p.lacksAmount()
	case amount != 0 && unit == "":
		ofAmount = p.lacksUnit()
	case amount != 0 && !p.known(unit):
		ofAmount = p.name + " unit can not be identified"
	}
	return ofUnit, ofAmount
}

// faultsOnChange wants both parts or none; 0 and "" together remove the limit.
func (p pair) faultsOnChange() (ofUnit, ofAmount string) {
	amount, unit := p.values()
	switch {
	case p.unit == nil && p.amount == nil:
	case p.amount == nil:
		ofUnit = p.lacksAmount()
	case p.unit == nil:
		ofAmount = p.lacksUnit()
	case unit == "" && amount != 0:
		ofUnit = p.name + " over time has to be 0 if " + p.name + " unit is empty"
	case amount == 0 && unit != "":
		ofAmount = p.name + " unit has to be empty if " + p.name + " over time is 0"
	case amount != 0 && !p.known(unit):
		ofAmount = p.name + " unit can not be identified"
	}
	return ofUnit, ofAmount
}

func (p pair) values() (amount int64, unit string) {
	set(&amount, p.amount)
	set(&unit, p.unit)
	return amount, unit
}

func (p pair) known(unit string) bool { return slices.Contains(p.units, gateway.Unit(unit)) }

func (p pair) lacksAmount() string {
	return p.name + " over time can not be empty if " + p.name + " unit is specified"
}

func (p pair) lacksUnit() string {
	return p.name + " unit can not be empty if " + p.name + " over time is specified"
}

// maxCount is the largest count that a limit may have: floats, which is what
// JSON readers make of numbers, still hold it exactly.
const maxCount = 1_000_000_000_000_000

// readLimits turns the list of limits into the gateway's. nil stays nil.
func readLimits(bodies []limitBody) ([]gateway.Limit, error) {
	if bodies == nil {
		return nil, nil
	}
	limits := make([]gateway.Limit, 0, min(len(bodies), 32))
	for i, b := range bodies {
		l, err := b.read()
		if err != nil {
			return nil, invalid("limits[%d]: %v", i, err)
		}
		for _, have := range limits {
			if have.Measure == l.Measure && have.Per == l.Per {
				return nil, invalid("limits[%d]: a second limit on the same measure and window", i)
			}
		}
		limits = append(limits, l)
	}
	return limits, nil
}

func (b *limitBody) read() (gateway.Limit, error) {
	l := gateway.Limit{Measure: gateway.Measure(b.Measure), Per: gateway.Unit(b.Per)}
	switch {
	case !l.Measure.Valid():
		return l, errors.New("measure can only be requests, tokens, cost or concurrency")
	case l.Measure == gateway.Concurrency && l.Per != "":
		return l, errors.New("concurrency has no window: leave out per")
	case l.Measure != gateway.Concurrency && !l.Per.Valid():
		return l, errors.New("per can only be s, m, h, d, mo or lifetime")
	case b.Max == "":
		return l, errors.New("max is missing")
	}
	var err error
	l.Max, err = b.Max.read(l.Measure)
	return l, err
}

// read is the number as nano-dollars for cost, else as a count.
func (n number) read(m gateway.Measure) (int64, error) {
	if m == gateway.Cost {
		usd, err := gateway.ParseUSD(string(n))
		if err != nil {
			return 0, fmt.Errorf("max: %w", err)
		}
		if usd <= 0 {
			return 0, errNoMax
		}
		return int64(usd), nil
	}
	count, err := strconv.ParseInt(string(n), 10, 64)
	if err != nil || count > maxCount {
		return 0, fmt.Errorf("max has to be a whole number up to %d", int64(maxCount))
	}
	if count <= 0 {
		return 0, errNoMax
	}
	return count, nil
}

var errNoMax = errors.New("max has to be more than 0; to stop a key, revoke it")
