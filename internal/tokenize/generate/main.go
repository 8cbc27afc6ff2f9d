// Command generate packs a tiktoken vocabulary into the form that package
// tokenize embeds. A developer runs it when OpenAI publishes a new encoding:
//
//	go run ./internal/tokenize/generate < o200k_base.tiktoken > internal/tokenize/o200k_base.bin.gz
//
// The input has a line for each token: its bytes in base64, a space, its rank.
// The output is the tokens in the order of their ranks, each one byte of length
// and then its bytes, compressed with gzip.
package main

import (
	"bufio"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"strings"
)

func main() {
	if err := pack(os.Stdin, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func pack(r io.Reader, w io.Writer) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(r)
	for want := 0; lines.Scan(); want++ {
		encoded, rank, ok := strings.Cut(lines.Text(), " ")
		token, err := base64.StdEncoding.DecodeString(encoded)
		n, rankErr := strconv.Atoi(rank)
		if !ok || err != nil || rankErr != nil || len(token) == 0 || len(token) > 255 {
			return fmt.Errorf("line %d cannot be read", want+1)
		}
		if n != want {
			return fmt.Errorf("line %d has rank %d: ranks must be complete and in order", want+1, n)
		}
		if _, err := z.Write(append([]byte{byte(len(token))}, token...)); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return z.Close()
}
