package admin

import (
	"errors"
	"math"
	"strings"
	"time"
)

var errTTL = errors.New("not a duration of at least a second")

// parseTTL reads a key's life: a Go duration, optionally with days in front
// ("36h", "2d", "1d12h"). Zero, or empty, is for ever.
func parseTTL(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	if len(s) > maxText {
		return 0, errTTL
	}
	days, rest, ok := strings.Cut(s, "d")
	if !ok {
		days, rest = "0", s
	}
	life, err := parseDays(days)
	if err != nil || ok && rest != "" && !startsWithDigit(rest) { // no sign in the middle
		return 0, errTTL
	}
	if rest != "" {
		d, err := time.ParseDuration(rest)
		if err != nil || d > 0 && life > math.MaxInt64-d {
			return 0, errTTL
		}
		life += d
	}
	if life < 0 || life > 0 && life < time.Second {
		return 0, errTTL
	}
	return life, nil
}

// parseDays reads the number in front of the d as hours and makes days of them.
func parseDays(number string) (time.Duration, error) {
	if strings.Trim(number, "+-.0123456789") != "" {
		return 0, errTTL
	}
	d, err := time.ParseDuration(number + "h")
	if err != nil || d < 0 || d > math.MaxInt64/24 {
		return 0, errTTL
	}
	return d * 24, nil
}

func startsWithDigit(s string) bool { return s[0] == '.' || '0' <= s[0] && s[0] <= '9' }
