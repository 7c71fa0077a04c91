package settle

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"
	"time"
)

// painSpace is where the names of a pain.001 belong; the version stands behind it.
const painSpace = "urn:iso:std:iso:20022:tech:xsd:"

// painVersions are those that are read.
var painVersions = map[string]bool{"pain.001.001.03": true, "pain.001.001.09": true}

// What is read of a pain.001 (CustomerCreditTransferInitiation, versions 03 and 09). Elements that are not here are passed over.
//
// A payee is an account identified in one of two ways: by CdtrAcct/Id/Othr/Id, or, from version 09 on, and where 34 characters do not
// suffice, by CdtrAcct/Prxy/Id; the other is then NOTPROVIDED. The kind of destination shows in the text itself: see ParseTarget.
//
// ISO 4217 has no bitcoin. InstdAmt is in SAT, satoshis with up to three decimals, which is exact and within what the schema allows (five
// decimals); or in BTC or XBT, with up to eleven.
type (
	painHeader struct {
		MsgID   string `xml:"MsgId"`
		Count   string `xml:"NbOfTxs"`
		Control string `xml:"CtrlSum"`
	}
	painDate struct {
		Text     string `xml:",chardata"` // version 03
		Date     string `xml:"Dt"`        // version 09
		DateTime string `xml:"DtTm"`
	}
	painAccount struct {
		Other string `xml:"Id>Othr>Id"`
		IBAN  string `xml:"Id>IBAN"`
		Proxy string `xml:"Prxy>Id"`
	}
	painAmount struct {
		Currency string `xml:"Ccy,attr"`
		Text     string `xml:",chardata"`
	}
	painTransfer struct {
		InstrID   string      `xml:"PmtId>InstrId"`
		EndToEnd  string      `xml:"PmtId>EndToEndId"`
		Instd     *painAmount `xml:"Amt>InstdAmt"`
		Account   painAccount `xml:"CdtrAcct"`
		Remittent []string    `xml:"RmtInf>Ustrd"`
	}
)

// notProvided is what ISO 20022 has where there is nothing to say and something must stand.
const notProvided = "NOTPROVIDED"

// pain is a file that is being read.
type pain struct {
	Sheet
	dec     *xml.Decoder
	raw     shallow
	header  painHeader
	path    []string
	group   string   // PmtInfId of the payment information that is being read
	count   string   // of the group: how many there should be in it
	control string   // and what their amounts should add up to
	sum     *big.Rat // of the amounts as they stand there, so far
	all     *big.Rat
	before  int // lines before the group
	headers int
}

// parsePain reads a pain.001, transfer by transfer.
func parsePain(text []byte) Sheet {
	p := &pain{sum: new(big.Rat), all: new(big.Rat), raw: shallow{dec: xml.NewDecoder(bytes.NewReader(text))}}
	p.dec = xml.NewTokenDecoder(&p.raw)
	if err := p.read(); err != nil {
		if wrong := (*xml.SyntaxError)(nil); errors.As(err, &wrong) { // its line is that of the tokens, which are all on one
			err = errors.New(wrong.Msg)
		}
		p.wrong("line %d: %v", p.line(), err)
		return p.Sheet
	}
	if p.headers != 1 {
		p.wrong("want one GrpHdr, there are %d", p.headers)
		return p.Sheet
	}
	p.ID = strings.TrimSpace(p.header.MsgID)
	if p.ID == "" || len(p.ID) > maxGiven || !plain(p.ID) {
		p.wrong("GrpHdr/MsgId: want 1 to %d bytes", maxGiven)
	}
	p.compare("GrpHdr", p.header.Count, p.header.Control, len(p.Lines), p.all)
	return p.Sheet
}

// line is the one that is being read.
func (p *pain) line() int {
	line, _ := p.raw.dec.InputPos()
	return line
}

// shallow hands on the tokens of a document, unless it is nested so deep that no pain.001 is: the decoder remembers what is open.
type shallow struct {
	dec   *xml.Decoder
	depth int
}

func (s *shallow) Token() (xml.Token, error) {
	t, err := s.dec.RawToken()
	switch t.(type) {
	case xml.StartElement:
		s.depth++
	case xml.EndElement:
		s.depth--
	case xml.Directive: // a document type could make entities, and no ISO 20022 file has one
		return nil, errors.New("a document type declaration")
	}
	if s.depth > 32 {
		return nil, errors.New("elements in elements, more than 32 deep")
	}
	return t, err
}

// compare compares what a header says with what is there.
func (p *pain) compare(where, count, control string, n int, sum *big.Rat) {
	if count = strings.TrimSpace(count); count != "" && strings.TrimLeft(count, "0") != fmt.Sprint(n) {
		p.wrong("%s/NbOfTxs: %.20q, and there are %d", where, count, n)
	}
	if control = strings.TrimSpace(control); control == "" {
		return
	}
	if said, ok := decimal(control); !ok || said.Cmp(sum) != 0 {
		p.wrong("%s/CtrlSum: %.40q, and the amounts add up to %s", where, control, strings.TrimRight(strings.TrimRight(sum.FloatString(11), "0"), "."))
	}
}

// decimal reads digits with decimals, exactly.
func decimal(text string) (*big.Rat, bool) {
	if text == "" || len(text) > maxAmount || strings.Trim(text, "0123456789.") != "" {
		return nil, false
	}
	return new(big.Rat).SetString(text)
}

// read goes through the elements.
func (p *pain) read() error {
	for {
		t, err := p.dec.Token()
		if errors.Is(err, io.EOF) {
			if p.Message == "" {
				return errors.New("no Document of a pain.001")
			}
			return nil
		}
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if err := p.element(&t); err != nil {
				return err
			}
		case xml.EndElement:
			if p.path = p.path[:len(p.path)-1]; t.Name.Local == "PmtInf" && len(p.path) == 2 {
				p.endGroup()
			}
		}
		if len(p.Lines) > MaxLines {
			return nil
		}
	}
}

// element reads an element whole, or goes into it.
func (p *pain) element(t *xml.StartElement) error {
	where := strings.Join(append(p.path[:len(p.path):len(p.path)], t.Name.Local), "/")
	switch where {
	case "Document":
		version, ok := strings.CutPrefix(t.Name.Space, painSpace)
		if !ok || !painVersions[version] {
			return fmt.Errorf("a Document of %.80q: want pain.001.001.03 or pain.001.001.09", t.Name.Space)
		}
		p.Message = version
	case "Document/CstmrCdtTrfInitn":
	case "Document/CstmrCdtTrfInitn/GrpHdr":
		p.headers++
		return p.dec.DecodeElement(&p.header, t)
	case "Document/CstmrCdtTrfInitn/PmtInf":
		p.group, p.count, p.control, p.sum, p.before = "", "", "", new(big.Rat), len(p.Lines)
	case "Document/CstmrCdtTrfInitn/PmtInf/CdtTrfTxInf":
		return p.transfer(t)
	default:
		if len(p.path) == 3 && p.path[2] == "PmtInf" {
			return p.groupField(t)
		}
		if len(p.path) == 0 {
			return fmt.Errorf("a document %.40q: want a Document of a pain.001", t.Name.Local)
		}
		return p.dec.Skip()
	}
	p.path = append(p.path, t.Name.Local)
	return nil
}

// groupField reads what a payment information says beside its transfers.
func (p *pain) groupField(t *xml.StartElement) error {
	line := p.line()
	switch t.Name.Local {
	case "ReqdExctnDt":
		var d painDate
		if err := p.dec.DecodeElement(&d, t); err != nil {
			return err
		}
		when := strings.TrimSpace(d.Text + d.Date + d.DateTime)
		day, err := time.Parse(time.DateOnly, when[:min(len(when), 10)])
		if err != nil {
			p.wrong("line %d: ReqdExctnDt: %.40q is not a date", line, when)
		} else if date := day.Format(time.DateOnly); date > p.Latest {
			p.Latest = date
		}
		return nil
	case "DbtrAcct":
		var a painAccount
		if err := p.dec.DecodeElement(&a, t); err != nil {
			return err
		}
		from := a.target()
		if p.From != "" && from != p.From {
			p.wrong("line %d: DbtrAcct: another account than above: one account pays a file", line)
		}
		p.From = from
		return nil
	case "PmtInfId", "PmtMtd", "NbOfTxs", "CtrlSum", "ChrgBr":
		var text string
		if err := p.dec.DecodeElement(&text, t); err != nil {
			return err
		}
		p.groupText(t.Name.Local, strings.TrimSpace(text), line)
		return nil
	}
	return p.dec.Skip()
}

func (p *pain) groupText(name, text string, line int) {
	switch name {
	case "PmtInfId":
		if p.group = text; len(text) > maxGiven || !plain(text) {
			p.wrong("line %d: PmtInfId: at most %d bytes", line, maxGiven)
			p.group = ""
		}
	case "PmtMtd":
		if text != "TRF" {
			p.wrong("line %d: PmtMtd: %.10q: want TRF", line, text)
		}
	case "NbOfTxs":
		p.count = text
	case "CtrlSum":
		p.control = text
	case "ChrgBr":
		if text == "CRED" {
			p.wrong("line %d: ChrgBr: CRED: the fee is who pays's", line)
		}
	}
}

func (p *pain) endGroup() {
	p.compare("PmtInf "+p.group, p.count, p.control, len(p.Lines)-p.before, p.sum)
}

// transfer reads a payment.
func (p *pain) transfer(t *xml.StartElement) error {
	line := p.line()
	var x painTransfer
	if err := p.dec.DecodeElement(&x, t); err != nil {
		return err
	}
	l := Line{Line: uint32(line), Group: p.group, To: x.Account.target(), Reference: strings.TrimSpace(strings.Join(x.Remittent, " "))}
	for _, given := range []string{x.EndToEnd, x.InstrID} {
		if given = strings.TrimSpace(given); l.Given == "" && given != notProvided {
			l.Given = given
		}
	}
	if x.Account.IBAN != "" {
		l.wrong("CdtrAcct: an IBAN: this hub pays bitcoin: want Othr/Id, or Prxy/Id")
	} else if x.Account.ambiguous() {
		l.wrong("CdtrAcct: Othr/Id and Prxy/Id name two destinations")
	}
	units := map[string]unit{"SAT": inSat, "BTC": inBTC, "XBT": inBTC}
	if x.Instd == nil {
		l.wrong("Amt/InstdAmt: there is none")
	} else if u, ok := units[x.Instd.Currency]; !ok {
		l.wrong("InstdAmt: currency %.10q: want SAT, BTC or XBT", x.Instd.Currency)
	} else {
		text := strings.TrimSpace(x.Instd.Text)
		l.amount("InstdAmt", text, u)
		if d, ok := decimal(text); ok {
			p.sum.Add(p.sum, d)
			p.all.Add(p.all, d)
		}
	}
	p.Lines = append(p.Lines, l)
	return nil
}

// target is what an account names.
func (a *painAccount) target() string {
	proxy, other := strings.TrimSpace(a.Proxy), strings.TrimSpace(a.Other)
	if proxy != "" {
		return proxy
	}
	if other == notProvided {
		return ""
	}
	return other
}

func (a *painAccount) ambiguous() bool {
	proxy, other := strings.TrimSpace(a.Proxy), strings.TrimSpace(a.Other)
	return proxy != "" && other != "" && other != notProvided && other != proxy
}
