package gateway

// Measure is what a limit counts.
type Measure string

// The measures, as the public API spells them.
const (
	Requests    Measure = "requests"    // admitted calls
	Tokens      Measure = "tokens"      // input and output tokens
	Cost        Measure = "cost"        // money
	Concurrency Measure = "concurrency" // calls in flight; has no window
)

// Measures lists the measures that have a window. A position in it is part of
// the stored form of a reservation: append only.
var Measures = [...]Measure{Requests, Tokens, Cost}

// Valid reports whether m is a known measure.
func (m Measure) Valid() bool {
	return m == Requests || m == Tokens || m == Cost || m == Concurrency
}

// Limit caps one measure in one window.
type Limit struct {
	Measure Measure `json:"m"`
	Per     Unit    `json:"p,omitempty"` // empty for Concurrency
	Max     int64   `json:"x"`           // calls, tokens, or nano-dollars for Cost
}
