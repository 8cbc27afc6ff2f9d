package price

// File is the price table as it is written down. Prices are decimal strings of
// US dollars, never numbers, so that no reader rounds them.
type File struct {
	Version   string              `json:"version"` // date, 2006-01-02; a second table of the day is 2006-01-02.2
	Providers map[string]Provider `json:"providers,omitempty"`
	Rows      []Row               `json:"rows"`
}

// Provider holds what is the same for all models of a provider.
type Provider struct {
	// Fallback names the provider whose rows count where this one has none.
	Fallback   string `json:"fallback,omitempty"`
	WebSearch  string `json:"web_search,omitempty"`  // per 1,000 calls, for rows that do not say
	FileSearch string `json:"file_search,omitempty"` // per 1,000 calls, for rows that do not say
}

// Row prices one or more models of a provider from a date on. A price left out
// is unknown; "0" is free.
type Row struct {
	Provider string   `json:"provider"`
	Exact    []string `json:"exact,omitempty"`  // whole names
	Prefix   []string `json:"prefix,omitempty"` // beginnings of names
	From     string   `json:"effective_from,omitempty"`

	TokenPrices
	PerImage   []ImagePrice `json:"per_image,omitempty"`
	PerMinute  string       `json:"per_minute,omitempty"` // of audio
	PerHour    string       `json:"per_hour,omitempty"`   // of audio; instead of PerMinute
	PerMChars  string       `json:"per_1m_chars,omitempty"`
	PerRequest string       `json:"per_request,omitempty"` // on top of all else
	WebSearch  string       `json:"web_search,omitempty"`  // per 1,000 calls
	FileSearch string       `json:"file_search,omitempty"` // per 1,000 calls

	ContextTiers []ContextTier `json:"context_tiers,omitempty"`

	// Multipliers of token prices by service tier (flex, batch, priority, fast,
	// ultrafast): "0.5", or "5/3" where no decimal is exact.
	Multipliers map[string]string `json:"tier_multipliers,omitempty"`

	MaxOutput int64  `json:"max_output,omitempty"` // tokens
	Context   int64  `json:"context,omitempty"`    // tokens
	Source    string `json:"source,omitempty"`
}

// TokenPrices are dollars per million tokens.
type TokenPrices struct {
	Input          string `json:"input,omitempty"`
	Output         string `json:"output,omitempty"`
	CacheRead      string `json:"cache_read,omitempty"`
	CacheWrite     string `json:"cache_write,omitempty"`
	CacheWriteLong string `json:"cache_write_long,omitempty"`
	InputAudio     string `json:"input_audio,omitempty"`
	CachedAudio    string `json:"cached_audio,omitempty"`
	OutputAudio    string `json:"output_audio,omitempty"`
	InputImage     string `json:"input_image,omitempty"`
	CachedImage    string `json:"cached_image,omitempty"`
	InputVideo     string `json:"input_video,omitempty"`
	OutputImage    string `json:"output_image,omitempty"`
}

// ContextTier replaces the token prices of the whole request when its input is
// longer than Above tokens. It must repeat every text price that the row has;
// audio and image prices left out stay as they are.
type ContextTier struct {
	Above int64 `json:"above"`
	TokenPrices
}

// ImagePrice is dollars per picture. An empty Size or Quality stands for all;
// the first entry of a row is what is made when the request says neither.
type ImagePrice struct {
	Size    string `json:"size,omitempty"` // "1024x1024"
	Quality string `json:"quality,omitempty"`
	Price   string `json:"price"`
}
