package bolt_test

import (
	"errors"
	"path/filepath"
	"testing"

	"tollgate/internal/store/bolt"
	"tollgate/internal/store/storetest"
)

var errFault = errors.New("injected fault")

func TestStore(t *testing.T) {
	storetest.Test(t, func(t *testing.T, opt storetest.Options) storetest.Store {
		s := open(t, filepath.Join(t.TempDir(), "tollgate.db"), bolt.Options{Now: opt.Now})
		s.WrapCommit(func(commit func() error) error {
			switch opt.Fault("commit") {
			case storetest.Before:
				return errFault
			case storetest.After:
				if err := commit(); err != nil {
					return err
				}
				return errFault
			}
			return commit()
		})
		return s
	})
}

func open(t testing.TB, path string, opts bolt.Options) *bolt.Store {
	t.Helper()
	s, err := bolt.Open(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
