package gateway

// Class is a kind of thing that a provider bills. Classes are disjoint: a cached
// input token is counted in CacheRead and not in Input.
type Class uint8

// The classes. Their order is part of no stored form; names are (ClassNames).
const (
	Input          Class = iota // uncached text tokens in
	CacheRead                   // text tokens read from a prompt cache
	CacheWrite                  // tokens written to a cache of short life (5 or 30 minutes)
	CacheWriteLong              // tokens written to a cache of long life (1 or 12 hours)
	Output                      // text tokens out, reasoning included
	InputAudio                  // audio tokens in
	CachedAudio
	OutputAudio
	InputImage
	CachedImage
	InputVideo // tokens of films in
	OutputImage
	AudioMillis  // milliseconds of audio, where audio is billed by time
	Characters   // characters of speech input
	Images       // pictures, where they are billed each
	WebSearches  // calls of the provider's web search tool
	FileSearches // calls of the provider's file search tool
	NumClasses
)

// ClassNames are the names under which classes are stored and shown.
var ClassNames = [NumClasses]string{
	"input", "cache_read", "cache_write", "cache_write_long", "output",
	"input_audio", "cached_audio", "output_audio",
	"input_image", "cached_image", "input_video", "output_image",
	"audio_ms", "characters", "images", "web_searches", "file_searches",
}

func (c Class) String() string { return ClassNames[c] }

// Usage is what one call consumed, by class.
type Usage struct {
	Counts [NumClasses]int64
	// Reasoning is how many of the Output tokens were reasoning. For
	// information: they are billed as output.
	Reasoning int64
	// Percent is what tokens cost in percent of the list price, where the region
	// that served the call costs more; 0 is 100.
	Percent int64
	// Charge is what the provider says it charged; 0 if it does not say.
	Charge NanoUSD
}

// PromptTokens is the number of tokens in, of every kind.
func (u *Usage) PromptTokens() int64 {
	c := &u.Counts
	return c[Input] + c[CacheRead] + c[CacheWrite] + c[CacheWriteLong] +
		c[InputAudio] + c[CachedAudio] + c[InputImage] + c[CachedImage] + c[InputVideo]
}

// CompletionTokens is the number of tokens out, of every kind.
func (u *Usage) CompletionTokens() int64 {
	return u.Counts[Output] + u.Counts[OutputAudio] + u.Counts[OutputImage]
}

// Add adds what another model consumed for the same call.
func (u *Usage) Add(o Usage) {
	for c, n := range o.Counts {
		u.Counts[c] += n
	}
	u.Reasoning += o.Reasoning
}

// byName is the usage by class name, zero classes left out; nil for none.
func (u *Usage) byName() map[string]int64 {
	var m map[string]int64
	for c, n := range u.Counts {
		if n != 0 {
			if m == nil {
				m = make(map[string]int64, 4)
			}
			m[ClassNames[c]] = n
		}
	}
	return m
}

// IsZero reports whether nothing was consumed.
func (u *Usage) IsZero() bool { return u.Counts == [NumClasses]int64{} }
