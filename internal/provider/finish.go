package provider

import "regexp"

// finishSeen is the member that a Meter adds where an event of Google's says why the
// answer ended, but is too large to be kept: the last one may hold a whole picture.
const finishSeen = "tollgate:finish"

// finishReason is how the reason stands in an event. In texts the quotes are escaped.
var finishReason = regexp.MustCompile(`"finishReason"\s*:\s*"[A-Z]`)

// finish looks for the reason in an event that goes by in pieces.
type finish struct {
	seen bool
	tail []byte // of the pieces so far, where the reason may have begun
}

// maxTail is longer than the reason can be in any plausible layout.
const maxTail = 64

func (f *finish) write(p []byte) {
	if f.seen {
		return
	}
	f.tail = append(f.tail, p...)
	f.seen = finishReason.Match(f.tail)
	if more := len(f.tail) - maxTail; more > 0 {
		f.tail = f.tail[:copy(f.tail, f.tail[more:])]
	}
}

// noteFinish takes note of the reason at the end of an event, and reports whether there
// was one that nothing else shows.
func (m *Meter) noteFinish() bool {
	noted := m.finish.seen && m.current.large
	if noted {
		m.all.put(finishSeen, "true")
	}
	m.finish.seen, m.finish.tail = false, m.finish.tail[:0]
	return noted
}
