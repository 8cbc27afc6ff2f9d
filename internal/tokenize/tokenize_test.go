package tokenize_test

import (
	"errors"
	"strings"
	"testing"

	"tollgate/internal/tokenize"
)

// The counts are those of OpenAI's own tokenizer for o200k_base.
func TestCount(t *testing.T) {
	for _, tt := range []struct {
		name  string
		texts []string
		want  int64
	}{
		{"nothing", nil, 0},
		{"empty", []string{""}, 0},
		{"one word", []string{"hello"}, 1},
		{"two words", []string{"hello world"}, 2},
		{"sum of texts", []string{"hello", " world"}, 2},
		{"special tokens are plain text", []string{"<|endoftext|>"}, 7},
		{"accents", []string{"naïve café"}, 4},
		{"invalid UTF-8 counts too", []string{"\xff\xfe"}, 2},
	} {
		got, err := tokenize.Count(tt.texts...)
		if err != nil || got != tt.want {
			t.Errorf("%s: Count = %d, %v; want %d", tt.name, got, err, tt.want)
		}
	}
}

func TestCountNeverExceedsBytes(t *testing.T) {
	for _, s := range []string{
		strings.Repeat("a", 10_000), strings.Repeat("😀", 5_000), strings.Repeat(" ", 3_000),
		strings.Repeat("word and blank ", 1_000), strings.Repeat("é", 999),
	} {
		got, err := tokenize.Count(s)
		if err != nil || got > int64(len(s)) || got < 1 {
			t.Errorf("Count of %d bytes %.10q… = %d, %v", len(s), s, got, err)
		}
	}
}

func TestCountRefusesWhatWouldTakeSeconds(t *testing.T) {
	if _, err := tokenize.Count(strings.Repeat("x", tokenize.MaxText+1)); !errors.Is(err, tokenize.ErrTooLong) {
		t.Errorf("error = %v, want ErrTooLong", err)
	}
}

// 78 kB of emoji took the encoder seconds before texts were cut into pieces.
func BenchmarkCountEmoji(b *testing.B) {
	s := strings.Repeat("😀🚀", 78_000/8)
	tokenize.Count("load")
	for b.Loop() {
		tokenize.Count(s)
	}
}

func BenchmarkCountEnglish10kB(b *testing.B) {
	s := strings.Repeat("The quick brown fox jumps over the lazy dog. ", 10_000/45)
	tokenize.Count("load")
	for b.Loop() {
		tokenize.Count(s)
	}
}
