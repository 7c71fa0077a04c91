package lndhub

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/channels"
	"github.com/millrace/millrace/ledger"
	"github.com/valyala/fasthttp"
)

// What a login is refused for.
var (
	ErrLogins = errors.New("the account has too many logins") // MaxLogins
	ErrLogin  = errors.New("there is no such login")
)

const (
	MaxLogins = 16 // of an account

	loginSize   = 10 // bytes, 20 digits
	accessLife  = 2 * time.Hour
	refreshLife = 7 * 24 * time.Hour // as long as BlueWallet believes in them
)

// Login is what a wallet logs in with. Its password has 256 bits of randomness, so that its hash needs no salt and nobody guesses it.
type Login struct {
	Login   string           `json:"login"`
	Account ledger.AccountNo `json:"account"`
	Name    string           `json:"name"` // of the wallet, as its owner calls it
	Hash    []byte           `json:"hash"` // SHA-256 of the password
	Made    int64            `json:"made"` // milliseconds since 1970
}

func loginKey(login string) []byte { return []byte("lndhub/login/" + login) }

func loginsKey(a ledger.AccountNo) []byte {
	return binary.BigEndian.AppendUint32([]byte("lndhub/logins/"), uint32(a))
}

func readSecret(records channels.Records) ([]byte, error) {
	key := []byte("lndhub/secret")
	secret, err := records.Get(key)
	if err != nil {
		return nil, fmt.Errorf("lndhub: reading a record: %w", err)
	}
	if len(secret) == 32 {
		return secret, nil
	}
	secret = make([]byte, 32)
	rand.Read(secret) // never fails: crypto/rand ends the process instead
	if err := records.Write(channels.Row{Key: key, Value: secret}); err != nil {
		return nil, fmt.Errorf("lndhub: writing a record: %w", err)
	}
	return secret, nil
}

// Issue makes a login for an account. The password is told once.
func (h *Handler) Issue(account ledger.AccountNo, name string) (l Login, password string, err error) {
	if len(name) > 100 {
		return l, "", fmt.Errorf("%w: a name of at most 100 bytes", ErrLogin)
	}
	h.logins.Lock()
	defer h.logins.Unlock()
	all, err := h.Logins(account)
	if err != nil {
		return l, "", err
	}
	if len(all) >= MaxLogins {
		return l, "", ErrLogins
	}
	var random [loginSize + 32]byte
	rand.Read(random[:])
	password = hex.EncodeToString(random[loginSize:])
	hash := sha256.Sum256([]byte(password))
	l = Login{Login: hex.EncodeToString(random[:loginSize]), Account: account, Name: name, Hash: hash[:], Made: h.cfg.Clock().UnixMilli()}
	text, err := json.Marshal(l)
	if err != nil {
		return l, "", err
	}
	err = h.cfg.Records.Write(channels.Row{Key: loginKey(l.Login), Value: text}, channels.Row{Key: append(loginsKey(account), l.Login...), Value: []byte("1")})
	if err != nil {
		return l, "", fmt.Errorf("lndhub: writing a login: %w", err)
	}
	l.Hash = nil
	return l, password, nil
}

// URI is what a wallet scans, or is told.
func URI(l Login, password, base string) string {
	return "lndhub://" + l.Login + ":" + password + "@" + strings.TrimSuffix(base, "/") + "/"
}

// URI is what a wallet scans for a login of this handler, where the hub is at an origin.
func (h *Handler) URI(l Login, password, origin string) string {
	return URI(l, password, origin+h.cfg.Prefix)
}

// Logins are an account's, the oldest first, without their hashes.
func (h *Handler) Logins(account ledger.AccountNo) (all []Login, err error) {
	prefix := loginsKey(account)
	var names []string
	err = h.cfg.Records.Scan(prefix, nil, func(key, _ []byte) bool {
		names = append(names, string(bytes.TrimPrefix(key, prefix)))
		return len(names) < 2*MaxLogins
	})
	if err != nil {
		return nil, fmt.Errorf("lndhub: reading logins: %w", err)
	}
	for _, name := range names {
		l, known, err := h.login(name)
		if err != nil {
			return nil, err
		}
		if l.Hash = nil; known {
			all = append(all, l)
		}
	}
	slices.SortStableFunc(all, func(a, b Login) int { return int(a.Made - b.Made) })
	return all, nil
}

// Revoke ends an account's login, and all tokens that were made of it.
func (h *Handler) Revoke(account ledger.AccountNo, login string) error {
	h.logins.Lock()
	defer h.logins.Unlock()
	l, known, err := h.login(login)
	if err != nil {
		return err
	}
	if !known || l.Account != account {
		return ErrLogin
	}
	if err := h.cfg.Records.Write(channels.Row{Key: loginKey(login)}, channels.Row{Key: append(loginsKey(account), login...)}); err != nil {
		return fmt.Errorf("lndhub: removing a login: %w", err)
	}
	return nil
}

func (h *Handler) login(name string) (l Login, known bool, err error) {
	if raw, err := hex.DecodeString(name); err != nil || len(raw) != loginSize {
		return l, false, nil
	}
	text, err := h.cfg.Records.Get(loginKey(name))
	if err != nil || text == nil {
		return l, false, err
	}
	if err := json.Unmarshal(text, &l); err != nil {
		return l, false, fmt.Errorf("lndhub: the login %s: %w", name, err)
	}
	return l, true, nil
}

// create opens an account, and makes its first login.
func (h *Handler) create(r *request) (any, error) {
	var in struct {
		Partner string `json:"partnerid"`
	}
	if err := r.body(&in); err != nil {
		return nil, err
	}
	account, err := h.cfg.Open(in.Partner)
	if err != nil {
		return nil, err
	}
	l, password, err := h.Issue(account, "")
	if err != nil {
		return nil, err
	}
	return struct {
		Login    string `json:"login"`
		Password string `json:"password"`
	}{l.Login, password}, nil
}

// auth makes tokens, of a password or of a token.
func (h *Handler) auth(r *request) (any, error) {
	var in struct {
		Login    string `json:"login"`
		Password string `json:"password"`
		Refresh  string `json:"refresh_token"`
	}
	if err := r.body(&in); err != nil {
		return nil, err
	}
	if in.Refresh != "" {
		l, err := h.verify(kindRefresh, in.Refresh)
		if err != nil {
			return nil, err
		}
		return h.tokens(l.Login), nil
	}
	l, known, err := h.login(in.Login)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256([]byte(in.Password))
	if !known || subtle.ConstantTimeCompare(hash[:], l.Hash) != 1 {
		return nil, errAuth
	}
	return h.tokens(l.Login), nil
}

// tokens are an access token and a refresh token. Nothing is kept of them: a token is
//
//	kind, 1 byte | login, 10 | until when, seconds since 1970, 8 | HMAC-SHA256 of all before, 32
//
// in base64url, and counts as long as its login is there.
func (h *Handler) tokens(login string) any {
	now := h.cfg.Clock()
	return struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		Kind    string `json:"token_type"`
		Expiry  string `json:"expiry"`
	}{
		h.token(kindAccess, login, now.Add(accessLife)), h.token(kindRefresh, login, now.Add(refreshLife)), "Bearer",
		now.Add(accessLife).UTC().Format(time.RFC3339),
	}
}

const (
	kindAccess  = 'a'
	kindRefresh = 'r'
)

func (h *Handler) token(kind byte, login string, until time.Time) string {
	raw, err := hex.AppendDecode([]byte{kind}, []byte(login))
	if err != nil {
		panic("lndhub: a login that is no hexadecimal digits") // it was made here
	}
	raw = binary.BigEndian.AppendUint64(raw, uint64(until.Unix()))
	return base64.RawURLEncoding.EncodeToString(h.mac(raw))
}

// mac appends the signature.
func (h *Handler) mac(raw []byte) []byte {
	mac := hmac.New(sha256.New, h.secret)
	mac.Write(raw)
	return mac.Sum(raw)
}

// verify says whose a token is.
func (h *Handler) verify(kind byte, text string) (Login, error) {
	const size = 1 + loginSize + 8
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != size+sha256.Size || raw[0] != kind || !hmac.Equal(raw, h.mac(raw[:size:size])) {
		return Login{}, errAuth
	}
	if until := binary.BigEndian.Uint64(raw[1+loginSize:]); uint64(h.cfg.Clock().Unix()) >= until {
		return Login{}, errAuth
	}
	l, known, err := h.login(hex.EncodeToString(raw[1 : 1+loginSize]))
	if err != nil {
		return Login{}, err
	}
	if !known {
		return Login{}, errAuth
	}
	return l, nil
}

// authorized is who asks.
func (h *Handler) authorized(r *request) (ledger.AccountNo, error) {
	const scheme = "Bearer "
	text := string(r.http.Request.Header.Peek(fasthttp.HeaderAuthorization))
	if len(text) < len(scheme) || !strings.EqualFold(text[:len(scheme)], scheme) {
		return 0, errAuth
	}
	l, err := h.verify(kindAccess, text[len(scheme):])
	return l.Account, err
}
