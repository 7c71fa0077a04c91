package client

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/millrace/millrace/hub/seal"
	"github.com/millrace/millrace/ledger"
)

const tokenLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// decode reads an answer, which must have every member of its struct but those that may be omitted. Members that this
// version does not know are let pass: a newer hub may say more.
func decode(data []byte, answer any) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	t := reflect.TypeOf(answer).Elem()
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if got, ok := members[name]; options != "omitempty" && (!ok || string(got) == "null") {
			return fmt.Errorf("%w: it has no %s", ErrAnswer, name)
		}
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return nil
}

// checks are what an answer must fulfil, by the members that say so.
type checks map[string]bool

// failed is what is wrong with an answer. It quotes nothing: an answer can hold secrets.
func (c checks) failed() error {
	var wrong []string
	for name, ok := range c {
		if !ok {
			wrong = append(wrong, name)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return fmt.Errorf("%w: wrong %s", ErrAnswer, strings.Join(wrong, ", "))
}

func isDone(result string) bool { return result == "applied" || result == "repeated" }

func isToken(text string) bool { return text != "" && strings.Trim(text, tokenLetters) == "" }

func isOrigin(text string) bool {
	_, err := seal.ParseOrigin(text)
	return err == nil
}

func isAccount(text string) bool {
	no, err := ledger.ParseAccountNo(text)
	return err == nil && no != 0
}

func isDigest(text string) bool {
	b, err := hex.DecodeString(text)
	return err == nil && len(b) == 32
}

func isPrice(m ledger.Msat) bool { return m > 0 && m <= ledger.MaxMsat }
