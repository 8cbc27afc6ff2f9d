package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/record"
)

func policyRecord(id string) record.Record {
	return record.Record{Kind: record.Policies, ID: id, CreatedAt: epoch, Data: []byte(`{"a":1}`)}
}

func userRecord(id, userID string) record.Record {
	return record.Record{Kind: record.Users, ID: id, Group: userID, CreatedAt: epoch,
		Subject: record.UserSubject(id), Data: []byte(`{"id":"` + id + `"}`)}
}

func recordIDs(list []record.Record) []string {
	ids := make([]string, len(list))
	for i := range list {
		ids[i] = list[i].ID
	}
	return ids
}

func testRecordCRUD(s *suite) {
	_, err := s.RecordByID(s.ctx, record.Policies, "p1")
	s.is("nothing there", err, gateway.ErrNotFound)
	_, err = s.UpdateRecord(s.ctx, record.Policies, "p1", func(*record.Record) error { return nil })
	s.is("update of nothing", err, gateway.ErrNotFound)
	s.must(s.DeleteRecord(s.ctx, record.Policies, "p1"))
	for _, r := range []record.Record{policyRecord("p1"), userRecord("u1", "ann")} {
		s.must(s.CreateRecord(s.ctx, r, nil))
		s.is("again", s.CreateRecord(s.ctx, r, nil), gateway.ErrExists)
		s.recordLife(r)
	}
}

// recordLife takes a record that was just created through the rest of its life.
func (s *suite) recordLife(r record.Record) {
	got, err := s.RecordByID(s.ctx, r.Kind, r.ID)
	s.must(err)
	if got.Version == 0 {
		s.Error("no version")
	}
	r.Version = got.Version
	s.same("RecordByID", got, r)

	refuse := errors.New("refused")
	_, err = s.UpdateRecord(s.ctx, r.Kind, r.ID, func(r *record.Record) error {
		r.Data = []byte(`{"not":"this"}`)
		return refuse
	})
	s.is("error of change", err, refuse)
	updated, err := s.UpdateRecord(s.ctx, r.Kind, r.ID, func(r *record.Record) error {
		r.Data, r.ID, r.Group, r.Subject, r.CreatedAt, r.Version = []byte(`{"b":2}`), "x", "y", "z", epoch.Add(time.Hour), 3
		return nil
	})
	s.must(err)
	if updated.Version <= r.Version {
		s.Errorf("version %d after %d", updated.Version, r.Version)
	}
	r.Data, r.Version = []byte(`{"b":2}`), updated.Version
	s.same("updated", updated, r)
	got, err = s.RecordByID(s.ctx, r.Kind, r.ID)
	s.must(err)
	s.same("after the update", got, r)

	s.must(s.DeleteRecord(s.ctx, r.Kind, r.ID))
	s.must(s.DeleteRecord(s.ctx, r.Kind, r.ID))
	_, err = s.RecordByID(s.ctx, r.Kind, r.ID)
	s.is("after deletion", err, gateway.ErrNotFound)
	s.must(s.CreateRecord(s.ctx, r, nil))
	again, err := s.RecordByID(s.ctx, r.Kind, r.ID)
	s.must(err)
	if again.Version <= updated.Version {
		s.Errorf("made again with version %d after %d", again.Version, updated.Version)
	}
}

func testRecordGroups(s *suite) {
	for i, id := range []string{"u2", "u1", "u3"} {
		r := userRecord(id, "ann")
		r.CreatedAt = epoch.Add(time.Duration(i/2) * time.Minute)
		s.must(s.CreateRecord(s.ctx, r, nil))
	}
	s.must(s.CreateRecord(s.ctx, userRecord("u4", "ann#"), nil))
	in := func(group string) []string {
		list, err := s.RecordsIn(s.ctx, record.Users, group)
		s.must(err)
		return recordIDs(list)
	}
	s.same("group", in("ann"), []string{"u1", "u2", "u3"})
	s.same("a group whose name begins like it", in("ann#"), []string{"u4"})
	s.same("no group", in("an"), []string{})

	refuse := errors.New("refused")
	err := s.CreateRecord(s.ctx, userRecord("u5", "ann"), func(group []record.Record) error {
		s.same("what check sees", recordIDs(group), []string{"u1", "u2", "u3"})
		return refuse
	})
	s.is("check", err, refuse)
	_, err = s.RecordByID(s.ctx, record.Users, "u5")
	s.is("what check refused", err, gateway.ErrNotFound)
	s.must(s.DeleteRecord(s.ctx, record.Users, "u2"))
	s.same("after a deletion", in("ann"), []string{"u1", "u3"})

	for _, kind := range []record.Kind{record.CustomProviders, record.Routes, record.Prices} {
		for _, r := range []record.Record{{ID: "a", Group: "g"}, {ID: "b", Group: "g"}, {ID: "c"}} {
			r.Kind, r.CreatedAt, r.Data = kind, epoch, []byte(`{}`)
			s.must(s.CreateRecord(s.ctx, r, nil))
		}
		list, err := s.RecordsIn(s.ctx, kind, "g")
		s.must(err)
		s.same("group of "+string(kind), recordIDs(list), []string{"a", "b"})
		_, err = s.RecordByID(s.ctx, kind, "c") // whose group is its id
		s.must(err)
	}
}

// testRecordChecksRace has many callers create in one group, each only if it finds
// fewer than three there.
func testRecordChecksRace(s *suite) {
	full := errors.New("full")
	var made atomic.Int64
	parallel(16, func(i int) {
		err := s.CreateRecord(s.ctx, userRecord(fmt.Sprint("u", i), "ann"), func(group []record.Record) error {
			if len(group) >= 3 {
				return full
			}
			return nil
		})
		switch {
		case err == nil:
			made.Add(1)
		case !errors.Is(err, full):
			s.Error(err)
		}
	})
	list, err := s.RecordsIn(s.ctx, record.Users, "ann")
	s.must(err)
	if made.Load() != 3 || len(list) != 3 {
		s.Errorf("%d made, %d there, want 3", made.Load(), len(list))
	}
}

func testRecordUpdateParallel(s *suite) {
	for _, r := range []record.Record{policyRecord("p1"), userRecord("u1", "ann")} {
		r.Data = []byte(`""`)
		s.must(s.CreateRecord(s.ctx, r, nil))
		parallel(16, func(int) {
			_, err := s.UpdateRecord(s.ctx, r.Kind, r.ID, func(r *record.Record) error {
				r.Data = []byte(`"x` + string(r.Data[1:]))
				return nil
			})
			if err != nil {
				s.Error(err)
			}
		})
		got, err := s.RecordByID(s.ctx, r.Kind, r.ID)
		s.must(err)
		s.same("sixteen updates", string(got.Data), `"xxxxxxxxxxxxxxxx"`)
	}
}

func testRecordPages(s *suite) {
	list, next, err := s.Records(s.ctx, record.Policies, record.Page{})
	s.must(err)
	s.same("nothing", recordIDs(list), []string{})
	s.same("cursor of nothing", next, "")
	var want []string
	for i := range 11 {
		r := policyRecord(fmt.Sprintf("p%02d", i))
		r.CreatedAt = epoch.Add(-time.Duration(i/3) * time.Second) // three at a time
		s.must(s.CreateRecord(s.ctx, r, nil))
		want = append(want, r.ID)
	}
	s.must(s.CreateRecord(s.ctx, userRecord("u1", "ann"), nil))
	list, next, err = s.Records(s.ctx, record.Policies, record.Page{})
	s.must(err)
	s.same("all", recordIDs(list), want)
	s.same("cursor of all", next, "")
	for size := 1; size <= 12; size++ {
		var got []string
		for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
			list, cursor, err = s.Records(s.ctx, record.Policies, record.Page{Cursor: cursor, Limit: size})
			s.must(err)
			if len(list) > size || pages > len(want) {
				s.Fatalf("page %d of %d records", pages, len(list))
			}
			got = append(got, recordIDs(list)...)
		}
		s.same(fmt.Sprint("pages of ", size), got, want)
	}
	for _, cursor := range []string{"?", "!!", "a"} {
		if _, _, err := s.Records(s.ctx, record.Policies, record.Page{Cursor: cursor}); gateway.KindOf(err) != gateway.Invalid || err == nil {
			s.Errorf("cursor %q: %v", cursor, err)
		}
	}
}

func testRecordExpiry(s *suite) {
	r := policyRecord("p1")
	r.Expires = s.clock.Now().Truncate(time.Second).Add(time.Minute)
	s.must(s.CreateRecord(s.ctx, r, nil))
	s.must(s.CreateRecord(s.ctx, policyRecord("p2"), nil))
	s.clock.set(r.Expires.Add(-time.Millisecond))
	got, err := s.RecordByID(s.ctx, r.Kind, r.ID)
	s.must(err)
	s.same("until its end", got.Expires, r.Expires)
	s.is("taken until then", s.CreateRecord(s.ctx, r, nil), gateway.ErrExists)
	s.clock.set(r.Expires)
	_, err = s.RecordByID(s.ctx, r.Kind, r.ID)
	s.is("at its end", err, gateway.ErrNotFound)
	_, err = s.UpdateRecord(s.ctx, r.Kind, r.ID, func(*record.Record) error { return nil })
	s.is("update after its end", err, gateway.ErrNotFound)
	list, _, err := s.Records(s.ctx, record.Policies, record.Page{Limit: 1})
	s.must(err)
	s.same("list", recordIDs(list), []string{"p2"})
	r.Expires = time.Time{}
	s.must(s.CreateRecord(s.ctx, r, nil))
	got, err = s.RecordByID(s.ctx, r.Kind, r.ID)
	s.must(err)
	s.same("made again", got.Expires.IsZero(), true)
}

// testRecordCounters sees that counters come and go with their record and have its
// version.
func testRecordCounters(s *suite) {
	r := userRecord("u1", "ann")
	s.must(s.CreateRecord(s.ctx, r, nil))
	version := func() int64 {
		got, err := s.RecordByID(s.ctx, r.Kind, r.ID)
		s.must(err)
		c, err := s.Counters(s.ctx, r.Subject)
		s.must(err)
		if c.Version != got.Version {
			s.Errorf("counters have version %d, the record has %d", c.Version, got.Version)
		}
		return c.Version
	}
	first := version()
	_, err := s.UpdateRecord(s.ctx, r.Kind, r.ID, func(*record.Record) error { return nil })
	s.must(err)
	if second := version(); second <= first {
		s.Errorf("version %d after %d", second, first)
	}
	s.must(s.DeleteRecord(s.ctx, r.Kind, r.ID))
	_, err = s.Counters(s.ctx, r.Subject)
	s.is("after deletion", err, gateway.ErrNotFound)
}

// testRecordFaults lets each storage call of a life fail once. Who repeats a create
// that failed may find its own record.
func testRecordFaults(s *suite) {
	n := 0
	s.eachFault(s.faults.once, func() (round, check func()) {
		n++
		r := userRecord(fmt.Sprint("u", n), fmt.Sprint("ann", n))
		round = func() {
			s.must(s.insistPlain(func() error {
				err := s.CreateRecord(s.ctx, r, nil)
				if errors.Is(err, gateway.ErrExists) {
					return nil
				}
				return err
			}))
			s.must(s.insistPlain(func() error {
				_, err := s.UpdateRecord(s.ctx, r.Kind, r.ID, func(r *record.Record) error {
					r.Data = []byte(`{"changed":true}`)
					return nil
				})
				return err
			}))
		}
		check = func() {
			list, err := s.RecordsIn(s.ctx, r.Kind, r.Group)
			s.must(err)
			s.same("group", recordIDs(list), []string{r.ID})
			s.same("data", string(list[0].Data), `{"changed":true}`)
			c, err := s.Counters(s.ctx, r.Subject)
			s.must(err)
			s.same("version of the counters", c.Version, list[0].Version)
		}
		return round, check
	})
}

// insistPlain repeats f while it fails, a few times.
func (s *suite) insistPlain(f func() error) (err error) {
	for range tries {
		if err = f(); err == nil {
			return nil
		}
	}
	return err
}

func testRecordOddCharacters(s *suite) {
	odd := []string{"ünï ✓", `a"b\c`, "{x,y}", "#", "a#b", "%5F", "x/y", " "}
	for i, text := range odd {
		r := userRecord(fmt.Sprint("u", i), text)
		s.must(s.CreateRecord(s.ctx, r, nil))
		tag := record.Record{Kind: record.Tags, ID: text, CreatedAt: epoch, Subject: record.TagSubject(text), Data: []byte(`{}`)}
		s.must(s.CreateRecord(s.ctx, tag, nil))
	}
	for i, text := range odd {
		list, err := s.RecordsIn(s.ctx, record.Users, text)
		s.must(err)
		s.same("user "+text, recordIDs(list), []string{fmt.Sprint("u", i)})
		tag, err := s.RecordByID(s.ctx, record.Tags, text)
		s.must(err)
		s.same("tag "+text, tag.ID, text)
	}
	list, _, err := s.Records(s.ctx, record.Tags, record.Page{})
	s.must(err)
	want := slices.Sorted(slices.Values(odd))
	s.same("all", recordIDs(list), want)
}
