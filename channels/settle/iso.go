package settle

import (
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// Results of ISO 20022. Amounts are in SAT, satoshis with up to three decimals, because ISO 4217 has no bitcoin and its amounts have at
// most five decimals. They follow the order of the schemas; what is longer than these allow (payment hashes) stands in additional
// information.

const isoSpace = "urn:iso:std:iso:20022:tech:xsd:"

// isoMillis is ISODateTime.
func isoMillis(ms uint64) string {
	return time.UnixMilli(int64(ms)).UTC().Format("2006-01-02T15:04:05.000Z")
}

// isoID is an id in the 35 characters that most identifications have.
func isoID(prefix string, id channels.ID) string { return prefix + hex.EncodeToString(id[:]) }

// cutText is a text in so many characters.
func cutText(text string, most int) string {
	r := []rune(text)
	return string(r[:min(len(r), most)])
}

// or is a text, or what stands for none.
func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

type isoAmount struct {
	Currency string `xml:"Ccy,attr"`
	Text     string `xml:",chardata"`
}

func inISO(amount ledger.Msat) isoAmount { return isoAmount{"SAT", inSats(amount)} }

// isoWriter writes elements, and keeps the first error.
type isoWriter struct {
	enc  *xml.Encoder
	open []string
	err  error
}

func newISO(w io.Writer, message string) *isoWriter {
	x := &isoWriter{enc: xml.NewEncoder(w)}
	_, x.err = io.WriteString(w, xml.Header)
	x.enc.Indent("", " ")
	x.token(xml.StartElement{Name: xml.Name{Local: "Document"}, Attr: []xml.Attr{{Name: xml.Name{Local: "xmlns"}, Value: isoSpace + message}}})
	x.open = append(x.open, "Document")
	return x
}

func (x *isoWriter) token(t xml.Token) {
	if x.err == nil {
		x.err = x.enc.EncodeToken(t)
	}
}

func (x *isoWriter) start(name string) {
	x.token(xml.StartElement{Name: xml.Name{Local: name}})
	x.open = append(x.open, name)
}

func (x *isoWriter) end() {
	name := x.open[len(x.open)-1]
	x.open = x.open[:len(x.open)-1]
	x.token(xml.EndElement{Name: xml.Name{Local: name}})
}

// put writes a value as an element.
func (x *isoWriter) put(name string, v any) {
	if x.err == nil {
		x.err = x.enc.EncodeElement(v, xml.StartElement{Name: xml.Name{Local: name}})
	}
}

// close ends all that is open.
func (x *isoWriter) close() error {
	for len(x.open) > 0 {
		x.end()
	}
	if x.err == nil {
		x.err = x.enc.Close()
	}
	if x.err != nil {
		return fmt.Errorf("writing the result: %w", x.err)
	}
	return nil
}

type isoHeader struct {
	MsgID   string `xml:"MsgId"`
	Created string `xml:"CreDtTm"`
}

type statusReason struct {
	Reason string   `xml:"Rsn>Prtry"`
	Info   []string `xml:"AddtlInf"`
}

type groupStatus struct {
	MsgID   string         `xml:"OrgnlMsgId"`
	Name    string         `xml:"OrgnlMsgNmId"`
	Count   string         `xml:"OrgnlNbOfTxs"`
	Status  string         `xml:"GrpSts"`
	Reasons []statusReason `xml:"StsRsnInf"`
}

type paymentStatus struct {
	ID      string         `xml:"StsId,omitempty"`
	Given   string         `xml:"OrgnlEndToEndId"`
	Status  string         `xml:"TxSts"`
	Reasons []statusReason `xml:"StsRsnInf"`
}

// reasons is why, in as many pieces as the schema's 105 characters need.
func reasons(code Reason, texts []string) []statusReason {
	s := statusReason{Reason: cutText(string(code), 35)}
	for _, text := range texts {
		for r := []rune(text); len(r) > 0; r = r[min(len(r), 105):] {
			s.Info = append(s.Info, string(r[:min(len(r), 105)]))
		}
	}
	return []statusReason{s}
}

// statusMessage is the pain.002 that answers a file: of the same year as its pain.001.
func statusMessage(f *File) string {
	if f.Message == "pain.001.001.03" {
		return "pain.002.001.03"
	}
	return "pain.002.001.10"
}

func (x *isoWriter) original(f *File, status string, why []statusReason) {
	x.put("OrgnlGrpInfAndSts", groupStatus{cutText(f.ID, 35), or(f.Message, string(f.Format)), strconv.Itoa(int(f.Lines)), status, why})
}

// Status writes how an import stands, as pain.002 (CustomerPaymentStatusReport): ACSC of what is paid, ACSP of what is on its way, PDNG of
// what waits, RJCT of the rest, with the reason.
func (d *Desk) Status(w io.Writer, id channels.ID) error {
	run, err := d.Run(id)
	if err != nil {
		return err
	}
	if run.File == nil {
		return fmt.Errorf("%w: it is not of a file", ErrState)
	}
	x := newISO(w, statusMessage(run.File))
	x.start("CstmrPmtStsRpt")
	x.put("GrpHdr", isoHeader{isoID("ST", run.ID), isoMillis(d.now())})
	x.original(run.File, run.groupStatus(), nil)
	group, began := "", false
	err = d.eachItem(&run, func(n *Numbered) error {
		if !began || n.Group != group {
			if began {
				x.end()
			}
			group, began = n.Group, true
			x.start("OrgnlPmtInfAndSts")
			x.put("OrgnlPmtInfId", or(cutText(group, 35), notProvided))
		}
		x.put("TxInfAndSts", n.status(run.ID))
		return x.err
	})
	if err != nil {
		return err
	}
	return x.close()
}

func (n *Numbered) status(run channels.ID) paymentStatus {
	s := paymentStatus{Given: or(cutText(n.Given, 35), notProvided), Status: "PDNG"}
	switch n.Stage {
	case Begun, Returning:
		s.Status = "ACSP"
	case Paid:
		s.Status = "ACSC"
	case Failed, Skipped:
		s.Status, s.Reasons = "RJCT", reasons(n.Reason, n.Problems)
	}
	if n.Try > 0 {
		s.ID = payoutRef(run, n)
	}
	return s
}

// payoutRef is the id of the payout that an item has come to, in 32 characters.
func payoutRef(run channels.ID, n *Numbered) string { return isoID("", payoutID(run, n.Number, n.Try)) }

func (r *Run) groupStatus() string {
	switch {
	case r.State == Created:
		return "PDNG"
	case r.State != Closed:
		return "ACSP"
	case r.Report.Failed.Count+r.Report.Skipped.Count == 0:
		return "ACSC"
	case r.Report.Paid.Count == 0:
		return "RJCT"
	}
	return "PART"
}

// Rejection writes the answer to a file that was not accepted, as pain.002: why, for the whole and for each line that is wrong.
func (d *Desk) Rejection(w io.Writer, in *Import) error {
	x := newISO(w, statusMessage(&in.File))
	x.start("CstmrPmtStsRpt")
	x.put("GrpHdr", isoHeader{isoID("RJ", channels.ID(d.cfg.Ledger.NewID())), isoMillis(d.now())})
	var whole []string
	for _, p := range in.Problems {
		if p.Line == 0 {
			whole = append(whole, p.Text)
		}
	}
	if whole == nil {
		whole = []string{"payments of it are wrong, and nothing is paid"}
	}
	x.original(&in.File, "RJCT", reasons(InvalidLine, whole))
	for i := 0; i < len(in.Problems); {
		p := in.Problems[i]
		i++
		if p.Line == 0 {
			continue
		}
		texts := []string{fmt.Sprintf("line %d: %s", p.Line, p.Text)}
		for ; i < len(in.Problems) && in.Problems[i].Line == p.Line; i++ {
			texts = append(texts, in.Problems[i].Text)
		}
		x.start("OrgnlPmtInfAndSts")
		x.put("OrgnlPmtInfId", or(cutText(p.Group, 35), notProvided))
		x.put("TxInfAndSts", paymentStatus{Given: or(cutText(p.Given, 35), notProvided), Status: "RJCT", Reasons: reasons(InvalidLine, texts)})
		x.end()
	}
	return x.close()
}

type booking struct {
	Ref     string    `xml:"NtryRef"`
	Amount  isoAmount `xml:"Amt"`
	Side    string    `xml:"CdtDbtInd"`
	Status  string    `xml:"Sts>Cd"`
	Booked  string    `xml:"BookgDt>DtTm"`
	Payout  string    `xml:"AcctSvcrRef"`
	Code    string    `xml:"BkTxCd>Prtry>Cd"`
	Charges isoAmount `xml:"Chrgs>TtlChrgsAndTaxAmt"`
	Detail  bookingOf `xml:"NtryDtls>TxDtls"`
}

type bookingOf struct {
	MsgID  string    `xml:"Refs>MsgId"`
	Given  string    `xml:"Refs>EndToEndId"`
	Amount isoAmount `xml:"Amt"`
	Side   string    `xml:"CdtDbtInd"`
	Payee  isoPayee  `xml:"RltdPties>CdtrAcct"`
	Texts  []string  `xml:"RmtInf>Ustrd"`
	Info   string    `xml:"AddtlTxInf,omitempty"`
}

// isoPayee is a destination, as a pain.001 has it.
type isoPayee struct {
	ID    string    `xml:"Id>Othr>Id"`
	Proxy *isoProxy `xml:"Prxy"` // where 34 characters do not suffice
}

type isoProxy struct {
	ID string `xml:"Id"`
}

// Bookings writes what a run has taken from its account so far, as camt.054 (BankToCustomerDebitCreditNotification): an entry of the payment and its
// fee together for each that arrived.
func (d *Desk) Bookings(w io.Writer, id channels.ID) error {
	run, err := d.Run(id)
	if err != nil {
		return err
	}
	if run.File == nil {
		return fmt.Errorf("%w: it is not of a file", ErrState)
	}
	x := newISO(w, "camt.054.001.08")
	x.start("BkToCstmrDbtCdtNtfctn")
	x.put("GrpHdr", isoHeader{isoID("BK", run.ID), isoMillis(d.now())})
	x.start("Ntfctn")
	x.put("Id", isoID("N", run.ID))
	x.put("CreDtTm", isoMillis(d.now()))
	x.start("Acct")
	x.start("Id")
	x.start("Othr")
	x.put("Id", run.Account.String())
	x.end()
	x.end()
	x.put("Ccy", "SAT")
	x.end()
	err = d.eachItem(&run, func(n *Numbered) error {
		if n.Stage == Paid {
			x.put("Ntry", n.booking(&run))
		}
		return x.err
	})
	if err != nil {
		return err
	}
	return x.close()
}

func (n *Numbered) booking(run *Run) booking {
	b := booking{Ref: strconv.Itoa(int(n.Number)), Amount: inISO(n.Amount + n.Fee), Side: "DBIT", Status: "BOOK", Booked: isoMillis(n.Ended),
		Payout: payoutRef(run.ID, n), Code: "PAYOUT-" + strings.ToUpper(string(n.Rail)), Charges: inISO(n.Fee)}
	b.Detail = bookingOf{MsgID: cutText(run.File.ID, 35), Given: or(cutText(n.Given, 35), notProvided), Amount: inISO(n.Amount), Side: "DBIT", Payee: isoPayee{ID: n.To.Text}}
	if len(n.To.Text) > 34 {
		b.Detail.Payee = isoPayee{notProvided, &isoProxy{n.To.Text}}
	}
	for r := []rune(n.Reference); len(r) > 0; r = r[min(len(r), 140):] {
		b.Detail.Texts = append(b.Detail.Texts, string(r[:min(len(r), 140)]))
	}
	if n.Hash != "" {
		b.Detail.Info = "hash " + n.Hash
		if n.Proof != "" {
			b.Detail.Info += ", proof " + n.Proof
		}
	}
	return b
}
