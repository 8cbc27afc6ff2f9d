package gateway

import "time"

// Basis says where an event's usage comes from.
type Basis string

// The ways to know what a call consumed.
const (
	BasisReported  Basis = "reported"  // by the provider
	BasisEstimated Basis = "estimated" // counted by the gateway
	BasisReserved  Basis = "reserved"  // unknown: the worst case that was reserved stands
	BasisNone      Basis = "none"      // nothing was consumed
	BasisUnpriced  Basis = "unpriced"  // known usage, no price for it
)

// Event is the record of one call: what accounting sums and the operator reads.
// It is written at most once, under KeyID, At and ReservationID.
type Event struct {
	ID            string    `json:"id"`  // uuid, made when the call arrived; also the request id
	ReservationID string    `json:"rid"` // 8 characters; unique beside KeyID and At
	KeyID         string    `json:"key"`
	At            time.Time `json:"at"` // admission, or refusal; millisecond resolution
	Tags          []string  `json:"tags,omitempty"`

	Provider  string `json:"provider,omitempty"`
	SettingID string `json:"setting,omitempty"`
	Model     string `json:"model,omitempty"`   // as asked
	CountAs   string `json:"countAs,omitempty"` // what sums call it, when it differs: OtherModel, or a name in the price table
	Served    string `json:"served,omitempty"`  // as answered, when it differs
	Tier      string `json:"tier,omitempty"`    // service tier as answered
	Method    string `json:"method,omitempty"`
	Path      string `json:"path,omitempty"`     // concrete, without query
	Endpoint  string `json:"endpoint,omitempty"` // registered pattern
	Stream    bool   `json:"stream,omitempty"`
	CustomID  string `json:"customId,omitempty"`
	UserID    string `json:"userId,omitempty"`
	PolicyID  string `json:"policyId,omitempty"`
	RouteID   string `json:"routeId,omitempty"`
	Action    string `json:"action,omitempty"`
	Metadata  []byte `json:"metadata,omitempty"` // JSON

	// Retry is how often the client had sent the call before, as its SDK says.
	Retry int `json:"retry,omitempty"`

	Status    int   `json:"status"`              // sent to the caller; 0 if unknown (Expired)
	LatencyMS int64 `json:"ms,omitempty"`        // receipt to last byte
	FirstMS   int64 `json:"firstMs,omitempty"`   // receipt to first byte of the answer's body
	UpstreamS int   `json:"upstream,omitempty"`  // the provider's status, when it differs
	Truncated bool  `json:"truncated,omitempty"` // the answer ended early

	Usage     map[string]int64 `json:"usage,omitempty"` // by Class name, zero classes left out
	Reasoning int64            `json:"reasoning,omitempty"`
	// Later is the usage, by Class name, of work that an earlier call started and of
	// which this one asked: a finished run, batch or background response. It is
	// charged to nobody and in no sum, for the same is told as often as one asks.
	Later  map[string]int64 `json:"later,omitempty"`
	Tokens int64            `json:"tokens,omitempty"` // charged to token limits
	Cost   NanoUSD          `json:"cost,omitempty"`   // charged
	// Parts of Cost by class name, PerRequest for a fee of the call; they add
	// up to it. Only where Cost was computed from Usage.
	Parts    map[string]NanoUSD `json:"parts,omitempty"`
	Basis    Basis              `json:"basis,omitempty"`
	Unpriced []string           `json:"unpriced,omitempty"` // classes, and whatever else, that had no price
	Price    string             `json:"price,omitempty"`    // version of the price table, with "+costMap"

	Refused   string `json:"refused,omitempty"`   // code of the refusal, or of the failure
	Scope     string `json:"scope,omitempty"`     // whose limit or rule refused: "key", "user:" and the user's record id, or "tag:" and its name
	Expired   bool   `json:"expired,omitempty"`   // closed by a later call: its own process never did
	CapTokens int64  `json:"capTokens,omitempty"` // lowered output cap, when it was lowered

	Request  []byte `json:"request,omitempty"`  // only with Key.LogRequest, bounded
	Response []byte `json:"response,omitempty"` // only with Key.LogResponse, bounded

	// Bodies is how many bytes of Request and Response were left out as the event
	// was read.
	Bodies int `json:"-"`

	// Sealed: Request and Response are sealed by secret.Envelope, for
	// RequestPurpose and ResponsePurpose.
	Sealed bool `json:"sealed,omitempty"`
}

// OtherModel is what sums call the models of failed calls that nothing is known of.
const OtherModel = "(other)"

// SetUsage stores u by class name.
func (e *Event) SetUsage(u Usage) {
	e.Usage, e.Reasoning = u.byName(), u.Reasoning
}

// SetLater stores u as the usage of an earlier call.
func (e *Event) SetLater(u Usage) { e.Later = u.byName() }

// GetUsage is the inverse of SetUsage.
func (e *Event) GetUsage() Usage {
	u := Usage{Reasoning: e.Reasoning}
	for c := range u.Counts {
		u.Counts[c] = e.Usage[ClassNames[c]]
	}
	return u
}

// EventFilter selects events. Conditions are ANDed; empty ones do not count, but
// one of KeyIDs, CustomID and UserID must be given.
type EventFilter struct {
	KeyIDs   []string
	CustomID string
	UserID   string
	From, To time.Time // From included, To excluded; zero for open

	Oldest bool // the oldest first, and not the newest

	// Limit is how many events are wanted, the first of the order; 0 for all.
	Limit int

	// Bare leaves the bodies out and says in Event.Bodies how long they are: a
	// search looks at many events, and shows the bodies of few.
	Bare bool
}

// RequestPurpose and ResponsePurpose bind sealed bodies to their event: what is
// copied to another event does not open.
func (e *Event) RequestPurpose() string  { return e.ID + "/request" }
func (e *Event) ResponsePurpose() string { return e.ID + "/response" }
