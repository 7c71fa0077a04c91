package api_test

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/millrace/millrace/hub/api"
	"github.com/millrace/millrace/hub/api/contract"
	"github.com/millrace/millrace/ledger"
)

// checker holds every exchange of every test against the document.
var checker = func() *contract.Checker {
	c, err := contract.New(api.Document())
	if err != nil {
		panic(err)
	}
	return c
}()

// TestMain fails a whole run in which an operation of the document was never answered with success.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 && whole() {
		seen := checker.Seen()
		for _, op := range checker.Operations() {
			if !slices.Contains(seen, op) && !slices.Contains(onNodes, op) {
				fmt.Fprintf(os.Stderr, "FAIL: no test had a success of %s\n", op)
				code = 1
			}
		}
	}
	os.Exit(code)
}

// onNodes are operations that succeed with nodes alone: TestRegtestOperator of cmd/millrace holds them against the document, with real ones.
var onNodes = []string{
	"POST /v1/rails/batches/{batch}/bump", "POST /v1/rails/batches/{batch}/abandon",
	"GET /v1/rails/reconciliation", "POST /v1/rails/reconciliation", "POST /v1/rails/adjustments",
}

// whole says whether all tests were asked for.
func whole() bool {
	for _, name := range []string{"test.run", "test.skip", "test.fuzz", "test.list"} {
		if flag.Lookup(name).Value.String() != "" {
			return false
		}
	}
	return true
}

// TestRoutesAndDocument: what is served is described, and the other way round.
func TestRoutesAndDocument(t *testing.T) {
	served := api.Routes()
	slices.Sort(served)
	var described []string
	for _, op := range checker.Operations() {
		described = append(described, regexp.MustCompile(`\{[a-z]+(\*?)\}`).ReplaceAllString(op, "{$1}"))
	}
	slices.Sort(described)
	if !slices.Equal(served, described) {
		t.Errorf("served:\n%q\ndescribed:\n%q", served, described)
	}
}

// TestRefusals: every refusal of the ledger has its row, with a status that the document has where such an op is asked for.
func TestRefusals(t *testing.T) {
	document := string(api.Document())
	for _, r := range ledger.Results() {
		status, detail, ok := api.RefusalStatus(r)
		if ok != r.Refused() {
			t.Errorf("%v: refused %v, but has a row: %v", r, r.Refused(), ok)
		}
		if !ok {
			continue
		}
		if detail == "" || status < 400 || status > 599 {
			t.Errorf("%v: status %d, detail %q", r, status, detail)
		}
		if !regexp.MustCompile(fmt.Sprintf(`(?m)^        "%d": \{\$ref`, status)).MatchString(document) {
			t.Errorf("%v: no operation of the document has status %d", r, status)
		}
		yesNo := map[bool]string{true: "yes", false: "no"}[r.Retryable()]
		if row := fmt.Sprintf("| %d | %s | %s |", r, r.String(), yesNo); !regexp.MustCompile(`(?m)^    ` + regexp.QuoteMeta(row)).MatchString(document) {
			t.Errorf("the document's table has no row %q", row)
		}
	}
}
