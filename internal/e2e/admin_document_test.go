package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the answers of docs/admin.md anew")

// documentURL stands in the document for the vendor of the test.
const documentURL = "https://llm.example.com/v1"

// example is a command of the document and, unless it answers nothing, the block
// after it.
var example = regexp.MustCompile("(?s)```sh\n(curl .*?)```\n(?:\n```(json|text)\n(.*?)```\n)?")

// TestAdminDocument runs the examples of docs/admin.md from the top, in a shell, and
// compares what they answer with what the document says.
func TestAdminDocument(t *testing.T) {
	t.Parallel()
	needCommand(t, "curl")
	path := filepath.Join(root(), "docs", "admin.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d := &document{g: startLocal(t), up: newVendor(t), ids: make(map[string]string)}
	count := 0
	text = example.ReplaceAllFunc(text, func(block []byte) []byte {
		m := example.FindSubmatch(block)
		if bytes.Contains(m[1], []byte("--aws-sigv4")) {
			return block // there is no IAM here
		}
		count++
		answer := d.run(t, string(m[1]))
		if *update && answer != "" {
			kind := "json"
			if strings.HasPrefix(answer, "HTTP/") {
				kind = "text"
			}
			return fmt.Appendf(nil, "```sh\n%s```\n\n```%s\n%s\n```\n", m[1], kind, fill(answer))
		}
		if got, want := lasting(t, answer), lasting(t, string(m[3])); got != want {
			t.Errorf("%s\nanswers\n%s\nand not\n%s", m[1], got, want)
		}
		return block
	})
	if count < 30 {
		t.Errorf("only %d examples were found", count)
	}
	if *update && !t.Failed() {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Error(err)
		}
	}
}

// document is a run of the examples.
type document struct {
	g     *running
	up    *vendor
	ids   map[string]string // by the variable that the document uses
	calls int64             // of the proxy
}

// made tells which variable is the id in the answer to a command.
var made = []struct{ command, variable, member string }{
	{"PUT $ADMIN/api/provider-settings ", "SETTING", "id"},
	{"PUT $ADMIN/api/key-management/keys ", "KEY", "keyId"},
	{"POST $ADMIN/api/users ", "USER_ID", "id"},
	{"POST $ADMIN/api/custom/providers ", "CUSTOM", "id"},
	{"POST $ADMIN/api/policies ", "POLICY", "id"},
	{"POST $ADMIN/api/routes ", "ROUTE", "id"},
	{"PUT $ADMIN/api/tokens ", "TOKEN_ID", "id"},
}

// run returns what a command prints: the body, or with -i also the status and the
// headers that matter.
func (d *document) run(t *testing.T, command string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c",
		"curl() { command curl -sS --fail-with-body --globoff \"$@\"; }\n"+strings.ReplaceAll(command, documentURL, d.up.url))
	now := time.Now().Unix()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "ADMIN=" + d.g.admin.base, "PROXY=" + d.g.proxy,
		fmt.Sprint("FROM=", now-3600), fmt.Sprint("TO=", now+3600)}
	for name, id := range d.ids {
		cmd.Env = append(cmd.Env, name+"="+id)
	}
	out, err := cmd.Output()
	if err != nil && !bytes.HasPrefix(out, []byte("HTTP/")) {
		t.Fatalf("%s%v: %s", command, err, out)
	}
	answer := strings.ReplaceAll(string(out), d.up.url, documentURL)
	if strings.HasPrefix(answer, "HTTP/") {
		answer = head(t, answer)
	}
	answer = strings.TrimSpace(answer)
	for _, m := range made {
		if strings.Contains(command, m.command) {
			var members map[string]any
			if json.Unmarshal(out, &members) == nil {
				d.ids[m.variable], _ = members[m.member].(string)
			}
		}
	}
	if strings.Contains(command, "$PROXY") {
		d.calls++
		d.folded(t)
	}
	return answer
}

// folded waits until the sums have all calls of the proxy.
func (d *document) folded(t *testing.T) {
	t.Helper()
	var sums struct {
		Total struct{ NumberOfRequests int64 }
	}
	now := time.Now().Unix()
	eventually(t, 10*time.Second, func() bool {
		d.g.admin.call(t, "GET", fmt.Sprintf("/api/reporting/usage?groupBy=model&start=%d&end=%d", now-3600, now+60), nil, &sums)
		return sums.Total.NumberOfRequests == d.calls
	})
	if sums.Total.NumberOfRequests != d.calls {
		t.Fatalf("%d calls in the sums, want %d", sums.Total.NumberOfRequests, d.calls)
	}
}

// head is an answer with the headers that the document is about.
func head(t *testing.T, answer string) string {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{res.Proto + " " + res.Status}
	for _, name := range []string{"ETag", "X-Next-Cursor"} {
		if v := res.Header.Get(name); v != "" {
			lines = append(lines, name+": "+v)
		}
	}
	return strings.Join(append(lines, "", string(body)), "\n")
}

// passing is what differs from run to run, and from one price table to the next.
var passing = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "ID"},
	{regexp.MustCompile(`tga?-[A-Za-z0-9_-]{20,}`), "SECRET"},
	{regexp.MustCompile(`"(id|key|ResourceID|resourceId)":"[0-9a-f]{64}"`), `"$1":"HASH"`},
	{regexp.MustCompile(`\b1[0-9]{9}\b`), "TIME"},
	{regexp.MustCompile(`ETag: "[0-9]+"`), "ETag: VERSION"},
	{regexp.MustCompile(`"(latency|firstByte)(\w*)":[0-9.]+`), `"$1$2":0`},
	{regexp.MustCompile(`"(version|priceVersion)":"[^"]*"`), `"$1":"DATE"`},
	{regexp.MustCompile(`"(ageDays|models)":\d+`), `"$1":0`},
	{regexp.MustCompile(`X-Next-Cursor: \S+`), "X-Next-Cursor: CURSOR"},
	{regexp.MustCompile(`"cursor":"[^"]+"`), `"cursor":"CURSOR"`},
	{regexp.MustCompile(`(?:,"firstByteInMs":0)`), ""}, // left out where it is less than one
}

// lasting is an answer without its line breaks and what is passing.
func lasting(t *testing.T, answer string) string {
	t.Helper()
	before, body, ok := strings.Cut(answer, "\n\n")
	if !ok && !strings.HasPrefix(answer, "HTTP/") {
		before, body = "", answer
	}
	var compact bytes.Buffer
	if strings.TrimSpace(body) != "" {
		if err := json.Compact(&compact, []byte(body)); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
	}
	s := strings.TrimSpace(before + "\n" + compact.String())
	for _, p := range passing {
		s = p.what.ReplaceAllString(s, p.by)
	}
	return s
}

// fill breaks compact JSON into lines, between members but not within short objects.
func fill(answer string) string {
	const width = 110
	i := strings.LastIndex(answer, "\n\n") + 1
	if strings.HasPrefix(answer, "HTTP/") && i == 0 {
		return answer // no body
	}
	out, answer := []byte(answer[:i]), answer[i:]
	column, last := 0, 0
	for _, end := range append(breaks(answer), len(answer)) {
		if piece := answer[last:end]; column > 0 && column+len(piece) > width {
			out, column = append(out, "\n "...), 1
		}
		out = append(out, answer[last:end]...)
		column, last = column+end-last, end
	}
	return string(out)
}

// breaks are the places in compact JSON where a line may end.
func breaks(text string) (places []int) {
	const short = 60 // bytes of an object that stays in one line
	var opened []int // lengths of places when each object or array began
	var begun []int  // and where that was
	quoted := false
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' && text[max(i-1, 0)] != '\\':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			opened, begun = append(opened, len(places)), append(begun, i)
		case c == '}' || c == ']':
			n := len(opened) - 1
			if i-begun[n] < short {
				places = places[:opened[n]]
			}
			opened, begun = opened[:n], begun[:n]
		case c == ',':
			places = append(places, i+1)
		}
	}
	return places
}
