package provider_test

import (
	"bytes"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"tollgate/internal/fakeai"
	"tollgate/internal/gateway"
	"tollgate/internal/provider"
)

// outcome is what a meter says of an answer; in fixtures, file "want".
type outcome struct {
	Usage     map[string]int64
	Reasoning int64
	Charge    gateway.NanoUSD // what the provider says that it charges
	Known     bool
	Model     string
	Tier      string
	Done      bool
	Failed    bool
}

// fixture is one txtar file of testdata: a request, its answer as it came from
// the provider, what of it is hidden from the caller, and the outcome. An answer in
// AWS's frames has one in each line: its kind, its name and its payload.
type fixture struct {
	name           string
	call           *provider.Call
	header         http.Header
	events         bool
	answer, hidden string
	want           outcome
}

// endpoint is the row for "POST /chat/completions" of OpenAI, or the one for a
// pattern that begins with /api/.
func endpoint(t testing.TB, row string) *provider.Endpoint {
	t.Helper()
	method, pattern, _ := strings.Cut(row, " ")
	if !strings.HasPrefix(pattern, "/api/") {
		pattern = openAI + pattern
	}
	e, _, err := provider.NewRouter(provider.All()...).Match(method, sample(pattern))
	if err != nil {
		t.Fatalf("%s: %v", row, err)
	}
	return e
}

func fixtures(t testing.TB) []fixture {
	t.Helper()
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) < 41 {
		t.Fatalf("%d fixtures, %v", len(names), err)
	}
	var list []fixture
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		file := map[string]string{}
		for _, f := range archive.Files {
			file[f.Name] = string(f.Data)
		}
		contentType := strings.TrimSpace(file["type"])
		f := fixture{name: filepath.Base(name), header: http.Header{"Content-Type": {contentType}}, events: contentType == "text/event-stream",
			answer: file["answer"], hidden: file["hidden"]}
		if provider.IsFramed(f.header) {
			f.answer = inFrames(t, f.answer)
		}
		if err := json.Unmarshal([]byte(file["want"]), &f.want); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		e := endpoint(t, strings.TrimSpace(file["endpoint"]))
		body := strings.TrimSpace(file["request"])
		if e.Form {
			body = strings.ReplaceAll(body, "\n", "\r\n")
		}
		if f.call, err = e.Vendor.Parse(e, "multipart/form-data; boundary=b", []byte(body)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		list = append(list, f)
	}
	return list
}

// inFrames is an answer in AWS's frames.
func inFrames(t testing.TB, lines string) string {
	t.Helper()
	frames := ""
	for line := range strings.Lines(lines) {
		part := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 3)
		switch {
		case len(part) != 3:
			t.Fatalf("not a frame: %s", line)
		case part[1] == "chunk":
			frames += string(fakeai.Chunk(part[2]))
		default:
			frames += string(fakeai.Frame(part[0], part[1], part[2]))
		}
	}
	return frames
}

// pass sends the pieces through a new meter.
func pass(call *provider.Call, events bool, pieces ...string) (string, *provider.Meter) {
	return passThrough(provider.NewMeter(call, events), pieces...)
}

func passThrough(m *provider.Meter, pieces ...string) (string, *provider.Meter) {
	var out []byte
	for _, p := range pieces {
		out = append(out, m.Pass([]byte(p))...)
	}
	return string(append(out, m.End()...)), m
}

func read(call *provider.Call, m *provider.Meter) outcome {
	u, known := call.Endpoint.Vendor.Usage(call, m.Members())
	o := outcome{Usage: map[string]int64{}, Reasoning: u.Reasoning, Charge: u.Charge, Known: known,
		Model: m.Model(), Tier: m.Tier(), Done: m.Done(), Failed: m.Failed()}
	for c, n := range u.Counts {
		if n != 0 {
			o.Usage[gateway.ClassNames[c]] = n
		}
	}
	return o
}

// Whatever the pieces and the line ends, the caller gets the bytes of the
// provider but for the hidden event, and the usage is the same.
func TestMeter(t *testing.T) {
	for _, f := range fixtures(t) {
		t.Run(f.name, func(t *testing.T) {
			ends := []string{"\n"}
			if f.events {
				ends = append(ends, "\r\n", "\r")
			}
			for _, end := range ends {
				answer := strings.ReplaceAll(f.answer, "\n", end)
				hidden := strings.ReplaceAll(f.hidden, "\n", end)
				want := answer
				if hidden != "" {
					if want = strings.Replace(answer, hidden, "", 1); want == answer {
						t.Fatal("the hidden event is not in the answer")
					}
				}
				check := func(pieces ...string) {
					t.Helper()
					out, m := passThrough(provider.MeterFor(f.call, f.header), pieces...)
					if out != want {
						t.Fatalf("line end %q, %d pieces, first of %d bytes: passed\n%q\nwant\n%q", end, len(pieces), len(pieces[0]), out, want)
					}
					if diff := cmp.Diff(f.want, read(f.call, m)); diff != "" {
						t.Fatalf("line end %q, %d pieces, first of %d bytes: (-want +got)\n%s", end, len(pieces), len(pieces[0]), diff)
					}
				}
				check(answer)
				check(strings.Split(answer, "")...)
				for i := range answer {
					check(answer[:i], answer[i:])
				}
			}
		})
	}
}

// Every pair of cuts, on a short stream that has everything that may be cut.
func TestMeterAtEveryPairOfCuts(t *testing.T) {
	const shown, hidden, rest = ": c\r\n\r\ndata:{\"model\":\"m\"}\r\rid:1\n\n", "data: {\"choices\":[],\r\ndata: \"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\r\n", "data: [DONE]\n\n"
	answer := shown + hidden + rest
	call := &provider.Call{Endpoint: endpoint(t, "POST /chat/completions")}
	for _, hide := range []bool{false, true} {
		call.HideUsage = hide
		want := answer
		if hide {
			want = shown + rest
		}
		for i := range answer {
			for j := i; j <= len(answer); j++ {
				out, m := pass(call, true, answer[:i], answer[i:j], answer[j:])
				u, known := call.Endpoint.Vendor.Usage(call, m.Members())
				if out != want || !known || u.PromptTokens() != 1 || u.CompletionTokens() != 2 || !m.Done() || m.Model() != "m" {
					t.Fatalf("cut at %d and %d, hide %v: passed %q, usage %v %v", i, j, hide, out, u, known)
				}
			}
		}
	}
}

// What may have to be taken out is held back, but no longer than an event and no
// more than 64 KB of it.
func TestMeterHoldsBackLittle(t *testing.T) {
	call := &provider.Call{Endpoint: endpoint(t, "POST /chat/completions"), HideUsage: true}
	m := provider.NewMeter(call, true)
	if out := m.Pass([]byte("data: {}\n\nda")); string(out) != "data: {}\n\n" || m.MidEvent() {
		t.Errorf("passed %q, mid event %v", out, m.MidEvent())
	}
	if out := m.Pass([]byte("ta: {}\n")); len(out) != 0 {
		t.Errorf("passed %q", out)
	}
	if out := m.Pass([]byte("\n")); string(out) != "data: {}\n\n" {
		t.Errorf("passed %q", out)
	}

	long := `data: {"choices":[],"x":"` + strings.Repeat("x", 100<<10) + `"`
	if out := m.Pass([]byte(long)); string(out) != long || !m.MidEvent() {
		t.Errorf("passed %d bytes of a long event, want all %d; mid event %v", len(out), len(long), m.MidEvent())
	}
	const tail = `,"usage":{"prompt_tokens":1,"completion_tokens":1}}` + "\n\n"
	if out := m.Pass([]byte(tail)); string(out) != tail || m.MidEvent() {
		t.Errorf("passed %q of the rest; mid event %v", out, m.MidEvent())
	}
	if out := m.End(); len(out) != 0 {
		t.Errorf("%q was still held back", out)
	}
	if u, known := call.Endpoint.Vendor.Usage(call, m.Members()); !known || u.PromptTokens() != 1 {
		t.Errorf("usage %v, %v", u, known)
	}
}

// An error event that follows a broken stream must begin an event of its own.
func TestMidEvent(t *testing.T) {
	for _, tt := range []struct {
		answer, passed string
		open           bool
	}{
		{"", "", false}, {"data: {}\n\n", "data: {}\n\n", false}, {"data: {}\r\n\r\n", "data: {}\r\n\r\n", false},
		{"data: {}\n", "", false}, {"data: {", "", false}, {": c", "", false}, {"data: {}\n\nid:", "data: {}\n\n", false},
		{"data: " + strings.Repeat("x", 70<<10), "data: " + strings.Repeat("x", 70<<10), true},
	} {
		for _, hide := range []bool{false, true} {
			m := provider.NewMeter(&provider.Call{Endpoint: endpoint(t, "POST /chat/completions"), HideUsage: hide}, true)
			if got := string(m.Pass([]byte(tt.answer))); got != tt.passed || m.MidEvent() != tt.open {
				t.Errorf("%.20q, hide %v: passed %.20q, mid event %v; want %.20q, %v", tt.answer, hide, got, m.MidEvent(), tt.passed, tt.open)
			}
			if m.End(); m.MidEvent() != tt.open {
				t.Errorf("%.20q, hide %v: mid event %v after the end", tt.answer, hide, m.MidEvent())
			}
		}
	}
}

func TestMeterCopies(t *testing.T) {
	m := provider.NewMeter(&provider.Call{Endpoint: endpoint(t, chat)}, false)
	piece := bytes.Repeat([]byte("x"), 300<<10)
	for range 3 {
		m.Pass(piece)
	}
	if answer, whole := m.Answer(); len(answer) != 900<<10 || !whole {
		t.Errorf("%d bytes, whole %v", len(answer), whole)
	}
	m.Pass(piece)
	if answer, whole := m.Answer(); len(answer) != 1<<20 || whole {
		t.Errorf("%d bytes, whole %v; want 1 MiB and a part only", len(answer), whole)
	}
}

func FuzzMeter(f *testing.F) {
	for _, s := range []string{"data: {\"choices\":[],\"usage\":{}}\n\n", ":\r\rdata\ndata:x\n\n", "\xef\xbb\xbfdata: [DONE]", "data: {\"error\":{}}\r\n\r\n"} {
		f.Add([]byte(s), uint16(5), uint16(9))
	}
	e := endpoint(f, "POST /chat/completions")
	f.Fuzz(func(t *testing.T, answer []byte, a, b uint16) {
		i := int(a) % (len(answer) + 1)
		j := i + int(b)%(len(answer)-i+1)
		s := string(answer)
		for _, hide := range []bool{false, true} {
			call := &provider.Call{Endpoint: e, HideUsage: hide}
			once, m := pass(call, true, s)
			cut, n := pass(call, true, s[:i], s[i:j], s[j:])
			if once != cut || !cmp.Equal(read(call, m), read(call, n)) {
				t.Fatalf("hide %v, cut at %d and %d of %q: %q and %q", hide, i, j, s, once, cut)
			}
			if !hide && once != s || len(once) > len(s) {
				t.Fatalf("%q becomes %q", s, once)
			}
		}
	})
}

func BenchmarkMeter(b *testing.B) {
	e := endpoint(b, "POST /chat/completions")
	event := `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1790000000,"model":"gpt-6-mini-2026-08-01","service_tier":"default","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}],"usage":null,"obfuscation":"aNxyz"}` + "\n\n"
	for _, bm := range []struct {
		name   string
		hide   bool
		events bool
		piece  string
	}{
		{"events", false, true, event}, {"events usage hidden", true, true, event},
		{"events 32 kB", true, true, strings.Repeat(event, 128)},
		{"plain 32 kB", false, false, `{"x":"` + strings.Repeat("word ", 6500) + `"}`},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.SetBytes(int64(len(bm.piece)))
			b.ReportAllocs()
			m := provider.NewMeter(&provider.Call{Endpoint: e, HideUsage: bm.hide}, bm.events)
			piece := []byte(bm.piece)
			for b.Loop() {
				m.Pass(piece)
			}
		})
	}
}

// form writes a multipart body: fields in order as "name=value", files as
// "name@size".
func form(t testing.TB, fields ...string) (contentType string, body []byte) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, f := range fields {
		if name, value, ok := strings.Cut(f, "="); ok {
			w.WriteField(name, value)
		} else {
			name, size, _ := strings.Cut(f, "@")
			p, _ := w.CreateFormFile(name, "a.mp3")
			n := 0
			json.Unmarshal([]byte(size), &n)
			io.Copy(p, strings.NewReader(strings.Repeat("x", n)))
		}
	}
	w.Close()
	return w.FormDataContentType(), b.Bytes()
}
