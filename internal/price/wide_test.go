package price

import (
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// The same in arithmetic without bounds.
func TestTotalAgainstBig(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	draw := func() int64 { return r.Int64() >> r.IntN(63) }
	limit := big.NewInt(math.MaxInt64)
	for range 20_000 {
		a, b, c, d := draw(), draw(), draw(), draw()
		f := factor{1 + draw()%maxTerm, 1 + draw()%maxTerm}
		got := total(product(a, b), product(c, d), f)

		sum := new(big.Int).Mul(big.NewInt(a), big.NewInt(b))
		sum.Mul(sum, big.NewInt(f.num))
		rest := new(big.Int).Mul(big.NewInt(c), big.NewInt(d))
		rest.Mul(rest, big.NewInt(f.den))
		sum.Add(sum, rest)
		per := new(big.Int).Mul(big.NewInt(f.den), big.NewInt(perMillion))
		want, odd := new(big.Int).QuoRem(sum, per, new(big.Int))
		if odd.Sign() > 0 {
			want.Add(want, big.NewInt(1))
		}
		// A sum that needs more than 128 bits is far beyond any NanoUSD unless
		// the divisor is large; then the result is the largest instead.
		if sum.BitLen() > 128 || want.Cmp(limit) > 0 {
			want = limit
		}
		if int64(got) != want.Int64() {
			t.Fatalf("(%d×%d)×%d/%d + %d×%d: %d, want %d", a, b, f.num, f.den, c, d, got, want)
		}
	}
}

func TestDecimal(t *testing.T) {
	for _, c := range []struct {
		text   string
		places int
		want   int64
		err    error
	}{
		{"0", 9, 0, nil},
		{"2.5", 9, 2_500_000_000, nil},
		{"0.003625", 9, 3_625_000, nil},
		{"0.000000001", 9, 1, nil},
		{"0.0000000010", 9, 1, nil},
		{"007", 0, 7, nil},
		{"0.0000000001", 9, 0, errFine},
		{"1.5", 0, 0, errFine},
		{"1000000000", 9, maxNano, nil},
		{"10000000000", 9, 0, errRange}, // one digit more than an int64 has
		{"1000000000.1", 9, 0, errRange},
		{"9999999999999999999999", 9, 0, errRange},
		{"", 9, 0, errDecimal},
		{".5", 9, 0, errDecimal},
		{"5.", 9, 0, errDecimal},
		{"+5", 9, 0, errDecimal},
		{"-5", 9, 0, errDecimal},
		{"1e3", 9, 0, errDecimal},
		{"1.2.3", 9, 0, errDecimal},
		{"1,5", 9, 0, errDecimal},
		{" 1", 9, 0, errDecimal},
		{"1.x000000000000", 9, 0, errDecimal},
		{"١", 9, 0, errDecimal},
	} {
		got, err := decimal(c.text, c.places)
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("decimal(%q, %d) = %d, %v; want %d, %v", c.text, c.places, got, err, c.want, c.err)
		}
	}
}

func TestRatio(t *testing.T) {
	for _, c := range []struct {
		text string
		want factor
	}{
		{"2", factor{2_000_000, 1_000_000}},
		{"2.5", factor{2_500_000, 1_000_000}},
		{"0.5", factor{500_000, 1_000_000}},
		{"5/3", factor{5, 3}},
		{"0", factor{}},
		{"0/1", factor{}},
		{"1/0", factor{}},
		{"1/2/3", factor{}},
		{"-1", factor{}},
		{"1.5/2", factor{}},
		{"1001", factor{}},
		{"/", factor{}},
		{"", factor{}},
	} {
		got, err := ratio(c.text)
		if got != c.want || (err == nil) != (c.want != factor{}) {
			t.Errorf("ratio(%q) = %v, %v; want %v", c.text, got, err, c.want)
		}
	}
}
