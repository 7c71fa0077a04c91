package ledger_test

import (
	"github.com/cockroachdb/datadriven"

	"github.com/millrace/millrace/ledger"
)

// claim reads what a claim, an answer or a decision says: text, of a claim its contents and the hours for an answer, of a
// decision version 1 for the claimant or 2 against him, and a price.
func (tr *transcript) claim(d *datadriven.TestData, op *ledger.Op) []byte {
	said := ledger.Statement{Text: tr.word(d, "text")}
	if op.Kind != ledger.OpClaim {
		op.Amount = ledger.Msat(tr.number(d, "price", 0))
		return ledger.AppendStatement(nil, &said)
	}
	op.Version = uint32(tr.number(d, "hours", 24) * 3600)
	var contents []ledger.ContentID
	for _, arg := range d.CmdArgs {
		if arg.Key == "contents" {
			for _, name := range arg.Vals {
				contents = append(contents, contentID(name))
			}
		}
	}
	return ledger.AppendClaim(nil, contents, &said)
}
