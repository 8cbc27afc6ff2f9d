package bolt_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tollgate/internal/gateway"
	"tollgate/internal/limit"
	"tollgate/internal/store/bolt"
)

// childEnv names the file for a copy of the test program that is to be killed.
const childEnv = "TOLLGATE_BOLT_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		if err := child(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// child makes calls until it is killed and prints what the store has acknowledged:
// "R id" for a reservation, "S id" for a settlement.
func child(path string) error {
	s, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		return err
	}
	k, err := s.Key(context.Background(), "k")
	if err != nil {
		return err
	}
	failed := make(chan error)
	for range 8 {
		go func() {
			for i := 0; ; i++ {
				c := claim(k, 2000)
				if _, err := s.Reserve(context.Background(), c); err != nil {
					failed <- err
				}
				fmt.Println("R", c.ID) // one write to the pipe
				if i%10 == 9 {
					continue // never settled
				}
				if _, err := s.Settle(context.Background(), settlement(k, c, 1000)); err != nil {
					failed <- err
				}
				fmt.Println("S", c.ID)
			}
		}()
	}
	return <-failed
}

// TestKill kills a process in the middle of its work: whatever the store had
// acknowledged is there afterwards, and the books agree. (The machine stays up, so
// this shows that nothing is acknowledged early, not that the disk keeps it.)
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	k := newKey(t, s, "k")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	reserved, settled := runAndKill(t, path, 500)
	s = open(t, path, bolt.Options{})
	acknowledged(t, s, k, reserved, settled)
	if _, err := s.Reserve(t.Context(), claim(k, 1)); err != nil {
		t.Errorf("the key cannot be used: %v", err)
	}
}

// runAndKill kills the child after so many lines and returns the ids in them.
func runAndKill(t *testing.T, path string, lines int) (reserved, settled []string) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(out)
	for n := 0; ; n++ {
		line, err := in.ReadString('\n')
		if err != nil {
			break // of the pipe, after the kill; half a line is not acknowledged
		}
		what, id, _ := strings.Cut(strings.TrimSpace(line), " ")
		if what == "R" {
			reserved = append(reserved, id)
		} else {
			settled = append(settled, id)
		}
		if n == lines {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || ctx.Err() != nil {
		t.Fatalf("the child ended by itself: %v", err)
	}
	if len(reserved)+len(settled) < lines {
		t.Fatalf("%d lines, want at least %d", len(reserved)+len(settled), lines)
	}
	return reserved, settled
}

func acknowledged(t *testing.T, s *bolt.Store, k gateway.Key, reserved, settled []string) {
	c, err := s.Counters(t.Context(), k.Hash)
	if err != nil {
		t.Fatal(err)
	}
	events, err := s.Events(t.Context(), gateway.EventFilter{KeyIDs: []string{k.ID}})
	if err != nil {
		t.Fatal(err)
	}
	booked := map[string]bool{}
	var spend int64
	for _, e := range events {
		booked[e.ReservationID] = true
		spend += int64(e.Cost)
	}
	for _, r := range c.Open {
		spend += int64(r.Cost)
	}
	for _, id := range reserved {
		if _, open := c.Open[id]; open == booked[id] {
			t.Errorf("reservation %s: open %t, booked %t", id, open, booked[id])
		}
	}
	for _, id := range settled {
		if !booked[id] {
			t.Errorf("settlement %s is lost", id)
		}
	}
	if len(booked) != len(events) {
		t.Errorf("%d events of %d calls", len(events), len(booked))
	}
	if c.Values[limit.Spend] != spend || c.Values[limit.InFlight] != int64(len(c.Open)) {
		t.Errorf("counters %v, but %d spent and %d open", c.Values, spend, len(c.Open))
	}
	t.Logf("%d reservations and %d settlements acknowledged; %d open, %d events found",
		len(reserved), len(settled), len(c.Open), len(events))
}
