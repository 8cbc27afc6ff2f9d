package admin

import "testing"

// On AWS whoever asks by OPTIONS is let in without a signature, for preflights: no
// route may be called so.
func TestNoRouteByOptions(t *testing.T) {
	for _, table := range tables {
		for _, rt := range table {
			if rt.method == "OPTIONS" {
				t.Errorf("OPTIONS %s can be called by anybody", rt.pattern)
			}
		}
	}
}
