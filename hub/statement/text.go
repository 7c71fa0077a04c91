package statement

import (
	"io"
	"strconv"
	"time"

	"github.com/millrace/millrace/ledger"
)

// text gathers what a format of text writes.
type text struct {
	w      io.Writer
	b      []byte
	header *Header
	millis uint64 // whose text moment is: the entries of a block have one time
	moment []byte
}

// textBuffer is from how many bytes on a text is handed on.
const textBuffer = 32 << 10

func newText(w io.Writer, h *Header) text {
	t := text{w: w, header: h, b: make([]byte, 0, textBuffer+textBuffer/8)} // no line is longer than the eighth
	t.moment = appendTime(nil, 0)
	return t
}

func (t *text) add(s string)          { t.b = append(t.b, s...) }
func (t *text) int(n int64)           { t.b = strconv.AppendInt(t.b, n, 10) }
func (t *text) uint(n uint64)         { t.b = strconv.AppendUint(t.b, n, 10) }
func (t *text) object(l *ledger.Line) { t.b = t.header.appendObject(t.b, l) }

// at adds a time in milliseconds since 1970.
func (t *text) at(millis uint64) {
	if millis != t.millis {
		t.millis, t.moment = millis, appendTime(t.moment[:0], millis)
	}
	t.b = append(t.b, t.moment...)
}

// pass hands on what was gathered once it is worth a write.
func (t *text) pass() error {
	if len(t.b) < textBuffer {
		return nil
	}
	return t.flush()
}

func (t *text) flush() error {
	_, err := t.w.Write(t.b)
	t.b = t.b[:0]
	return err
}

func appendTime(b []byte, millis uint64) []byte {
	return time.UnixMilli(int64(millis)).UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
}

// appendObject appends the text form of what a line's entry is about: an account, channel, hold, content or claim; of others nothing.
func (h *Header) appendObject(b []byte, l *ledger.Line) []byte {
	if l.Object == 0 {
		return b
	}
	if l.Kind.Content() {
		if h.Contents != nil {
			if id, ok := h.Contents(l.Object); ok {
				return id.Append(b)
			}
		}
		return strconv.AppendUint(b, uint64(l.Object), 10)
	}
	if l.Kind.Claim() {
		return ledger.ClaimNo(l.Object).Append(b)
	}
	switch l.Kind {
	case ledger.OpRate:
		return append(b, ledger.CurrencyOf(l.Object).String()...)
	case ledger.OpOpenAccount:
		return ledger.AccountNo(l.Object).Append(b)
	case ledger.OpAdvance, ledger.OpOpenChannel, ledger.OpTopUp, ledger.OpCloseChannel, ledger.OpExpireChannel,
		ledger.OpOpenTerms, ledger.OpVoucher, ledger.OpRenew:
		return ledger.ChannelNo(l.Object).Append(b)
	case ledger.OpHold, ledger.OpCapture, ledger.OpVoid:
		return append(b, ledger.HoldNo(l.Object).String()...)
	}
	return b
}
