package price

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxNano bounds a price in the table. A million dollars for a single token
// would still fit; anything above it is a slip of the pen.
const maxNano = 1_000_000_000_000_000_000

// Errors of decimal and ratio.
var (
	errDecimal = errors.New(`not a decimal number such as "2.5"`)
	errFine    = errors.New("has more decimals than a nano-dollar resolves")
	errRange   = errors.New("is too large for a price")
	errRatio   = errors.New(`not a positive decimal or fraction such as "0.5" or "5/3"`)
)

// decimal reads digits with an optional fraction as a number of 10^-places
// units: decimal("2.5", 9) is 2_500_000_000. Signs, exponents, a bare point and
// digits that would be lost are refused.
func decimal(s string, places int) (int64, error) {
	whole, frac, point := strings.Cut(s, ".")
	if whole == "" || point && frac == "" || !allDigits(whole) || !allDigits(frac) {
		return 0, errDecimal
	}
	frac = strings.TrimRight(frac, "0")
	if len(frac) > places {
		return 0, errFine
	}
	var n int64
	for i := range len(whole) + places {
		digit := byte('0')
		if i < len(whole) {
			digit = whole[i]
		} else if j := i - len(whole); j < len(frac) {
			digit = frac[j]
		}
		if n > maxNano/10 {
			return 0, errRange
		}
		n = n*10 + int64(digit-'0')
	}
	if n > maxNano {
		return 0, errRange
	}
	return n, nil
}

func allDigits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// dollars reads a price in USD and scales it: times nano-dollars, by/per.
// What does not come out even is rounded up, by less than a nano-dollar in a
// million units.
func dollars(s string, by, per int64) (int64, error) {
	nano, err := decimal(s, 9)
	if err != nil {
		return 0, err
	}
	if nano > maxNano/by {
		return 0, errRange
	}
	return (nano*by + per - 1) / per, nil
}

// factor is a positive fraction that token prices are multiplied by.
type factor struct{ num, den int64 }

var standard = factor{1, 1}

// maxTerm bounds both terms of a factor, so that a denominator times a million
// stays far from overflow.
const maxTerm = 1_000_000_000

// ratio reads "0.5" or "5/3".
func ratio(s string) (factor, error) {
	var f factor
	var err error
	if num, den, ok := strings.Cut(s, "/"); ok {
		if f.num, err = decimal(num, 0); err == nil {
			f.den, err = decimal(den, 0)
		}
	} else {
		f.den = 1_000_000
		f.num, err = decimal(s, 6)
	}
	if err != nil || f.num < 1 || f.den < 1 || f.num > maxTerm || f.den > maxTerm {
		return factor{}, fmt.Errorf("%q is %w", s, errRatio)
	}
	return f, nil
}

// above reports whether f is the larger factor.
func (f factor) above(g factor) bool { return f.num*g.den > g.num*f.den }

// maxShift bounds how far a decimal point is moved: no price needs more, and an
// exponent must not make a short text long.
const maxShift = 40

// Shift moves the decimal point of a number so many places to the right, exactly:
// Shift("1.5e-07", 6) is "0.15". The number is one as JSON writes it, but not
// negative; the result has no exponent and no needless zeros.
func Shift(number string, places int) (string, error) {
	digits, exponent, scientific := strings.Cut(strings.ToLower(number), "e")
	whole, frac, point := strings.Cut(digits, ".")
	if whole == "" || point && frac == "" || !allDigits(whole) || !allDigits(frac) || len(digits) > 2*maxShift {
		return "", errDecimal
	}
	if scientific {
		e, err := strconv.Atoi(exponent)
		if err != nil {
			return "", errDecimal
		}
		places += min(max(e, -2*maxShift), 2*maxShift)
	}
	if places > maxShift || places < -maxShift {
		return "", errRange
	}
	all := strings.Repeat("0", maxShift) + whole + frac + strings.Repeat("0", maxShift)
	at := maxShift + len(whole) + places
	whole, frac = strings.TrimLeft(all[:at], "0"), strings.TrimRight(all[at:], "0")
	if whole == "" {
		whole = "0"
	}
	if frac == "" {
		return whole, nil
	}
	return whole + "." + frac, nil
}

// ParseUSD reads a price in USD, as JSON writes a number or as a decimal text, in
// nano-dollars. It is exact: what a nano-dollar does not resolve is an error, and so
// is what is negative or above a billion dollars.
func ParseUSD(number string) (int64, error) {
	text, err := Shift(number, 0)
	if err != nil {
		return 0, err
	}
	return decimal(text, 9)
}

// FormatUSD is the inverse of ParseUSD: 2_500_000_000 is "2.5".
func FormatUSD(nano int64) string {
	text, err := Shift(strconv.FormatInt(nano, 10), -9)
	if err != nil {
		return strconv.FormatInt(nano, 10) + "e-9" // negative: there are no such prices
	}
	return text
}
