package gateway_test

import (
	"errors"
	"strconv"
	"testing"

	"tollgate/internal/gateway"
)

func TestParseUSD(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want gateway.NanoUSD
		err  error
	}{
		{"0", 0, nil}, {"-0", 0, nil}, {"0.0", 0, nil}, {"0e9", 0, nil},
		{"1", 1_000_000_000, nil}, {"0.25", 250_000_000, nil}, {"1e-6", 1000, nil}, {"2.5E3", 2_500_000_000_000, nil},
		{"1e-9", 1, nil}, {"5e-10", 1, nil}, {"1.4e-9", 1, nil}, {"1.5e-9", 2, nil},
		{"4e-10", 0, gateway.ErrMoneyFine}, {"1e-300", 0, gateway.ErrMoneyFine}, {"-4e-10", 0, gateway.ErrMoneyFine},
		{"0.1", 100_000_000, nil}, {"0.2", 200_000_000, nil},
		{"0.30000000000000004", 300_000_000, nil}, // what 0.1 + 0.2 prints as
		{"0.0011", 1_100_000, nil}, {"1.1", 1_100_000_000, nil}, {"123456.789012345", 123_456_789_012_345, nil},
		{"0.9999999999", 1_000_000_000, nil}, {"9.9999999999", 10_000_000_000, nil},
		{"-0.25", -250_000_000, nil}, {"-1.5e-9", -2, nil},
		{"1000000000", gateway.MaxUSD, nil}, {"-1000000000", -gateway.MaxUSD, nil},
		{"1000000000.1", 0, gateway.ErrMoneyRange}, {"-1e10", 0, gateway.ErrMoneyRange}, {"1e400", 0, gateway.ErrMoneyRange},
		{"Inf", 0, gateway.ErrMoneyRange}, {"NaN", 0, gateway.ErrNotMoney}, {"", 0, gateway.ErrNotMoney},
		{"ten", 0, gateway.ErrNotMoney}, {"$1", 0, gateway.ErrNotMoney}, {"1,5", 0, gateway.ErrNotMoney}, {" 1", 0, gateway.ErrNotMoney},
	} {
		got, err := gateway.ParseUSD(tt.in)
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("ParseUSD(%q) = %d, %v; want %d, %v", tt.in, got, err, tt.want, tt.err)
		}
	}
}

func TestMoneyPrints(t *testing.T) {
	for _, tt := range []struct {
		n     gateway.NanoUSD
		text  string
		usd   float64
		micro int64
	}{
		{0, "$0.000000000", 0, 0}, {1, "$0.000000001", 1e-9, 0}, {-1, "-$0.000000001", -1e-9, 0},
		{1_100_000, "$0.001100000", 0.0011, 1100}, {250_000_000, "$0.250000000", 0.25, 250_000},
		{-1_500_000_000, "-$1.500000000", -1.5, -1_500_000}, {gateway.MaxUSD, "$1000000000.000000000", 1e9, 1_000_000_000_000_000},
		{-1 << 63, "-$9223372036.854775808", -9223372036.854775808, -9223372036854775},
	} {
		if tt.n.String() != tt.text || tt.n.USD() != tt.usd || tt.n.Micro() != tt.micro {
			t.Errorf("%d: %s, %v, %d; want %s, %v, %d", int64(tt.n), tt.n, tt.n.USD(), tt.n.Micro(), tt.text, tt.usd, tt.micro)
		}
	}
}

// What the API shows of an amount is read back as the same amount.
func FuzzMoneyRoundTrip(f *testing.F) {
	for _, n := range []int64{0, 1, -1, 999_999_999, 1_100_000, 123_456_789, -987_654_321} {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, v int64) {
		n := gateway.NanoUSD(v % 1_000_000_000_000_000) // a million dollars: 15 digits, as many as a float keeps
		back, err := gateway.ParseUSD(strconv.FormatFloat(n.USD(), 'g', -1, 64))
		if err != nil || back != n {
			t.Errorf("%d becomes %d, %v", n, back, err)
		}
	})
}
