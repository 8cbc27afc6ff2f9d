package admin_test

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

// TestRows runs the tests that prove rows of the acceptance tables as a whole; those of
// other tests bear their numbers in the names of their cases: go test -run '/AG-33' runs
// what proves one.
func TestRows(t *testing.T) {
	for _, row := range []struct {
		name string
		test func(*testing.T)
	}{
		{"AG-24 AG-25 AG-26 tokens", testTokens},
		{"AG-25 audit", testAudit},
		{"AG-27 browsers", onEach(testCORS)},
		{"AG-32 changes of a user", testConcurrentRecordPatches},
		{"AG-33 If-Match", testPreconditions},
		{"AG-34 Idempotency-Key", testIdempotentCreates},
		{"AG-34 lost answer", testIdempotentAfterFailure},
		{"AK-66 pages by cursor", testAllKeysByCursor},
		{"AK-66 ten thousand keys", testTenThousandKeys},
		{"AS-07 AS-08 secrets shown", onEach(testShowSecrets)},
	} {
		t.Run(row.name, row.test)
	}
}

// testdata/rows.txt lists the rows of the acceptance tables that this API must pass:
// number, class (C: as BricksLLM does, B: better), and where the row is proved if not
// here: "e2e:" with what is called there, or "no:" with the reason why it is not to
// pass. Each of the others must be the name of a test of this package, so that nobody
// has to believe a comment.
func TestEveryRowIsTested(t *testing.T) {
	rows, err := os.ReadFile("testdata/rows.txt")
	if err != nil {
		t.Fatal(err)
	}
	exchanges, err := os.ReadFile("testdata/exchanges.txt")
	if err != nil {
		t.Fatal(err)
	}
	here, whole := map[string]bool{}, map[string]bool{}
	namedRows(t, here, ".", "Run")
	for line := range strings.Lines(string(exchanges)) { // they are run under their headings
		if name, ok := strings.CutPrefix(line, "## "); ok {
			addRows(here, name)
		}
	}
	namedRows(t, whole, "../e2e", "Run", "expect")
	namedRows(t, whole, "../../cmd/tollgate", "Run")
	known := map[string]int{}
	for line := range strings.Lines(string(rows)) {
		id, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		class, more, _ := strings.Cut(rest, " ")
		if !rowNumber.MatchString(id) || class != "C" && class != "B" {
			t.Errorf("not a row: %q", line)
		}
		kind, _, _ := strings.Cut(id, "-")
		known[kind]++
		switch {
		case more == "" && !here[id]:
			t.Errorf("no test is named %s", id)
		case strings.HasPrefix(more, "e2e:") && !whole[id]:
			t.Errorf("no test of the whole program is named %s", id)
		case more != "" && !strings.HasPrefix(more, "e2e:") && !strings.HasPrefix(more, "no: "):
			t.Errorf("not a reason: %q", line)
		}
		delete(here, id)
	}
	if len(here) > 0 {
		t.Errorf("tests are named by rows that there are not: %v", slices.Sorted(maps.Keys(here)))
	}
	if want := map[string]int{"AR": 31, "AG": 35, "AK": 72, "AS": 28, "AC": 19, "AUs": 24, "B": 24}; !maps.Equal(known, want) {
		t.Errorf("%v rows, want %v", known, want)
	}
}

var (
	rowNumber = regexp.MustCompile(`^(A[A-Z]|AUs)-\d\d$|^B-\d\.\d$`)
	// rowNumbers are what a test's name begins with.
	rowNumbers = regexp.MustCompile(`^(((A[A-Z]|AUs)-\d\d|B-\d\.\d)(\s|$))+`)
)

func addRows(named map[string]bool, name string) {
	for _, id := range strings.Fields(rowNumbers.FindString(name)) {
		named[id] = true
	}
}

// namedRows adds the rows by whose numbers the tests in a directory are named: those at
// the beginning of a string that is, or is in, the name given to one of the functions,
// or that is an element of a table.
func namedRows(t *testing.T, named map[string]bool, dir string, functions ...string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	for _, file := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.PreorderStack(tree, nil, func(n ast.Node, above []ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING || !namesTest(literal, above, functions) {
				return true
			}
			text, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			addRows(named, text)
			return true
		})
	}
}

// namesTest reports whether a string names a test, or a case in a table of tests.
func namesTest(literal *ast.BasicLit, above []ast.Node, functions []string) bool {
	for _, n := range slices.Backward(above) {
		switch n := n.(type) {
		case *ast.CompositeLit:
			return true
		case *ast.CallExpr:
			name := ""
			switch f := n.Fun.(type) {
			case *ast.Ident:
				name = f.Name
			case *ast.SelectorExpr:
				name = f.Sel.Name
			}
			if !slices.Contains(functions, name) || len(n.Args) < 2 {
				return false
			}
			// The name is the argument before the last: that of Run(name, test), or the row of
			// expect(t, row, got, want).
			arg := n.Args[min(1, len(n.Args)-2)]
			return arg.Pos() <= literal.Pos() && literal.End() <= arg.End()
		case *ast.BlockStmt:
			return false
		}
	}
	return false
}
