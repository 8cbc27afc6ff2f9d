package bolt_test

import (
	"path/filepath"
	"testing"

	"tollgate/internal/store/bolt"
	"tollgate/internal/store/storetest"
)

func TestSums(t *testing.T) {
	storetest.TestSums(t, 10_000, func(t *testing.T, opt storetest.Options) storetest.SumStore {
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
