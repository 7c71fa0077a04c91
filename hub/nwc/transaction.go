package nwc

import (
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
)

// transaction is an invoice or a payment, as NIP-47 writes it.
type transaction struct {
	Type        string      `json:"type"` // incoming or outgoing
	State       string      `json:"state"`
	Invoice     string      `json:"invoice,omitempty"`
	Description string      `json:"description,omitempty"`
	DescHash    string      `json:"description_hash,omitempty"`
	Preimage    string      `json:"preimage,omitempty"`
	Hash        string      `json:"payment_hash"`
	Amount      ledger.Msat `json:"amount"`
	Fees        ledger.Msat `json:"fees_paid"`
	Made        int64       `json:"created_at"` // seconds since 1970
	Expires     int64       `json:"expires_at,omitempty"`
	Settled     int64       `json:"settled_at,omitempty"`
	Metadata    struct{}    `json:"metadata"`
}

func transactionOf(i *channels.Item) *transaction {
	t := &transaction{
		Type: "outgoing", State: string(i.State), Invoice: i.Invoice, Description: i.Memo, DescHash: hex.EncodeToString(i.DescHash),
		Hash: i.Hash.String(), Amount: i.Amount, Made: i.Made.Unix(), Expires: seconds(i.Expires), Settled: seconds(i.Settled),
	}
	if i.Incoming {
		t.Type = "incoming"
	}
	if i.State == channels.Settled {
		t.Fees = i.Fee
		if i.Preimage != (channels.Hash{}) {
			t.Preimage = i.Preimage.String()
		}
	}
	return t
}

func seconds(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.Unix()
}

// notifications are what a connection can be told.
var notifications = [...]string{"payment_received", "payment_sent"}

// moved is a notification on its way.
type moved struct {
	account ledger.AccountNo
	item    channels.Item
}

const maxMoved = 4096 // notifications that wait; further ones are lost

// Moved tells the connections of an account what its money has done. It returns at once; what comes faster than relays take it is lost.
func (s *Service) Moved(account ledger.AccountNo, i channels.Item) {
	if i.State != channels.Settled || i.Rail == channels.Chain || i.Hash == (channels.Hash{}) {
		return
	}
	select {
	case s.moves <- moved{account, i}:
	default:
		s.metrics.lost.Inc()
	}
}

// notify sends notifications. A service that reads both encryptions sends each twice (NIP-47): in NIP-04 under a kind of its own.
func (s *Service) notify(m moved) {
	now := s.cfg.Clock()
	name := notifications[1]
	if m.item.Incoming {
		name = notifications[0]
	}
	text, err := json.Marshal(map[string]any{"notification_type": name, "notification": transactionOf(&m.item)})
	if err != nil {
		s.cfg.Logger.Error("a notification that is no JSON", "err", err)
		return
	}
	for _, l := range s.links(m.account) {
		if !l.Notify || l.expired(now) {
			continue
		}
		for how, kind := range map[scheme]int{nip44: kindNotify, nip04: kindNotifyLegacy} {
			if err := s.send(l, how, kind, text, []string{"p", l.Client.String()}); err != nil {
				s.cfg.Logger.Error("a notification that cannot be sent", "connection", l.ID, "err", err)
			}
		}
	}
}
