// Package record keeps configuration that needs no store methods of its own: a
// store offers one set of calls for records of any kind (Store), and Of gives them
// the types of the gateway's vocabulary back.
package record

import (
	"context"
	"time"
)

// Kind is a sort of records. It is part of their stored form.
type Kind string

// The kinds.
const (
	Users           Kind = "user"     // gateway.User; group: the user id; counted
	Tags            Kind = "tag"      // gateway.Tag; counted
	CustomProviders Kind = "provider" // gateway.CustomProvider; group: the name
	Policies        Kind = "policy"   // gateway.Policy
	Routes          Kind = "route"    // gateway.Route; group: the path
	Audit           Kind = "audit"    // admin's: who changed what
	Creations       Kind = "creation" // admin's: what an idempotent create made
	Tokens          Kind = "token"    // admin's: scoped admin tokens
	Prices          Kind = "prices"   // a price table that replaces the embedded one; group: the table
)

// Record is one stored record.
type Record struct {
	Kind Kind
	ID   string // unique within the kind; at most 255 bytes

	// Group is what the record is looked up by besides its id, and within which
	// creates exclude each other; the id if empty. At most 1 KB.
	Group string

	Version   int64     // assigned by the store, anew with each change
	CreatedAt time.Time // lists are in this order; millisecond resolution
	Expires   time.Time // from then on the record is gone; zero for never

	// Subject names the counter item that is kept with the record, with the
	// same version; empty for none. limit.Share names it to charge it.
	Subject string

	Data []byte // JSON, at most 350 KB
}

// Subjects of counter items.
func UserSubject(id string) string  { return "U#" + id }
func TagSubject(name string) string { return "T#" + name }

// Page selects a part of a list.
type Page struct {
	Cursor string // where the last page ended; empty for the first
	Limit  int    // records at most; 0 for all that are left
}

// Store is what a store offers for records. Errors are gateway.ErrNotFound,
// gateway.ErrExists, those of the functions handed in, and *gateway.Error.
type Store interface {
	// CreateRecord stores r, unless its id is taken (gateway.ErrExists) or check,
	// which may be nil, refuses. check sees the records of r's group as they are:
	// nothing is created in, changed in or deleted from the group between check
	// and the write. It may be called more than once.
	CreateRecord(ctx context.Context, r Record, check func(group []Record) error) error
	// UpdateRecord changes Data and Expires by read-modify-write and returns what
	// was written. change may be called more than once; its error ends the
	// update. What it does to other fields is ignored.
	UpdateRecord(ctx context.Context, kind Kind, id string, change func(*Record) error) (Record, error)
	// DeleteRecord removes the record and its counters. No error if it is absent.
	DeleteRecord(ctx context.Context, kind Kind, id string) error

	// RecordByID reads consistently; gateway.ErrNotFound.
	RecordByID(ctx context.Context, kind Kind, id string) (Record, error)
	// RecordsIn lists the group, consistently: CreatedAt ascending, then ID.
	RecordsIn(ctx context.Context, kind Kind, group string) ([]Record, error)
	// Records lists the kind: CreatedAt descending, then ID ascending; and the
	// cursor of the next page, empty after the last. A change may take a second
	// to show. A cursor that the store did not make is a *gateway.Error of kind
	// Invalid.
	Records(ctx context.Context, kind Kind, page Page) (list []Record, next string, err error)
}
