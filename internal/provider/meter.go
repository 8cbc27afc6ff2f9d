package provider

import (
	"bytes"
	"cmp"
	"regexp"
	"slices"
	"strconv"

	"github.com/tidwall/gjson"

	"tollgate/internal/gateway"
)

// Meter reads along while an answer is relayed, and remembers what it says about
// the call: usage, model, service tier, errors inside of a stream.
//
// It changes nothing of what passes, with two exceptions: where the gateway asked
// for a stream's usage on its own account (Call.HideUsage), the event that holds
// nothing else is taken out; and of an event that breaks off nothing passes, so
// that an error event can follow which clients understand.
type Meter struct {
	call    *Call
	events  bool
	frames  *frames  // nil: no frames
	current *Members // of the event, or of the whole body
	all     *Members // of all events

	lines lines
	held  []byte // of the event being read
	loose bool   // the event is too long to be held: its rest passes
	out   []byte

	copied []byte // the beginning of the answer, for counting tokens in it
	whole  bool   // copied is all of it
	failed bool   // the stream carried an error
	done   bool   // the stream ended as its protocol says
	finish finish // Google's
	near   bool   // the answer is complete, and what comes yet is what it consumed

	files, webs, codes int64 // calls of the provider's own tools that the answer shows
}

// maxHeld bounds what is held back of an event; longer ones pass as they come.
const maxHeld = 64 << 10

// maxCopied bounds the copy of the answer that tokens are counted in when the
// provider does not report any.
const maxCopied = 1 << 20

// Members that a Meter adds to those of the answer: how many calls of the
// provider's search tools it shows.
const (
	fileSearchCalls = "tollgate:file_searches"
	webSearchCalls  = "tollgate:web_searches"
	codeCalls       = "tollgate:code_calls"
)

// caught are the members that the vendors' Usage methods may ask for.
var caught = []string{"usage", "model", "service_tier", "tool_usage", "svg_usage", "duration", "error", "type",
	"response.usage", "response.model", "response.service_tier", "response.tool_usage", "x_groq.usage",
	"message.usage", "message.model", fileSearchCalls, webSearchCalls, codeCalls, finishSeen}

// NewMeter makes a meter for the answer to c. events says that the answer is a
// stream of server-sent events.
func NewMeter(c *Call, events bool) *Meter {
	want := slices.Concat(caught, c.Watch)
	if events && (c.Endpoint.Metering == Chat || c.Endpoint.Metering == Completion) {
		want = append(want, "choices")
	}
	m := &Meter{call: c, events: events, whole: true, lines: lines{last: c.StreamEnd},
		current: NewMembers(want...), all: NewMembers(want...)}
	m.current.lists = c.List
	return m
}

// Pass looks at the next piece of the answer and returns what goes on to the
// caller. The result is valid until the next call.
func (m *Meter) Pass(p []byte) []byte {
	if m.frames != nil {
		return m.passFrames(p)
	}
	m.copy(p)
	if !m.events {
		m.data(p)
		return p
	}
	m.out = m.out[:0]
	from := 0
	m.lines.feed(p, m.data, func(end int) {
		m.held = append(m.held, p[from:end]...)
		from = end
		if !m.endEvent() {
			m.out = append(m.out, m.held...)
		}
		m.held, m.loose = m.held[:0], false
	})
	m.held = append(m.held, p[from:]...)
	if m.loose || len(m.held) > maxHeld {
		m.out = append(m.out, m.held...)
		m.held, m.loose = m.held[:0], true
	}
	return m.out
}

// End takes note that the answer is over and returns what was still held back.
func (m *Meter) End() []byte {
	defer m.countCalls()
	if m.frames != nil {
		return m.frames.dec.Take()
	}
	if !m.events {
		m.noteFinish()
		m.all.merge(m.current)
		m.current.reset()
		return nil
	}
	m.lines.end(m.data)
	m.endEvent()
	held := m.held
	m.held = nil
	return held
}

func (m *Meter) copy(p []byte) {
	if room := maxCopied - len(m.copied); len(p) > room {
		p, m.whole = p[:room], false
	}
	m.copied = append(m.copied, p...)
}

// data receives the payload of the current event, in pieces, or a plain answer.
func (m *Meter) data(p []byte) {
	m.current.Write(p)
	if m.call.Endpoint.Dialect == gateway.GoogleDialect {
		m.finish.write(p)
	}
}

// endEvent closes the current event and reports whether it is to be taken out.
func (m *Meter) endEvent() bool {
	usage, choices := m.current.Get("usage"), m.current.Get("choices")
	hide := m.call.HideUsage && !m.loose && usage.IsObject() && choices.IsArray() && len(choices.Array()) == 0
	if m.current.Get("error").IsObject() || m.current.Get("type").String() == "error" {
		m.failed = true
	}
	switch kind := m.current.Get("type").String(); {
	case kind == "response.failed":
		m.failed = true
		fallthrough
	case kind == "response.completed", kind == "response.incomplete", kind == "message_stop":
		m.done = true
	case kind == "response.file_search_call.completed":
		m.files++
	case kind == "response.web_search_call.completed":
		m.webs++
	case kind == "response.code_interpreter_call.completed":
		m.codes++
	}
	m.done = m.done || m.lines.done || m.current.Get(invocationMetrics).Exists()
	m.near = m.noteFinish() || m.near || m.done || nearEnd(m.current)
	if shrinks(m.all.Get("usage"), usage) {
		m.current.drop("usage")
	}
	m.all.merge(m.current)
	m.current.reset()
	return hide
}

// nearEnd reports whether an event says that the answer's text is complete: what it
// consumed is then said in the next event, or in one of the next.
func nearEnd(e *Members) bool {
	switch kind := e.Get("type").String(); kind {
	case "response.output_text.done", "response.refusal.done", "response.function_call_arguments.done", "message_delta":
		return true
	}
	for _, list := range []struct{ name, reason string }{{"choices", "finish_reason"}, {"candidates", "finishReason"}} {
		near := false
		e.Get(list.name).ForEach(func(_, one gjson.Result) bool {
			near = near || one.Get(list.reason).String() != ""
			return true
		})
		if near {
			return true
		}
	}
	return false
}

// What a plain answer shows of such calls: an item of its output for each. In the
// text of an answer the quotes are escaped, so only items match.
var (
	fileSearchItem = regexp.MustCompile(`"type"\s*:\s*"file_search_call"`)
	webSearchItem  = regexp.MustCompile(`"type"\s*:\s*"web_search_call"`)
	codeItem       = regexp.MustCompile(`"type"\s*:\s*"code_interpreter_call"`)
)

// countCalls publishes how many searches and the like there were, asked for or not: a stored
// prompt may have tools of its own. Where that cannot be seen,
// in an answer too long to be kept, it is as many as there could be.
func (m *Meter) countCalls() {
	if m.call.Endpoint.Metering != Responses {
		return
	}
	asked := &m.call.Bound.Extra.Counts
	switch {
	case m.events:
	case m.whole && !bytes.Contains(m.copied, []byte(`_call"`)):
	case m.whole:
		m.files = int64(len(fileSearchItem.FindAllIndex(m.copied, -1)))
		m.webs = int64(len(webSearchItem.FindAllIndex(m.copied, -1)))
		m.codes = int64(len(codeItem.FindAllIndex(m.copied, -1)))
	default:
		m.files, m.webs = asked[gateway.FileSearches], asked[gateway.WebSearches]
	}
	m.all.put(fileSearchCalls, strconv.FormatInt(m.files, 10))
	m.all.put(webSearchCalls, strconv.FormatInt(m.webs, 10))
	m.all.put(codeCalls, strconv.FormatInt(m.codes, 10))
}

// shrinks reports whether a usage is less than an earlier one of its stream: some
// servers put one on every chunk, which may be that of one answer of several.
func shrinks(earlier, usage gjson.Result) bool {
	const out = "completion_tokens"
	return usage.IsObject() && usage.Get(out).Num < earlier.Get(out).Num
}

// Failed reports whether the stream carried an error event.
func (m *Meter) Failed() bool { return m.failed }

// Done reports whether the stream said that it is complete, if its protocol does.
func (m *Meter) Done() bool { return m.done || m.call.OpenEnd }

// NearEnd reports whether a stream's answer is complete, so that it is worth waiting
// for what it consumed.
func (m *Meter) NearEnd() bool { return m.near }

// Ended reports whether the event has passed that ends the stream.
func (m *Meter) Ended() bool { return m.lines.done }

// Members is what was caught of the whole answer. After End.
func (m *Meter) Members() *Members { return m.all }

// Model is the model that answered, if it said so.
func (m *Meter) Model() string {
	return cmp.Or(m.either("model"), m.all.Get("modelVersion").String())
}

// Tier is the service tier that served the call, if the answer said so.
//
// At Google and Anthropic it is part of the usage, at Anthropic beside a speed that
// is priced like one.
func (m *Meter) Tier() string {
	if tier := m.either("service_tier"); tier != "" {
		return tier
	}
	if tier := m.all.Get("usageMetadata").Get("serviceTier").String(); tier != "" {
		return googleTier(tier)
	}
	if tier := m.all.Get(converseTier); tier.Exists() {
		return tier.String()
	}
	r := report{start: m.all.Get("message.usage"), end: m.all.Get("usage")}
	if speed := r.get("speed").String(); speed != "" && speed != "standard" {
		return speed
	}
	return r.get("service_tier").String()
}

func (m *Meter) either(name string) string {
	for _, parent := range []string{"", "response.", "message."} {
		if v := m.all.Get(parent + name); v.Exists() {
			return v.String()
		}
	}
	return ""
}

// Answer is the beginning of the answer and whether it is all of it.
func (m *Meter) Answer() ([]byte, bool) { return m.copied, m.whole }

// lines takes server-sent events apart, whatever pieces they arrive in. Lines end
// with LF, CRLF or CR.
type lines struct {
	field  []byte // beginning of the line, up to its colon
	value  bool   // past the colon
	spaced bool   // the one space after the colon may still come
	isData bool
	cr     bool   // the last byte was CR: LF would belong to it
	any    bool   // the event has lines
	start  []byte // beginning of the last data line
	last   string // data of the event that ends the stream; empty for "[DONE]"
	done   bool   // a data line was that
}

// fresh reports whether the next byte begins an event.
func (l *lines) fresh() bool { return !l.any && !l.value && len(l.field) == 0 }

// feed takes the next piece. data receives payloads in pieces; event is called at
// the end of every event with the offset in p just behind it.
func (l *lines) feed(p []byte, data func([]byte), event func(end int)) {
	for i := 0; i < len(p); {
		c := p[i]
		if l.cr {
			l.cr = false
			if c == '\n' {
				i++
				if l.line(data) {
					event(i)
				}
				continue
			}
			if l.line(data) {
				event(i)
			}
		}
		switch {
		case c == '\n':
			i++
			if l.line(data) {
				event(i)
			}
		case c == '\r':
			i++
			l.cr = true
		case !l.value:
			i++
			l.name(c)
		case l.spaced:
			l.spaced = false
			if c == ' ' {
				i++
			}
		default:
			n := bytes.IndexAny(p[i:], "\r\n")
			if n < 0 {
				n = len(p) - i
			}
			l.payload(p[i:i+n], data)
			i += n
		}
	}
}

func (l *lines) name(c byte) {
	if c == ':' {
		l.value, l.spaced = true, true
		if l.isData = string(l.field) == "data"; l.isData {
			l.start = l.start[:0]
		}
		return
	}
	if len(l.field) < 8 { // longer than any field name
		l.field = append(l.field, c)
	}
}

func (l *lines) payload(p []byte, data func([]byte)) {
	if !l.isData {
		return
	}
	if room := len(l.ending()) + 2 - len(l.start); room > 0 {
		l.start = append(l.start, p[:min(room, len(p))]...)
	}
	data(p)
}

func (l *lines) ending() string { return cmp.Or(l.last, "[DONE]") }

// line ends a line and reports whether it was a blank one, which ends an event. A
// second blank line ends an event that has nothing.
func (l *lines) line(data func([]byte)) bool {
	blank := !l.value && len(l.field) == 0
	if l.value && l.isData {
		l.done = l.done || string(bytes.TrimSpace(l.start)) == l.ending()
		data([]byte{'\n'})
	}
	l.field, l.value, l.spaced, l.isData = l.field[:0], false, false, false
	l.any = !blank
	return blank
}

// end ends a last line that has no line end.
func (l *lines) end(data func([]byte)) {
	if !l.fresh() {
		l.line(data)
		l.any = false
	}
}
