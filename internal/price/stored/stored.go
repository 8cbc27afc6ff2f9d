// Package stored keeps a price table that replaces the embedded one while the
// program runs: Put and Remove for those who change it, a Source for those who
// price by it.
//
// A table lies in several records of one group, with a head that names the group.
// The head is written last, so that nobody finds half a table.
package stored

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/price"
	"tollgate/internal/record"
)

const (
	// headID is the record that names the table in use.
	headID = "current"
	// partSize is how much of a compressed table one record takes; in base64 it
	// stays below the 350 KB that a record's data may have.
	partSize = 240 << 10
	// maxSize bounds a table, not compressed.
	maxSize = 16 << 20
	// unusedFor is how long the parts of a table stay that no head names: whoever
	// has just read the old head, or is about to write a new one, needs them.
	unusedFor = 10 * time.Minute
	// maxUsed bounds how many versions the head remembers.
	maxUsed = 500
	// headTries bounds how often a head is written that others write too.
	headTries = 5
)

// head is the data of the head's record.
type head struct {
	Group   string            `json:"group,omitempty"` // of the parts; empty: the embedded table counts
	Parts   int               `json:"parts,omitempty"`
	Version string            `json:"version,omitempty"`
	At      time.Time         `json:"at,omitzero"`
	Used    map[string]string `json:"used,omitempty"` // digests by version, of all tables so far
}

// part is the data of a part's record.
type part struct {
	Gzip []byte `json:"gzip"`
}

// Info is what is known of a stored table beside its prices.
type Info struct {
	At   time.Time // when it was stored
	File []byte    // as it was stored, in the format of price.File
}

// Check reads a table as Put would and stores nothing. Its errors are those of Put.
func Check(ctx context.Context, s record.Store, file []byte) (*price.Table, error) {
	table, err := read(file)
	if err != nil {
		return nil, err
	}
	digest, err := digestOf(file)
	if err != nil {
		return nil, err
	}
	h, _, err := readHead(ctx, s)
	if err != nil {
		return nil, err
	}
	return table, h.accepts(table.Version(), digest)
}

// Put makes the table the one in use. A table that does not validate, or whose
// version is that of another table, is a *gateway.Error and changes nothing; all
// other errors are the store's.
func Put(ctx context.Context, s record.Store, file []byte, now time.Time) (*price.Table, error) {
	table, err := Check(ctx, s, file) // before anything is written
	if err != nil {
		return nil, err
	}
	digest, err := digestOf(file)
	if err != nil {
		return nil, err
	}
	group, parts, err := writeParts(ctx, s, file, now)
	if err != nil {
		return nil, err
	}
	err = writeHead(ctx, s, now, func(h *head) error {
		if err := h.accepts(table.Version(), digest); err != nil {
			return err
		}
		h.Group, h.Parts, h.Version, h.At = group, parts, table.Version(), now
		h.remember(table.Version(), digest)
		return nil
	})
	if err != nil {
		return nil, err
	}
	sweep(ctx, s, group, now)
	return table, nil
}

// Remove puts the embedded table back into use. No error if it is in use.
func Remove(ctx context.Context, s record.Store, now time.Time) error {
	err := writeHead(ctx, s, now, func(h *head) error {
		*h = head{Used: h.Used}
		return nil
	})
	if err == nil {
		sweep(ctx, s, "", now)
	}
	return err
}

// Get reads the stored table; nil without an error if the embedded one is in use.
func Get(ctx context.Context, s record.Store) (*price.Table, Info, error) {
	h, _, file, err := fetch(ctx, s, 0)
	if err != nil || h.Group == "" {
		return nil, Info{}, err
	}
	table, err := price.Parse(file)
	return table, Info{At: h.At, File: file}, err
}

// fetch reads the head and its version in the store, and the table that it names,
// if it names one and its version is not the known one.
func fetch(ctx context.Context, s record.Store, known int64) (h head, version int64, file []byte, err error) {
	for range headTries {
		h, version, err = readHead(ctx, s)
		if err != nil || h.Group == "" || version == known {
			return h, version, nil, err
		}
		// Its parts may be gone since the head was read, and then there is a new one.
		if file, err = load(ctx, s, h); !errors.Is(err, errGone) {
			break
		}
	}
	return h, version, file, err
}

// read validates a table.
func read(file []byte) (*price.Table, error) {
	if len(file) > maxSize {
		return nil, &gateway.Error{Kind: gateway.TooLarge, Message: fmt.Sprintf("the price table is larger than %d bytes", maxSize)}
	}
	table, err := price.Parse(file)
	if err != nil {
		return nil, &gateway.Error{Kind: gateway.Invalid, Code: "price_table_invalid", Message: err.Error()}
	}
	return table, nil
}

// digestOf names a table by its content, whatever its white space.
func digestOf(file []byte) (string, error) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, file); err != nil {
		return "", err
	}
	sum := sha256.Sum256(compact.Bytes())
	return hex.EncodeToString(sum[:16]), nil
}

// accepts refuses a version that names another table already: events name the
// version that they were priced by.
func (h *head) accepts(version, digest string) error {
	used, ok := h.Used[version]
	if version == price.Embedded().Version() {
		var err error
		if used, err = digestOf(price.EmbeddedFile()); err != nil {
			return err
		}
		ok = true
	}
	if ok && used != digest {
		return &gateway.Error{Kind: gateway.Conflict, Code: "price_version_used", Message: fmt.Sprintf(
			"version %s is the name of another price table, and events name it; call this one %s.2, or by a later date", version, version)}
	}
	return nil
}

// remember keeps the version's digest, and forgets the oldest one beyond maxUsed.
func (h *head) remember(version, digest string) {
	used := map[string]string{version: digest}
	oldest := version
	for v, d := range h.Used {
		used[v] = d
		oldest = min(oldest, v)
	}
	if len(used) > maxUsed {
		delete(used, oldest)
	}
	h.Used = used
}

// readHead reads the head and its version in the store, both zero if no table was
// ever stored.
func readHead(ctx context.Context, s record.Store) (h head, version int64, err error) {
	r, err := s.RecordByID(ctx, record.Prices, headID)
	if errors.Is(err, gateway.ErrNotFound) {
		return head{}, 0, nil
	}
	if err != nil {
		return head{}, 0, err
	}
	if err := json.Unmarshal(r.Data, &h); err != nil {
		return head{}, 0, fmt.Errorf("price table: head: %w", err)
	}
	return h, r.Version, nil
}

// writeHead changes the head, or makes the first one. change may run several times.
func writeHead(ctx context.Context, s record.Store, now time.Time, change func(*head) error) error {
	changeRecord := func(r *record.Record) error {
		var h head
		if len(r.Data) > 0 {
			if err := json.Unmarshal(r.Data, &h); err != nil {
				return fmt.Errorf("price table: head: %w", err)
			}
		}
		err := change(&h)
		if err == nil {
			r.Data, err = json.Marshal(h)
		}
		return err
	}
	var err error
	for range headTries {
		_, err = s.UpdateRecord(ctx, record.Prices, headID, changeRecord)
		if !errors.Is(err, gateway.ErrNotFound) {
			return err
		}
		first := record.Record{Kind: record.Prices, ID: headID, CreatedAt: now}
		if err := changeRecord(&first); err != nil {
			return err
		}
		if err = s.CreateRecord(ctx, first, nil); !errors.Is(err, gateway.ErrExists) {
			return err
		}
	}
	return err
}

// writeParts stores the table under a new group.
func writeParts(ctx context.Context, s record.Store, file []byte, now time.Time) (group string, parts int, err error) {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return "", 0, err
	}
	if _, err := w.Write(file); err != nil {
		return "", 0, err
	}
	if err := w.Close(); err != nil {
		return "", 0, err
	}
	group = rand.Text()
	for packed.Len() > 0 {
		data, err := json.Marshal(part{packed.Next(partSize)})
		if err != nil {
			return "", 0, err
		}
		r := record.Record{Kind: record.Prices, ID: partID(group, parts), Group: group, CreatedAt: now, Data: data}
		if err := s.CreateRecord(ctx, r, nil); err != nil {
			return "", 0, err
		}
		parts++
	}
	return group, parts, nil
}

// partID sorts as the parts follow each other.
func partID(group string, n int) string { return fmt.Sprintf("%s/%04d", group, n) }

var errGone = errors.New("price table: parts are missing")

// load reads the table that a head names. errGone: another has replaced it since.
func load(ctx context.Context, s record.Store, h head) ([]byte, error) {
	records, err := s.RecordsIn(ctx, record.Prices, h.Group)
	if err != nil {
		return nil, err
	}
	if len(records) != h.Parts {
		return nil, errGone
	}
	var packed bytes.Buffer
	for i := range records {
		var p part
		if err := json.Unmarshal(records[i].Data, &p); err != nil {
			return nil, fmt.Errorf("price table: part %d: %w", i, err)
		}
		packed.Write(p.Gzip)
	}
	unpacked, err := gzip.NewReader(&packed)
	if err != nil {
		return nil, fmt.Errorf("price table: %w", err)
	}
	file, err := io.ReadAll(io.LimitReader(unpacked, maxSize+1))
	if err == nil && len(file) > maxSize {
		err = fmt.Errorf("price table: larger than %d bytes", maxSize)
	}
	return file, err
}

// sweep deletes the parts that no head names: of tables replaced, and of a Put that
// did not come to its end. What it fails to delete, the next one finds.
func sweep(ctx context.Context, s record.Store, inUse string, now time.Time) {
	var page record.Page
	page.Limit = 20
	for {
		list, next, err := s.Records(ctx, record.Prices, page)
		if err != nil {
			return
		}
		for _, r := range list {
			if r.ID == headID || r.Group == inUse || now.Sub(r.CreatedAt) < unusedFor {
				continue
			}
			if err := s.DeleteRecord(ctx, r.Kind, r.ID); err != nil {
				return
			}
		}
		if next == "" {
			return
		}
		page.Cursor = next
	}
}
