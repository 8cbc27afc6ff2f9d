package proxy_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestRows runs the tests that prove rows of the acceptance table as a whole; those of
// other tests bear their numbers in the names of their cases. All rows are in
// testdata/rows.txt: go test -run '/ST-14' runs what proves one.
func TestRows(t *testing.T) {
	for _, row := range []struct {
		name string
		test func(*testing.T)
	}{
		{"R-65 routes", testRoutesAreNotServed},
		{"LM-13 expiry", testExpiry},
		{"AU-16 a setting's url and credential", testRotationKeepsSettingsWhole},
		{"AU-16 vLLM", testRotationKeepsUrlAndKeyTogether},
		{"AU-22 credentials of AWS", testBedrockCredentials},
		{"AU-25 EV-05 unknown keys", testUnknownKeysAreCheap},
		{"AU-26 credential in the store", testSealedCredential},
		{"ER-06 nobody there", testUpstreamRefuses},
		{"CK-06 user after key", testOrderOfChecks},
		{"CK-06 policy after user", testPolicyInOrder},
		{"CK-08 Anthropic", testUserOfAnthropic},
		{"CK-15 several users", testSeveralUsersMatch},
		{"LM-03 rate under load", testRateLimitUnderLoad},
		{"LM-04 window's edge", testWindowEdge},
		{"LM-05 per second", testPerSecond},
		{"LM-07 several limits", testSeveralLimits},
		{"LM-09 lifetime", testLifetimeCost},
		{"LM-10 budget under load", testBudgetUnderLoad},
		{"LM-14 LM-15 LM-18 refusals", testRefusalsDoNotCount},
		{"LM-15 every window opens", testEveryWindowOpens},
		{"LM-17 calls without a price", testUserLimitOfUnpricedCalls},
		{"LM-19 tiny costs", testTinyCosts},
		{"LM-20 window of admission", testChargedToTheWindowOfAdmission},
		{"LM-21 change of unit", testUnitChange},
		{"HD-01 HD-03 HD-11 HD-12 HD-13 what the provider sees", testRequestHeaders},
		{"HD-11 user agent", testUserAgent},
		{"HD-14 HD-15 what the caller sees", testAnswerHeaders},
		{"HD-16 compressed answer", testCompressedAnswer},
		{"HD-17 health", testHealth},
		{"ST-06 Anthropic", testAnthropicStream},
		{"ST-07 CO-08 Anthropic's older API", testAnthropicComplete},
		{"ST-11 custom", testCustomStream},
		{"ST-14 deadline", testStreamDeadline},
		{"ST-15 caller leaves", testCallerLeavesStream},
		{"ST-15 caller leaves Bedrock", testBedrockCallerLeaves},
		{"ST-16 usage in any framing", testHiddenUsageInAnyForm},
		{"ST-17 end of a stream", testNoWaitAtTheEnd},
		{"CO-05 stream of Azure", testAzureStreamCost},
		{"CU-01 CU-03 CU-04 CO-15 CO-19 custom call", testCustomCall},
		{"CU-05 custom, any method", testCustomPassesOn},
		{"CO-17 custom without a price", testCustomUnpriced},
		{"PO-09 PO-14 the rest of a body", testPolicyLeavesTheRestAlone},
		{"PO-13 policy unreadable", testPolicyUnreadable},
		{"EV-01 EV-02 EV-07 event", testEvent},
		{"EV-03 stream", testStreamIsKept},
		{"EV-08 EV-10 AU-10 log", testNothingLeaks},
		{"EV-12 metrics", testMetrics},
	} {
		t.Run(row.name, row.test)
	}
}

// testdata/rows.txt lists the rows of the acceptance table that this package must pass:
// number, class (C: as BricksLLM does, B: better), and for a row that is not to pass, why.
// Each of the others must be the name of a test, so that nobody has to believe a comment.
func TestEveryRowIsTested(t *testing.T) {
	rows, err := os.ReadFile("testdata/rows.txt")
	if err != nil {
		t.Fatal(err)
	}
	named := namedRows(t, ".")
	known := map[string]int{}
	for line := range strings.Lines(string(rows)) {
		id, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		class, reason, _ := strings.Cut(rest, " ")
		if !rowNumber.MatchString(id) || class != "C" && class != "B" {
			t.Errorf("not a row: %q", line)
		}
		kind, _, _ := strings.Cut(id, "-")
		known[kind]++
		if slices.Contains([]string{"R", "AU", "HD", "ST", "CO"}, kind) && reason != "" {
			t.Errorf("%s must pass, whatever reason there is", id)
		}
		if !named[id] && reason == "" {
			t.Errorf("no test is named %s", id)
		}
		delete(named, id)
	}
	if len(named) > 0 {
		t.Errorf("tests are named by rows that there are not: %v", slices.Sorted(maps.Keys(named)))
	}
	if want := map[string]int{"R": 78, "AU": 26, "ER": 11, "CK": 15, "LM": 21, "HD": 18, "ST": 17, "CO": 19, "RT": 22, "PO": 15, "CU": 5, "AP": 15, "EV": 13}; !maps.Equal(known, want) {
		t.Errorf("%v rows, want %v", known, want)
	}
}

var (
	rowNumber = regexp.MustCompile(`^[A-Z]{1,2}-\d\d$`)
	// rowNumbers are what a test's name begins with.
	rowNumbers = regexp.MustCompile(`^([A-Z]{1,2}-\d\d( |$))+`)
)

// namedRows are the rows by whose numbers the tests in a directory are named: those at the
// beginning of a string that is, or is in, the name given to Run, or that is an element of
// a table.
func namedRows(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	named := map[string]bool{}
	for _, file := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.PreorderStack(tree, nil, func(n ast.Node, above []ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING || !namesTest(literal, above) {
				return true
			}
			text, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range strings.Fields(rowNumbers.FindString(text)) {
				named[id] = true
			}
			return true
		})
	}
	return named
}

// namesTest reports whether a string names a test, or a case in a table of tests.
func namesTest(literal *ast.BasicLit, above []ast.Node) bool {
	for _, n := range slices.Backward(above) {
		switch n := n.(type) {
		case *ast.CompositeLit:
			return true
		case *ast.CallExpr:
			f, ok := n.Fun.(*ast.SelectorExpr)
			if ok && f.Sel.Name == "Run" && len(n.Args) == 2 {
				return n.Args[0].Pos() <= literal.Pos() && literal.End() <= n.Args[0].End()
			}
			if !ok || f.Sel.Name != "Sprint" {
				return false
			}
		case *ast.BlockStmt:
			return false
		}
	}
	return false
}
