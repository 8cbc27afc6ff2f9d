package dynamo_test

import (
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"

	"tollgate/internal/store/storetest"
)

// wire is what lies between the store and the database. It counts requests, lets
// some fail before they are sent or after they were answered, and can answer in
// the database's place.
type wire struct {
	aws.HTTPClient
	fault    func(op string) storetest.When
	requests atomic.Int64

	mu   sync.Mutex
	fake map[string][]answer // by operation, used up one by one
}

type answer struct {
	status int
	body   string
}

var errWire = errors.New("connection reset by peer (injected)")

// answer lets the next requests of an operation be answered like this.
func (w *wire) answer(op string, times int, a answer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fake == nil {
		w.fake = make(map[string][]answer)
	}
	for range times {
		w.fake[op] = append(w.fake[op], a)
	}
}

func (w *wire) next(op string) (answer, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.fake[op]
	if len(list) == 0 {
		return answer{}, false
	}
	w.fake[op] = list[1:]
	return list[0], true
}

func (w *wire) Do(req *http.Request) (*http.Response, error) {
	w.requests.Add(1)
	_, op, _ := strings.Cut(req.Header.Get("X-Amz-Target"), ".")
	if a, ok := w.next(op); ok {
		return a.response(req), nil
	}
	when := storetest.Never
	if w.fault != nil {
		when = w.fault(op)
	}
	if when == storetest.Before {
		return nil, errWire
	}
	res, err := w.HTTPClient.Do(req)
	if when == storetest.After && err == nil {
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		return nil, errWire
	}
	return res, err
}

func (a answer) response(req *http.Request) *http.Response {
	return &http.Response{
		StatusCode: a.status,
		Header: http.Header{
			"Content-Type": {"application/x-amz-json-1.0"},
			"X-Amz-Crc32":  {strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(a.body))), 10)},
		},
		Body:    io.NopCloser(strings.NewReader(a.body)),
		Request: req,
	}
}
