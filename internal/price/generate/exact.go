package main

import (
	"math/big"
	"strings"
)

// maxDecimals is how many decimals of a dollar a table resolves.
const maxDecimals = 9

// shortened rounds a decimal text to maxDecimals. Lists that hold floats have more
// where a sum left its noise.
func shortened(usd string) string {
	if _, frac, _ := strings.Cut(usd, "."); len(frac) <= maxDecimals {
		return usd
	}
	r, ok := new(big.Rat).SetString(usd)
	if !ok {
		return usd
	}
	return strings.TrimRight(strings.TrimRight(r.FloatString(maxDecimals), "0"), ".")
}

// product is a decimal text times a whole number.
func product(usd string, n int64) string {
	r, ok := new(big.Rat).SetString(usd)
	if !ok {
		return ""
	}
	return decimalText(r.Mul(r, new(big.Rat).SetInt64(n)))
}

// dearer is the larger of two decimal texts; an empty one is none.
func dearer(x, y string) string {
	a, ok := new(big.Rat).SetString(x)
	if !ok {
		return y
	}
	if b, ok := new(big.Rat).SetString(y); ok && b.Cmp(a) > 0 {
		return y
	}
	return x
}

// quotient is x÷y; ok is false if there is none above zero.
func quotient(x, y string) (*big.Rat, bool) {
	a, okA := new(big.Rat).SetString(x)
	b, okB := new(big.Rat).SetString(y)
	if !okA || !okB || a.Sign() <= 0 || b.Sign() <= 0 {
		return nil, false
	}
	return a.Quo(a, b), true
}

// ratioText writes a multiplier as a table does: a decimal if that is exact.
func ratioText(r *big.Rat) string {
	if text := decimalText(r); len(text) <= len("1234.123456") {
		if back, ok := new(big.Rat).SetString(text); ok && back.Cmp(r) == 0 {
			if _, frac, _ := strings.Cut(text, "."); len(frac) <= 6 {
				return text
			}
		}
	}
	return r.Num().String() + "/" + r.Denom().String()
}

// decimalText writes with as many decimals as are needed, at most maxDecimals.
func decimalText(r *big.Rat) string {
	text := r.FloatString(maxDecimals)
	return strings.TrimRight(strings.TrimRight(text, "0"), ".")
}
