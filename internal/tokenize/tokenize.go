// Package tokenize counts tokens offline, for calls whose cheap bound does not fit
// a budget and for answers that came without usage. Loading its vocabulary takes
// a third of a second and 24 MB, so nothing happens before the first count.
package tokenize

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"sync"
	"unicode/utf8"

	"github.com/pkoukk/tiktoken-go"
)

// o200k_base is the vocabulary of OpenAI's models since GPT-4o; package generate
// made the file. Models of other vendors split text differently: for them the
// count is an estimate.
//
//go:embed o200k_base.bin.gz
var vocabulary []byte

// maxPiece bounds what is encoded at once: the encoder takes quadratic time on
// long runs of one kind of character. Cutting a text can only raise its count.
const maxPiece = 256

// MaxText is how many bytes are encoded for one count. A longer text is refused:
// at 400,000 tokens a second it would hold up its call for seconds.
const MaxText = 2 << 20

// ErrTooLong is returned for texts over MaxText.
var ErrTooLong = errors.New("tokenize: text is too long to be counted")

var load = sync.OnceValues(func() (*tiktoken.Tiktoken, error) {
	tiktoken.SetBpeLoader(embedded{})
	t, err := tiktoken.GetEncoding(tiktoken.MODEL_O200K_BASE)
	vocabulary = nil // the encoder has its own copy
	return t, err
})

// Count is the number of tokens of the texts together.
func Count(texts ...string) (int64, error) {
	size := 0
	for _, s := range texts {
		size += len(s)
	}
	if size > MaxText {
		return 0, ErrTooLong
	}
	t, err := load()
	if err != nil {
		return 0, fmt.Errorf("tokenize: %w", err)
	}
	n := 0
	for _, s := range texts {
		if !utf8.ValidString(s) {
			n += len(s) // nobody says how a provider reads it; bytes never undercount
			continue
		}
		for s != "" {
			piece := cut(s)
			n += len(t.EncodeOrdinary(piece))
			s = s[len(piece):]
		}
	}
	return int64(n), nil
}

// cut takes a piece from the beginning of s: if possible up to the last blank,
// where the encoder would cut too, else up to a whole character.
func cut(s string) string {
	if len(s) <= maxPiece {
		return s
	}
	for i := maxPiece; i > maxPiece/2; i-- {
		if s[i] == ' ' {
			return s[:i]
		}
	}
	end := maxPiece
	for end > maxPiece-utf8.UTFMax && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// embedded reads the vocabulary from the binary instead of the network.
type embedded struct{}

func (embedded) LoadTiktokenBpe(string) (map[string]int, error) {
	z, err := gzip.NewReader(bytes.NewReader(vocabulary))
	if err != nil {
		return nil, err
	}
	packed, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	ranks := make(map[string]int, 200_000)
	for len(packed) > 0 {
		n := int(packed[0])
		if len(packed) < 1+n {
			return nil, io.ErrUnexpectedEOF
		}
		ranks[string(packed[1:1+n])] = len(ranks)
		packed = packed[1+n:]
	}
	return ranks, nil
}
