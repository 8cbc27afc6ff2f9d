package stored

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/internal/price"
	"tollgate/internal/record"
)

const (
	// lookEvery is how long a table is used before anybody asks for a newer one.
	lookEvery = time.Minute
	// retryAfter is the same after a look that failed.
	retryAfter = 5 * time.Second
	// lookTime bounds one look.
	lookTime = time.Second
	// oldAfter is the age in days from which a table is worth a warning.
	oldAfter = 90
)

// Source is the price table in use: the stored one, or the embedded one where none
// is stored. It is safe for concurrent use.
type Source struct {
	store record.Store
	log   *slog.Logger
	now   func() time.Time

	current atomic.Pointer[price.Table]
	looked  atomic.Bool // a look has succeeded: current is not a guess

	mu      sync.Mutex // held while looking; guards what follows
	version int64      // of the head that current is of
	next    time.Time  // no look before
	warned  string     // version of the table that was called old
}

// NewSource returns a source that has not looked at the store yet. log may be nil.
func NewSource(s record.Store, log *slog.Logger, now func() time.Time) *Source {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Source{store: s, log: log, now: now}
}

// Table is the table in use, at once. Only while no look at the store has succeeded
// yet does it look itself, for at most a second and once in a few: a call is not to
// be priced by a table that was replaced long ago because a process is new.
func (s *Source) Table() *price.Table {
	if !s.looked.Load() {
		s.mu.Lock()
		if !s.looked.Load() {
			s.lookIfDue(context.Background())
		}
		s.mu.Unlock()
	}
	if t := s.current.Load(); t != nil {
		return t
	}
	return price.Embedded()
}

// Refresh looks for a newer table, at most once a minute, for at most a second, and
// not while another look is under way. It is to be called where nobody waits.
func (s *Source) Refresh(ctx context.Context) {
	if s.mu.TryLock() {
		defer s.mu.Unlock()
		s.lookIfDue(ctx)
	}
}

func (s *Source) lookIfDue(ctx context.Context) {
	now := s.now()
	if now.Before(s.next) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	if err := s.look(ctx); err != nil {
		s.next = now.Add(retryAfter)
		s.log.WarnContext(ctx, "no look at the price table; the last one stays in use", "error", err)
		return
	}
	s.next = now.Add(lookEvery)
	s.looked.Store(true)
	s.warnIfOld(ctx, now)
}

// look reads the head, and the table if it is another one than before.
func (s *Source) look(ctx context.Context) error {
	h, version, file, err := fetch(ctx, s.store, s.version)
	if err != nil || version == s.version {
		return err
	}
	table := price.Embedded()
	if h.Group != "" {
		if table, err = price.Parse(file); err != nil {
			// A later program may know more than this one. It stays at what it
			// has, and says so once for each table.
			s.version = version
			s.log.ErrorContext(ctx, "the stored price table cannot be read; the last one stays in use", "version", h.Version, "error", err)
			return nil
		}
	}
	s.version = version
	s.current.Store(table)
	s.log.InfoContext(ctx, "price table in use", "version", table.Version())
	return nil
}

// warnIfOld says once of a table that its prices may not be those of today.
func (s *Source) warnIfOld(ctx context.Context, now time.Time) {
	t := s.current.Load()
	if t == nil {
		t = price.Embedded()
	}
	if days := t.Age(now); days > oldAfter && s.warned != t.Version() {
		s.warned = t.Version()
		s.log.WarnContext(ctx, "the price table is old: store a newer one, or deploy a newer program", "version", t.Version(), "ageDays", days)
	}
}
