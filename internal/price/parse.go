package price

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tollgate/internal/gateway"
)

// Parse reads a price table in the format of File. A table is taken as a whole
// or not at all: a field that is not known, a price that is not exact, a name
// that is priced twice or anything else that does not validate is an error, which
// is Faults.
func Parse(data []byte) (*Table, error) {
	var file File
	if err := strict(data, &file); err != nil {
		return nil, located(data, err)
	}
	var faults Faults
	t := &Table{version: file.Version, providers: make(map[string]*provider)}
	var err error
	if t.date, err = versionDate(file.Version); err != nil {
		faults.note(err)
	}
	if len(file.Rows) == 0 {
		faults.note(errors.New("has no rows"))
	}
	for i := range file.Rows {
		row := &file.Rows[i]
		if err := t.add(row, file.Providers[row.Provider]); err != nil {
			faults.note(row.wrap(i, err))
		}
	}
	// Without the rows at fault, what follows would be one more fault.
	if len(faults) == 0 {
		if err := t.link(file.Providers); err != nil {
			faults.note(err)
		}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	t.sort()
	return t, nil
}

// versionDate is the day in a version: a date, or a date with a number behind a
// point, for one table more on the same day.
func versionDate(version string) (time.Time, error) {
	day, number, more := strings.Cut(version, ".")
	date, err := time.Parse(time.DateOnly, day)
	if err != nil || more && (number == "" || len(number) > 9 || !allDigits(number)) {
		return date, fmt.Errorf("version %q is not a date like 2006-01-02 or 2006-01-02.2", version)
	}
	return date, nil
}

// add compiles a row and enters it under all of its names.
func (t *Table) add(r *Row, defaults Provider) error {
	if r.Provider == "" || r.Provider != strings.ToLower(r.Provider) {
		return fmt.Errorf("provider: %q is not a name in lower case", r.Provider)
	}
	var from time.Time
	if r.From != "" {
		var err error
		if from, err = time.Parse(time.DateOnly, r.From); err != nil {
			return fmt.Errorf("effective_from: %q is not a date like 2006-01-02", r.From)
		}
	}
	m, err := r.compile(defaults)
	if err != nil {
		return err
	}
	p := t.providers[r.Provider]
	if p == nil {
		p = &provider{exact: make(map[string]*history), prefix: make(map[string]*history)}
		t.providers[r.Provider] = p
	}
	if len(r.Exact)+len(r.Prefix) == 0 {
		return errors.New("exact: a row needs a name or a prefix")
	}
	if err := enter(p.exact, r.Exact, from, m); err != nil {
		return fmt.Errorf("exact: %w", err)
	}
	if err := enter(p.prefix, r.Prefix, from, m); err != nil {
		return fmt.Errorf("prefix: %w", err)
	}
	return nil
}

func enter(index map[string]*history, names []string, from time.Time, m *Model) error {
	for _, name := range names {
		name = strings.ToLower(name)
		if name == "" {
			return errors.New("a name is empty")
		}
		h := index[name]
		if h == nil {
			h = new(history)
			index[name] = h
		}
		for _, v := range h.versions {
			if v.from.Equal(from) {
				return fmt.Errorf("%q has two rows for the same time", name)
			}
		}
		h.versions = append(h.versions, version{from, m})
	}
	return nil
}

// compile turns decimal strings into rates.
func (r *Row) compile(defaults Provider) (*Model, error) {
	m := &Model{Provider: r.Provider, MaxOutput: r.MaxOutput, Context: r.Context}
	if names := slices.Concat(r.Exact, r.Prefix); len(names) > 0 {
		m.Name = names[0]
	}
	own := (*rates)(&m.Rates)
	if err := r.TokenPrices.read(own); err != nil {
		return nil, err
	}
	if err := r.readOthers(own, defaults); err != nil {
		return nil, err
	}
	if err := m.readImages(r.PerImage); err != nil {
		return nil, err
	}
	if *own == (rates{}) {
		return nil, errors.New("has no price")
	}
	var err error
	if m.request, err = fee(r.PerRequest); err != nil {
		return nil, err
	}
	if err := m.readContexts(r); err != nil {
		return nil, err
	}
	for c := range own {
		m.stated[c] = own[c].Known
	}
	own.fill()
	m.row = r
	if r.MaxOutput < 0 || r.Context < 0 {
		return nil, errors.New("max_output, context: must not be negative")
	}
	return m, m.readServices(r.Multipliers)
}

// fields pairs token prices with their names and classes.
func (p *TokenPrices) fields() [12]struct {
	name, value string
	class       gateway.Class
} {
	return [...]struct {
		name, value string
		class       gateway.Class
	}{
		{"input", p.Input, gateway.Input},
		{"output", p.Output, gateway.Output},
		{"cache_read", p.CacheRead, gateway.CacheRead},
		{"cache_write", p.CacheWrite, gateway.CacheWrite},
		{"cache_write_long", p.CacheWriteLong, gateway.CacheWriteLong},
		{"input_audio", p.InputAudio, gateway.InputAudio},
		{"cached_audio", p.CachedAudio, gateway.CachedAudio},
		{"output_audio", p.OutputAudio, gateway.OutputAudio},
		{"input_image", p.InputImage, gateway.InputImage},
		{"cached_image", p.CachedImage, gateway.CachedImage},
		{"input_video", p.InputVideo, gateway.InputVideo},
		{"output_image", p.OutputImage, gateway.OutputImage},
	}
}

// read overwrites the rates of the prices that are given.
func (p *TokenPrices) read(to *rates) error {
	for _, f := range p.fields() {
		if err := to.set(f.class, f.name, f.value, 1, 1); err != nil {
			return err
		}
	}
	return nil
}

// set enters a price given in dollars for per/by millions of the class's unit.
func (r *rates) set(c gateway.Class, field, value string, by, per int64) error {
	if value == "" {
		return nil
	}
	nano, err := dollars(value, by, per)
	if err != nil {
		return fmt.Errorf("%s: %q %w", field, value, err)
	}
	r[c] = Rate{nano, true}
	return nil
}

// readOthers reads what is not billed by token. A minute is 60,000 milliseconds.
func (r *Row) readOthers(to *rates, defaults Provider) error {
	if r.PerMinute != "" && r.PerHour != "" {
		return errors.New("per_hour: given beside per_minute")
	}
	orElse := func(s, other string) string {
		if s == "" {
			return other
		}
		return s
	}
	// A row without a single price of its own is an error; defaults must not hide it.
	if *to != (rates{}) {
		r.WebSearch = orElse(r.WebSearch, defaults.WebSearch)
		r.FileSearch = orElse(r.FileSearch, defaults.FileSearch)
	}
	for _, f := range []struct {
		class        gateway.Class
		field, value string
		by, per      int64
	}{
		{gateway.AudioMillis, "per_minute", r.PerMinute, perMillion, 60_000},
		{gateway.AudioMillis, "per_hour", r.PerHour, perMillion, 3_600_000},
		{gateway.Characters, "per_1m_chars", r.PerMChars, 1, 1},
		{gateway.WebSearches, "web_search", r.WebSearch, 1000, 1},
		{gateway.FileSearches, "file_search", r.FileSearch, 1000, 1},
	} {
		if err := to.set(f.class, f.field, f.value, f.by, f.per); err != nil {
			return err
		}
	}
	return nil
}

// fee reads a price of each call.
func fee(usd string) (Rate, error) {
	if usd == "" {
		return Rate{}, nil
	}
	nano, err := dollars(usd, perMillion, 1)
	if err != nil {
		return Rate{}, fmt.Errorf("per_request: %q %w", usd, err)
	}
	return Rate{nano, true}, nil
}

func (m *Model) readImages(list []ImagePrice) error {
	for i, p := range list {
		if p.Price == "" {
			return fmt.Errorf("per_image[%d]: price is missing", i)
		}
		var one rates
		if err := one.set(gateway.Images, fmt.Sprintf("per_image[%d]", i), p.Price, perMillion, 1); err != nil {
			return err
		}
		for _, have := range m.images {
			if have.size == p.Size && have.quality == p.Quality {
				return fmt.Errorf("per_image[%d]: %q %q is given twice", i, p.Size, p.Quality)
			}
		}
		rate := one[gateway.Images]
		m.images = append(m.images, imageFee{p.Size, p.Quality, rate})
		if !m.Rates[gateway.Images].Known || rate.Nano > m.Rates[gateway.Images].Nano {
			m.Rates[gateway.Images] = rate
		}
	}
	return nil
}

// readContexts must run before the model's own rates are filled: a tier starts
// from the prices that the row states.
func (m *Model) readContexts(r *Row) error {
	last := int64(0)
	for i, tier := range r.ContextTiers {
		if tier.Above <= last {
			return fmt.Errorf("context_tiers[%d]: above: must be more than %d", i, last)
		}
		last = tier.Above
		if r.Context > 0 && tier.Above >= r.Context {
			return fmt.Errorf("context_tiers[%d]: above: must be less than context, which is %d", i, r.Context)
		}
		var given rates
		if err := tier.TokenPrices.read(&given); err != nil {
			return fmt.Errorf("context_tiers[%d]: %w", i, err)
		}
		c := contextRates{above: tier.Above, rates: m.Rates}
		for _, f := range tier.TokenPrices.fields() {
			isText := f.class <= gateway.Output
			switch {
			case given[f.class].Known:
				c.rates[f.class] = given[f.class]
			case isText && m.Rates[f.class].Known:
				return fmt.Errorf("context_tiers[%d]: %s: is missing, but the row has one", i, f.name)
			}
		}
		c.rates.fill()
		m.contexts = append(m.contexts, c)
	}
	return nil
}

func (m *Model) readServices(multipliers map[string]string) error {
	for _, name := range [...]string{"flex", "batch", "priority", "fast", "ultrafast"} {
		value, ok := multipliers[name]
		if !ok {
			continue
		}
		f, err := ratio(value)
		if err != nil {
			return fmt.Errorf("tier_multipliers: %s: %w", name, err)
		}
		m.services = append(m.services, service{name, f})
	}
	if len(m.services) != len(multipliers) {
		return errors.New("tier_multipliers: only flex, batch, priority, fast and ultrafast are known")
	}
	return nil
}
