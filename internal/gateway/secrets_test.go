package gateway_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"tollgate/internal/gateway"
)

var rotated = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// AK-46: both secrets during the overlap, the new one alone from its end on.
func TestRotate(t *testing.T) {
	k := gateway.Key{Hash: "a"}
	if !k.Accepts("a", rotated) || k.Accepts("b", rotated) || k.Newest() != "a" {
		t.Error("a key that was never rotated")
	}
	if !k.Rotate("b", rotated, time.Hour) || k.Newest() != "b" || k.Hash != "a" {
		t.Fatalf("rotated: %+v", k)
	}
	for _, tt := range []struct {
		hash  string
		after time.Duration
		want  bool
	}{
		{"a", 0, true}, {"b", 0, true}, {"c", 0, false},
		{"a", time.Hour - 1, true}, {"a", time.Hour, false}, {"a", 24 * time.Hour, false},
		{"b", time.Hour, true}, {"b", 1000 * time.Hour, true},
	} {
		if got := k.Accepts(tt.hash, rotated.Add(tt.after)); got != tt.want {
			t.Errorf("%s after %v: %v, want %v", tt.hash, tt.after, got, tt.want)
		}
	}
}

// A second rotation within the overlap keeps the ends that were told, or brings them
// forward.
func TestRotateTwice(t *testing.T) {
	for _, tt := range []struct {
		overlap time.Duration
		first   time.Duration // end of the first secret
	}{{0, 10 * time.Minute}, {20 * time.Minute, 30 * time.Minute}, {2 * time.Hour, time.Hour}} {
		k := gateway.Key{Hash: "a"}
		k.Rotate("b", rotated, time.Hour)
		before := slices.Clone(k.Secrets)
		cached := k
		later := rotated.Add(10 * time.Minute)
		k.Rotate("c", later, tt.overlap)
		want := []gateway.KeySecret{{Hash: "a", Until: rotated.Add(tt.first)}, {Hash: "b", Until: later.Add(tt.overlap)}, {Hash: "c"}}
		if !slices.Equal(k.Secrets, want) {
			t.Errorf("overlap %v: %v, want %v", tt.overlap, k.Secrets, want)
		}
		if !slices.Equal(cached.Secrets, before) {
			t.Errorf("overlap %v changed a copy of the key: %v", tt.overlap, cached.Secrets)
		}
	}
}

// Ten secrets at most, and none that still works is forgotten.
func TestRotateOften(t *testing.T) {
	k := gateway.Key{Hash: "s0"}
	for i := 1; i < gateway.MaxSecrets; i++ {
		if !k.Rotate(fmt.Sprint("s", i), rotated, time.Hour) {
			t.Fatalf("rotation %d refused", i)
		}
	}
	before := k.Secrets
	if k.Rotate("s10", rotated, time.Minute) || !slices.Equal(k.Secrets, before) {
		t.Errorf("an eleventh secret beside ten that work: %v", k.Secrets)
	}
	if !k.Rotate("s10", rotated, 0) || len(k.Secrets) != gateway.MaxSecrets || k.Accepts("s0", rotated) || k.Accepts("s9", rotated) {
		t.Errorf("overlap of zero: %v", k.Secrets)
	}
	if got := k.Hashes(); len(got) != 11 || got[0] != "s0" || got[1] != "s1" || got[10] != "s10" {
		t.Errorf("found by %v", got)
	}
}
