package archtest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "tollgate/"

// room is a package, and what it may import beside the standard library.
type room struct {
	ours    string // packages below internal/, separated by blanks; "*" for any
	outside string // beginnings of import paths
	why     string
}

// rooms has a row for every package. The key ending in "/" covers what is below it
// and has no row of its own.
var rooms = map[string]room{
	"internal/gateway": {"", "", "it is the vocabulary that everything rests on: it knows no transport, no store and no cloud"},

	"internal/record":      {"gateway", "", "it gives stored records their types; where they are stored is not its business"},
	"internal/limit":       {"gateway", "", "whether a call may pass is decided purely, or it could not be tested against both stores"},
	"internal/price":       {"gateway", "", "prices are arithmetic on a table"},
	"internal/policy":      {"gateway", "", "rules are applied to texts, wherever they come from and whatever becomes of them"},
	"internal/provider":    {"eventstream gateway", "github.com/tidwall/", "a vendor answers questions about bytes; it neither prices nor limits nor sends"},
	"internal/rollup":      {"gateway", "", "sums are arithmetic on events; where either is kept is not its business"},
	"internal/secret":      {"", "", "the fewer can touch a secret the better"},
	"internal/web":         {"gateway", "", "it turns failures into answers, for whoever serves"},
	"internal/telemetry":   {"gateway", "", "it writes what an event says, and must not know how it came about"},
	"internal/tokenize":    {"", "github.com/pkoukk/tiktoken-go", "it counts; the heavy vocabulary stays behind one door"},
	"internal/afterwork":   {"", "", "it runs work after a response and knows nothing of either"},
	"internal/config":      {"secret", "", "the environment is read before anything else is there"},
	"internal/lambdahttp":  {"afterwork", "github.com/aws/aws-lambda-go/events", "it carries HTTP over Lambda and knows nothing of what is served"},
	"internal/eventstream": {"", "github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream", "it is a framing, and knows nothing of what is framed"},
	"internal/awsconfig":   {"", "github.com/aws/", "it says how AWS is called, whatever is asked of it"},
	"internal/awsauth":     {"gateway provider", "github.com/aws/", "it signs what a vendor says is to be signed, and is handed to the proxy by main"},
	"internal/fakeai":      {"", "", "a stand-in for a provider must not agree with our own reading of one"},

	"internal/proxy": {"afterwork gateway limit policy price provider record secret telemetry tokenize web", "github.com/tidwall/gjson github.com/tidwall/sjson github.com/google/uuid golang.org/x/sync/",
		"the request path states what it needs of a store as an interface; which store that is, is decided by main"},
	"internal/admin": {"gateway limit openapi price price/stored record rollup secret web", "github.com/google/uuid",
		"the admin API states what it needs of a store as an interface, and shares no types with the wire of the proxy"},

	"internal/store/bolt":      {"gateway limit record rollup", "go.etcd.io/bbolt", "a store keeps records and the contract of limit.Ledger; rules are not its business"},
	"internal/store/dynamo":    {"gateway limit record rollup", "github.com/aws/", "a store keeps records and the contract of limit.Ledger; rules are not its business"},
	"internal/store/dynamo/":   {"", "github.com/aws/", "what starts a local DynamoDB for tests needs nothing of ours"},
	"internal/store/storetest": {"gateway limit record rollup secret", "github.com/google/go-cmp/", "the contract is tested without knowing the store"},
	"internal/secret/kmsbox":   {"gateway secret", "github.com/aws/", "it is the one secret box that calls a cloud"},

	"functions/":    {"*", "github.com/aws/ github.com/awslabs/", "main packages wire the rooms together"},
	"cmd/tollgate":  {"*", "github.com/spf13/cobra", "main packages wire the rooms together; the cloud is behind the stores"},
	"internal/e2e":  {"*", "*", "it tests the whole from outside"},
	"internal/e2e/": {"afterwork lambdahttp", "github.com/aws/ github.com/google/uuid", "the Lambda stand-in must not agree with our own reading of Lambda by sharing it"},

	"internal/openapi":             {"", "", "the document is a text: what reads it are tests and tools"},
	"internal/openapi/openapitest": {"openapi", "github.com/santhosh-tekuri/jsonschema/", "answers are held against the document without knowing the types that wrote them"},

	"internal/adminclient":       {"", "github.com/aws/aws-sdk-go-v2/", "it calls the admin API from outside and must not agree with it by sharing its types"},
	"internal/bench":             {"fakeai", "", "measured is the built program, not a part of it"},
	"internal/samtest":           {"", "", "the template is checked as it is deployed"},
	"internal/archtest":          {"", "", "rules have no dependencies"},
	"internal/price/stored":      {"gateway price record", "", "it carries a table between a store and the arithmetic, which know nothing of each other"},
	"internal/price/generate":    {"price", "", "a generator writes files and is no part of the program"},
	"internal/tokenize/generate": {"", "", "a generator writes files and is no part of the program"},
}

// bans hold for all packages but those at the named places.
var bans = []struct {
	imports, but, why string
}{
	{"github.com/aws/aws-sdk-go-v2", "internal/awsauth internal/awsconfig internal/eventstream internal/store/dynamo internal/secret/kmsbox internal/adminclient functions internal/e2e", "the cloud is at the rim: everything else runs and is tested without it"},
	{"github.com/aws/smithy-go", "internal/awsauth internal/store/dynamo internal/secret/kmsbox functions internal/e2e", "it is part of the AWS SDK"},
	{"github.com/aws/aws-lambda-go", "internal/lambdahttp functions internal/e2e", "what serves HTTP must run on any server"},
	{"github.com/awslabs", "internal/lambdahttp functions internal/e2e", "what serves HTTP must run on any server"},
	{"tollgate/internal/store/bolt", "cmd/tollgate internal/e2e", "a file on the disk of a function is lost with it"},
	{"tollgate/internal/fakeai", "cmd/tollgate internal/bench internal/e2e", "nobody may be answered by a stand-in without asking for it"},
	{"tollgate/internal/store/storetest", "internal/store", "a test suite is no part of the program"},
	{"testing", "internal/store/storetest internal/store/dynamo/dynoxidetest internal/e2e", "a test suite is no part of the program"},
	{"unsafe", "", "there is nothing here that needs it"},
	{"log", "internal/bench internal/price/generate internal/tokenize/generate", "a log line is structured and goes through a logger that was handed in"},
	{"math/rand", "", "math/rand/v2 needs no seed"},
}

// vague are package names that say nothing, and so collect everything.
var vague = []string{"util", "utils", "common", "helper", "helpers", "manager", "types", "misc", "base", "shared"}

// maxLines is how long a file may be. What is longer does more than one thing.
const maxLines = 450

// pkg is what is used of go list.
type pkg struct {
	ImportPath, Name, Doc, Dir string
	Imports, GoFiles           []string
}

// place is the path below the module.
func (p *pkg) place() string { return strings.TrimPrefix(p.ImportPath, module) }

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Name,Doc,Dir,Imports,GoFiles", module+"...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var list []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if len(p.GoFiles) > 0 { // else it has tests only
			list = append(list, p)
		}
	}
	if len(list) < 20 {
		t.Fatalf("only %d packages", len(list))
	}
	return list
}

// roomOf finds the row for a place: its own, or that of the nearest place above.
func roomOf(place string) (room, bool) {
	if r, ok := rooms[place]; ok {
		return r, true
	}
	for above := place; above != "." && above != ""; {
		above = filepath.Dir(above)
		if r, ok := rooms[above+"/"]; ok {
			return r, true
		}
	}
	return room{}, false
}

// allowed says why the room may not import the path; empty if it may.
func (r *room) allowed(path string) string {
	if ours, ok := strings.CutPrefix(path, module); ok {
		ours = strings.TrimPrefix(ours, "internal/")
		if r.ours == "*" || slices.Contains(strings.Fields(r.ours), ours) {
			return ""
		}
		return fmt.Sprintf("of ours it may import %q only, because %s", r.ours, r.why)
	}
	if standard(path) || r.outside == "*" {
		return ""
	}
	for _, prefix := range strings.Fields(r.outside) {
		if strings.HasPrefix(path, prefix) {
			return ""
		}
	}
	return fmt.Sprintf("beside the standard library it may import %q only, because %s", r.outside, r.why)
}

// standard reports whether the path is of the standard library.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".") && !strings.HasPrefix(path, module)
}

func TestImports(t *testing.T) {
	for _, p := range packages(t) {
		r, ok := roomOf(p.place())
		if !ok {
			t.Errorf("%s has no row in the table of rooms: write down what it may import, and why", p.place())
			continue
		}
		for _, path := range p.Imports {
			if reason := r.allowed(path); reason != "" {
				t.Errorf("%s imports %s: %s", p.place(), path, reason)
			}
		}
	}
}

func TestBans(t *testing.T) {
	for _, p := range packages(t) {
		for _, ban := range bans {
			if slices.ContainsFunc(strings.Fields(ban.but), func(place string) bool { return below(p.place(), place) }) {
				continue
			}
			for _, path := range p.Imports {
				if path == ban.imports || !standard(path) && below(path, ban.imports) {
					t.Errorf("%s imports %s, which only [%s] may: %s", p.place(), path, ban.but, ban.why)
				}
			}
		}
	}
}

// below reports whether the path is the place or below it.
func below(path, place string) bool {
	return path == place || strings.HasPrefix(path, place+"/")
}

func TestPackages(t *testing.T) {
	for _, p := range packages(t) {
		if p.Doc == "" {
			t.Errorf("%s has no package comment: what it is for is said where it is found first", p.place())
		}
		if slices.Contains(vague, p.Name) || slices.Contains(vague, filepath.Base(p.ImportPath)) {
			t.Errorf("%s: a name that says nothing collects everything", p.place())
		}
		for _, name := range p.GoFiles {
			b, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Error(err)
			}
			if n := bytes.Count(b, []byte("\n")); n > maxLines {
				t.Errorf("%s/%s has %d lines, more than %d: it does more than one thing", p.place(), name, n, maxLines)
			}
		}
	}
}

// A row without a package is a rule that nobody follows.
func TestRoomsExist(t *testing.T) {
	list := packages(t)
	for place := range rooms {
		used := slices.ContainsFunc(list, func(p pkg) bool { return below(p.place(), strings.TrimSuffix(place, "/")) })
		if _, err := os.Stat(filepath.Join("..", "..", place)); !used && err != nil {
			t.Errorf("%s has a row and no package", place)
		}
	}
}

// The rules themselves: what they let through and what they do not.
func TestRules(t *testing.T) {
	for _, tt := range []struct {
		place, path string
		want        bool
	}{
		{"internal/gateway", "time", true},
		{"internal/gateway", "github.com/google/uuid", false},
		{"internal/gateway", "tollgate/internal/limit", false},
		{"internal/limit", "tollgate/internal/gateway", true},
		{"internal/proxy", "tollgate/internal/store/bolt", false},
		{"internal/proxy", "github.com/aws/aws-sdk-go-v2/config", false},
		{"internal/admin", "tollgate/internal/proxy", false},
		{"internal/store/dynamo/dynoxidetest", "tollgate/internal/gateway", false},
		{"functions/proxy", "tollgate/internal/store/dynamo", true},
		{"functions/proxy", "go.etcd.io/bbolt", false},
	} {
		r, ok := roomOf(tt.place)
		if got := r.allowed(tt.path); !ok || (got == "") != tt.want {
			t.Errorf("%s imports %s: %q", tt.place, tt.path, got)
		}
	}
	if _, ok := roomOf("internal/unheard/of"); ok {
		t.Error("a package without a row has one")
	}
}
