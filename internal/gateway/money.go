package gateway

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// NanoUSD is an amount of money in nano-dollars (1e-9 USD). Integers, because
// sums of floats drift and a limit must hold to the last digit. The int64 reaches
// 9.2 billion dollars.
type NanoUSD int64

// OneUSD is one dollar.
const OneUSD NanoUSD = 1_000_000_000

// MaxUSD is the largest amount accepted from a person: a billion dollars. It
// leaves room to add amounts without overflow.
const MaxUSD = 1_000_000_000 * OneUSD

// Errors of ParseUSD.
var (
	ErrNotMoney   = errors.New("not a number of dollars")
	ErrMoneyRange = errors.New("amount is outside ±1000000000 dollars")
	ErrMoneyFine  = errors.New("amount is not zero but smaller than a nano-dollar (0.000000001)")
)

// ParseUSD reads a decimal number of dollars as JSON writes it ("0.25", "1e-6")
// and rounds it to the nearest nano-dollar. An amount that is not zero never
// becomes zero: that would turn a tiny limit into none.
func ParseUSD(s string) (NanoUSD, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) {
		if errors.Is(err, strconv.ErrRange) {
			return 0, ErrMoneyRange
		}
		return 0, ErrNotMoney
	}
	if math.Abs(f) > float64(MaxUSD/OneUSD) {
		return 0, ErrMoneyRange
	}
	// The shortest decimal that means this float is what the person wrote, up
	// to 15 digits; working on it avoids the error of multiplying the float.
	whole, frac, _ := strings.Cut(strconv.FormatFloat(math.Abs(f), 'f', -1, 64), ".")
	up := len(frac) > 9 && frac[9] >= '5'
	if len(frac) > 9 {
		frac = frac[:9]
	}
	frac += strings.Repeat("0", 9-len(frac))
	n, err := strconv.ParseInt(whole+frac, 10, 64)
	if err != nil {
		return 0, ErrMoneyRange
	}
	if up {
		n++
	}
	if n == 0 && f != 0 {
		return 0, ErrMoneyFine
	}
	if f < 0 {
		n = -n
	}
	return NanoUSD(n), nil
}

// USD is the amount as a float of dollars, for the edge of the public API only.
func (n NanoUSD) USD() float64 {
	// Division of integers that a float64 holds exactly gives the float nearest
	// to the decimal, so 1_100_000 prints as 0.0011 and not 0.0011000000000000001.
	return float64(n) / float64(OneUSD)
}

// Micro is the amount in whole micro-dollars, rounded down.
func (n NanoUSD) Micro() int64 { return int64(n) / 1000 }

// String is the amount with all nine decimals and a dollar sign: "$0.250000000".
func (n NanoUSD) String() string {
	sign := ""
	u := uint64(n)
	if n < 0 {
		sign, u = "-", -u
	}
	return fmt.Sprintf("%s$%d.%09d", sign, u/uint64(OneUSD), u%uint64(OneUSD))
}
