package price

import (
	"slices"

	"tollgate/internal/gateway"
)

// Rate is a price in nano-dollars per million units of its class.
type Rate struct {
	Nano  int64
	Known bool // false: no price is known; Nano is then the least that it costs, or zero
}

// rates are the prices of all classes.
type rates [gateway.NumClasses]Rate

// Model holds the effective prices of one model: where a class has no price of
// its own but is known to be billed as another, it carries that one's. Models
// are immutable and safe for concurrent use.
type Model struct {
	Provider, Name string // as in the table; Name may be the row's first of several

	// Rates are the prices of a short request at the standard service tier.
	Rates [gateway.NumClasses]Rate

	MaxOutput, Context int64 // tokens; 0 when unknown

	row      *Row                     // as in the table; nil if the table has none
	stated   [gateway.NumClasses]bool // classes with a price of their own
	request  Rate                     // of each call
	own      bool                     // the operator's own prices, which know no surcharges
	contexts []contextRates           // ascending by above
	services []service                // in no order
	images   []imageFee               // the default first
}

// contextRates is the price list of requests whose input is longer than above.
type contextRates struct {
	above int64
	rates rates
}

// service is a service tier and its multiplier.
type service struct {
	name   string
	factor factor
}

type imageFee struct {
	size, quality string
	rate          Rate
}

// Row is the model's row in the table, under all of its names; ok is false for a
// model that only the operator has priced.
func (m *Model) Row() (r Row, ok bool) {
	if m.row == nil {
		return Row{}, false
	}
	return *m.row, true
}

// inputText are the classes that text in the request may be billed as: what a
// cache does is the provider's choice.
var inputText = [...]gateway.Class{
	gateway.Input, gateway.CacheRead, gateway.CacheWrite, gateway.CacheWriteLong,
}

var inputMedia = [...]gateway.Class{
	gateway.InputAudio, gateway.CachedAudio, gateway.InputImage, gateway.CachedImage, gateway.InputVideo,
}

var outputMedia = [...]gateway.Class{gateway.OutputAudio, gateway.OutputImage}

// isToken reports whether the class counts tokens. Context tiers and service
// tiers reprice tokens only, not tool calls, pictures, characters or minutes.
func isToken(c gateway.Class) bool { return c <= gateway.OutputImage }

// fill gives classes without a price of their own the price they are billed at.
// Audio is never guessed: it costs many times what text does.
func (r *rates) fill() {
	orElse := func(c, other gateway.Class) {
		if !r[c].Known {
			r[c] = r[other]
		}
	}
	orElse(gateway.CacheRead, gateway.Input)
	if r[gateway.CacheWrite].Known && !r[gateway.CacheWriteLong].Known {
		// What is kept for longer costs no less; how much more is not known.
		r[gateway.CacheWriteLong] = Rate{Nano: r[gateway.CacheWrite].Nano}
	} else {
		orElse(gateway.CacheWriteLong, gateway.Input)
	}
	orElse(gateway.CacheWrite, gateway.Input)
	orElse(gateway.CachedAudio, gateway.InputAudio)
	if r[gateway.InputImage].Known {
		orElse(gateway.CachedImage, gateway.InputImage)
	} else { // where pictures are not told from text, films are not either
		orElse(gateway.InputVideo, gateway.Input)
	}
	orElse(gateway.InputImage, gateway.Input)
	orElse(gateway.CachedImage, gateway.CacheRead)
}

// dearest is the highest price among the classes; unknown ones do not count.
func (r *rates) dearest(first int64, classes []gateway.Class) int64 {
	for _, c := range classes {
		first = max(first, r[c].Nano)
	}
	return first
}

// ImagePrice is the price of pictures of a size and quality, where the model
// bills them each: nano-dollars per million pictures. Empty arguments mean what
// the provider makes by default. If the row does not list the combination, the
// dearest entry that could be meant counts, and if none could, the dearest of all.
func (m *Model) ImagePrice(size, quality string) Rate {
	if len(m.images) == 0 {
		return Rate{}
	}
	if size == "" {
		size = m.images[0].size
	}
	if quality == "" {
		quality = m.images[0].quality
	}
	like := func(have, want string) bool { return have == "" || have == want }
	pick := func(fits func(imageFee) bool) (best Rate) {
		for _, i := range m.images {
			if fits(i) && (!best.Known || i.rate.Nano > best.Nano) {
				best = i.rate
			}
		}
		return best
	}
	for _, fits := range []func(imageFee) bool{
		func(i imageFee) bool { return like(i.size, size) && like(i.quality, quality) },
		func(i imageFee) bool { return like(i.size, size) },
		func(i imageFee) bool { return like(i.quality, quality) },
	} {
		if r := pick(fits); r.Known {
			return r
		}
	}
	return pick(func(imageFee) bool { return true })
}

// At is the model with its tokens at so many percent of their prices, rounded up:
// what a region may cost. 0 and 100 are the model itself, and so is any percentage
// of the operator's own prices. m may be nil.
func (m *Model) At(percent int64) *Model {
	if m == nil || m.own || percent <= 0 || percent == 100 {
		return m
	}
	region := *m
	(*rates)(&region.Rates).scale(percent)
	region.contexts = slices.Clone(m.contexts)
	for i := range region.contexts {
		region.contexts[i].rates.scale(percent)
	}
	return &region
}

func (r *rates) scale(percent int64) {
	for c := range r {
		if isToken(gateway.Class(c)) {
			r[c].Nano = int64(product(r[c].Nano, percent).perCeil(100))
		}
	}
}

// ForImage is the model with ImagePrice(size, quality) as the price of the class
// Images; without it, Cost and Worst take the dearest picture of the row.
func (m *Model) ForImage(size, quality string) *Model {
	if len(m.images) == 0 {
		return m
	}
	own := *m
	own.Rates[gateway.Images] = m.ImagePrice(size, quality)
	own.contexts = slices.Clone(m.contexts)
	for i := range own.contexts {
		own.contexts[i].rates[gateway.Images] = own.Rates[gateway.Images]
	}
	return &own
}
