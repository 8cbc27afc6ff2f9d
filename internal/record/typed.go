package record

import (
	"context"
	"encoding/json"
	"fmt"
)

// Of gives records of one kind their type. T is stored as JSON.
type Of[T any] struct {
	Store
	Kind Kind
	// Head fills in what the store must know of a value: ID, Group, CreatedAt,
	// Expires, Subject.
	Head func(v *T) Record
}

// Create stores v. check is called with the values of v's group, nil for none.
func (o Of[T]) Create(ctx context.Context, v *T, check func(group []T) error) error {
	r, err := o.record(v)
	if err != nil {
		return err
	}
	var checkRecords func([]Record) error
	if check != nil {
		checkRecords = func(group []Record) error {
			list, err := decodeAll[T](group)
			if err != nil {
				return err
			}
			return check(list)
		}
	}
	return o.Store.CreateRecord(ctx, r, checkRecords)
}

func (o Of[T]) record(v *T) (Record, error) {
	r := o.Head(v)
	r.Kind = o.Kind
	var err error
	r.Data, err = json.Marshal(v)
	return r, err
}

// Update changes a value by read-modify-write and returns it with its new version.
// change is told the version that it starts from.
func (o Of[T]) Update(ctx context.Context, id string, change func(v *T, version int64) error) (v T, version int64, err error) {
	written, err := o.Store.UpdateRecord(ctx, o.Kind, id, func(r *Record) (err error) {
		if v, err = decode[T](*r); err != nil {
			return err
		}
		if err := change(&v, r.Version); err != nil {
			return err
		}
		changed, err := o.record(&v)
		r.Data, r.Expires = changed.Data, changed.Expires
		return err
	})
	return v, written.Version, err
}

// Delete removes a value; no error if it is absent.
func (o Of[T]) Delete(ctx context.Context, id string) error {
	return o.Store.DeleteRecord(ctx, o.Kind, id)
}

// Get reads a value and its version; gateway.ErrNotFound.
func (o Of[T]) Get(ctx context.Context, id string) (v T, version int64, err error) {
	r, err := o.Store.RecordByID(ctx, o.Kind, id)
	if err != nil {
		return v, 0, err
	}
	v, err = decode[T](r)
	return v, r.Version, err
}

// In lists the values of a group, oldest first.
func (o Of[T]) In(ctx context.Context, group string) ([]T, error) {
	list, err := o.Store.RecordsIn(ctx, o.Kind, group)
	if err != nil {
		return nil, err
	}
	return decodeAll[T](list)
}

// List lists all values, newest first.
func (o Of[T]) List(ctx context.Context, page Page) ([]T, string, error) {
	list, next, err := o.Store.Records(ctx, o.Kind, page)
	if err != nil {
		return nil, "", err
	}
	all, err := decodeAll[T](list)
	return all, next, err
}

func decode[T any](r Record) (v T, err error) {
	if err := json.Unmarshal(r.Data, &v); err != nil {
		return v, fmt.Errorf("record: %s %s: %w", r.Kind, r.ID, err)
	}
	return v, nil
}

func decodeAll[T any](list []Record) ([]T, error) {
	all := make([]T, len(list))
	for i := range list {
		var err error
		if all[i], err = decode[T](list[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}
