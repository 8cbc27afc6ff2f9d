// Package storetest is the contract of a store as a test suite: the limits hold
// under concurrency, nothing is counted twice, and a failure between any two
// storage calls leaves books that can be put right.
//
// Every store runs it through Test. Numbers are exact: the suite brings its own
// clock, and the store is to ask no other.
package storetest

import (
	"context"
	"testing"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/record"
)

// Store is what a store offers to the rest of the program.
type Store interface {
	// Reserve ignores an idempotency key that was forgotten or has expired.
	// Otherwise one that was claimed by another call answers limit.ErrRunning
	// while that call is open and limit.ErrRepeated afterwards. It is looked at
	// before the limits and before the version. A key that was deleted is
	// limit.ErrStale.
	//
	// Settle uses the event's KeyID, At and ReservationID as its name.
	limit.Ledger

	// Counters is the raw state of a counter item, a key's by its hash and any
	// other by its subject; gateway.ErrNotFound if there is none.
	Counters(ctx context.Context, subject string) (limit.Counters, error)

	// Record writes the event of a call that reserved nothing. An event with the
	// same KeyID, At and ReservationID that is there already stays as it is,
	// without an error.
	Record(ctx context.Context, e gateway.Event) error

	// Events is newest first: At descending, then ReservationID ascending. Each
	// event appears once, even if the filter names its key twice. A filter with
	// none of KeyIDs, CustomID and UserID is an error.
	Events(ctx context.Context, f gateway.EventFilter) ([]gateway.Event, error)

	// CreateKey also creates the counters. It assigns Version, whatever k holds,
	// and fails with gateway.ErrExists when the id or one of its secrets is taken.
	CreateKey(ctx context.Context, k gateway.Key) error
	// UpdateKey changes a key by read-modify-write and returns what was written.
	// It may call change more than once. An error of change is returned and
	// nothing is written. What change does to ID, Hash, CreatedAt and Version is
	// ignored; Version is assigned anew, on the key and on its counters. A change of
	// Secrets that gives the key one that is taken is gateway.ErrExists.
	UpdateKey(ctx context.Context, id string, change func(*gateway.Key) error) (gateway.Key, error)
	// DeleteKey removes the key and its counters, and gives all of its secrets free.
	// No error if it is absent.
	DeleteKey(ctx context.Context, id string) error
	Key(ctx context.Context, id string) (gateway.Key, error)
	// KeyByHash finds a key by each of its Hashes. Counters are found by the first.
	KeyByHash(ctx context.Context, hash string) (gateway.Key, error)
	// Keys lists all: CreatedAt descending, then ID ascending.
	Keys(ctx context.Context) ([]gateway.Key, error)
	// KeysUsing lists the ids of the keys with the reference, consistently and in no
	// order.
	KeysUsing(ctx context.Context, r gateway.Reference) ([]string, error)

	// CreateSetting assigns Version; gateway.ErrExists when the id is taken.
	CreateSetting(ctx context.Context, v gateway.Setting) error
	// UpdateSetting is to settings what UpdateKey is to keys. What change does to
	// ID, CreatedAt and Version is ignored. Every key that uses the setting gets
	// a new Version after the setting was written; if that fails, the setting as
	// written comes with the error.
	UpdateSetting(ctx context.Context, id string, change func(*gateway.Setting) error) (gateway.Setting, error)
	// DeleteSetting gives the keys that use the setting a new Version, too. No
	// error if it is absent.
	DeleteSetting(ctx context.Context, id string) error
	Setting(ctx context.Context, id string) (gateway.Setting, error)
	// Settings answers in the order of ids: unknown ones are left out, repeated
	// ones repeated.
	Settings(ctx context.Context, ids []string) ([]gateway.Setting, error)
	// AllSettings lists all: CreatedAt descending, then ID ascending.
	AllSettings(ctx context.Context) ([]gateway.Setting, error)

	// Records of all other kinds.
	record.Store

	Ping(ctx context.Context) error
	Close() error
}

// When says at which moment a storage call fails.
type When int

// The moments. A call that fails returns an error to the store in both cases.
const (
	Never  When = iota
	Before      // nothing was written: the connection broke before the request left
	After       // it was written: the answer was lost
)

func (w When) String() string { return [...]string{"never", "before", "after"}[w] }

// Options is what the suite asks of a store it opens.
type Options struct {
	// Now is the only clock the store may use. Safe for concurrent use.
	Now func() time.Time

	// Fault is to be asked before each storage call (a request to the database,
	// a commit) whether it fails; op names the call in messages. It is never nil
	// and safe for concurrent use. Reads may ask it as well: they are calls.
	Fault func(op string) When
}

// Test runs the suite. Each test calls open once, for an empty store, which open
// closes with t.Cleanup.
func Test(t *testing.T, open func(t *testing.T, opt Options) Store) {
	tests := []struct {
		name string
		run  func(*suite)
	}{
		{"RequestsCap", testRequestsCap},
		{"TokensCap", testTokensCap},
		{"CostCap", testCostCap},
		{"ConcurrencyCap", testConcurrencyCap},
		{"ConcurrencyChurn", testConcurrencyChurn},
		{"AllOrNothing", testAllOrNothing},
		{"AllOrNothingConcurrent", testAllOrNothingConcurrent},
		{"OneDollar", testOneDollar},
		{"Standing", testStanding},
		{"DeniedNamesTheLongestWait", testDeniedLongest},
		{"WindowChange", testWindowChange},
		{"StaleWindows", testStaleWindows},
		{"SpendWithoutLimit", testSpendWithoutLimit},
		{"SettleAboveReservation", testSettleAbove},
		{"StaleVersion", testStaleVersion},
		{"ReserveWhileKeyChanges", testReserveWhileKeyChanges},
		{"DeletedKey", testDeletedKey},

		{"RetriedReserve", testRetriedReserve},
		{"RetriedSettle", testRetriedSettle},
		{"ConcurrentRetries", testConcurrentRetries},
		{"FaultOnce", testFaultOnce},
		{"FaultOnceDenied", testFaultOnceDenied},
		{"FaultOnceConcurrent", testFaultOnceConcurrent},
		{"KilledInReserve", testKilledInReserve},
		{"KilledBeforeSettle", testKilledBeforeSettle},
		{"KilledInSettle", testKilledInSettle},
		{"EventBeforeSettle", testEventBeforeSettle},
		{"SixteenClosers", testSixteenClosers},
		{"LateSettle", testLateSettle},

		{"SharesStanding", testSharesStanding},
		{"SharesLongestWait", testSharesLongestWait},
		{"SharesSpend", testSharesSpend},
		{"SharesKeyBinds", testSharesKeyBinds},
		{"SharesUserBinds", testSharesUserBinds},
		{"SharesTagBinds", testSharesTagBinds},
		{"SharesAllBind", testSharesAllBind},
		{"SharesTenCents", testSharesTenCents},
		{"SharesRetries", testSharesRetries},
		{"SharesRelease", testSharesRelease},
		{"SharesStale", testSharesStale},
		{"SharesDeletedUser", testSharesDeletedUser},
		{"SharesIdempotency", testSharesIdempotency},
		{"SharesWithoutKeyID", testSharesWithoutKeyID},
		{"SharesFaultOnce", testSharesFaultOnce},
		{"SharesFaultOnceDenied", testSharesFaultOnceDenied},
		{"SharesFaultsConcurrent", testSharesFaultsConcurrent},
		{"SharesKilledInReserve", testSharesKilledInReserve},
		{"SharesKilledInRelease", testSharesKilledInRelease},
		{"SharesKilledInSettle", testSharesKilledInSettle},
		{"SharesClosedByAnotherKey", testSharesClosedByAnotherKey},

		{"IdempotencyRunning", testIdempotencyRunning},
		{"IdempotencyEnded", testIdempotencyEnded},
		{"IdempotencyForgotten", testIdempotencyForgotten},
		{"IdempotencyDenied", testIdempotencyDenied},
		{"IdempotencyStale", testIdempotencyStale},
		{"IdempotencyExpiry", testIdempotencyExpiry},
		{"IdempotencySlowCall", testIdempotencySlowCall},
		{"IdempotencyConcurrent", testIdempotencyConcurrent},
		{"IdempotencyValues", testIdempotencyValues},

		{"KeyCRUD", testKeyCRUD},
		{"KeyExists", testKeyExists},
		{"KeyUpdate", testKeyUpdate},
		{"KeyUpdateParallel", testKeyUpdateParallel},
		{"KeyRecreated", testKeyRecreated},
		{"KeyOddCharacters", testKeyOddCharacters},
		{"SecretRotated", testSecretRotated},
		{"SecretTaken", testSecretTaken},
		{"SecretDeleted", testSecretDeleted},
		{"SecretsOfNewKey", testSecretsOfNewKey},
		{"SecretRace", testSecretRace},
		{"SecretFaults", testSecretFaults},
		{"SettingCRUD", testSettingCRUD},
		{"SettingBumpsKeys", testSettingBumpsKeys},
		{"SettingAndKeyParallel", testSettingAndKeyParallel},
		{"RecordCRUD", testRecordCRUD},
		{"RecordGroups", testRecordGroups},
		{"KeysUsing", testKeysUsing},
		{"RecordChecksRace", testRecordChecksRace},
		{"RecordUpdateParallel", testRecordUpdateParallel},
		{"RecordPages", testRecordPages},
		{"RecordExpiry", testRecordExpiry},
		{"RecordCounters", testRecordCounters},
		{"RecordFaults", testRecordFaults},
		{"RecordOddCharacters", testRecordOddCharacters},
		{"Ping", testPing},

		{"EventOnce", testEventOnce},
		{"EventWhole", testEventWhole},
		{"EventOrder", testEventOrder},
		{"EventFilters", testEventFilters},
		{"EventTimeBounds", testEventTimeBounds},
		{"EventOddCharacters", testEventOddCharacters},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.run(start(t, open)) })
	}
}
