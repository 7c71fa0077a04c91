package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	secretSize   = 32 // bytes; the specification wants 24 to 64
	secretPrefix = "whsec_"
	maxSecrets   = 3 // that sign at a time
	rotation     = 24 * time.Hour
)

// secret is what the deliveries of an endpoint are signed with. It shows itself to its owner once, and to no log.
type secret struct {
	Key   []byte `json:"key"`
	Until uint64 `json:"until,omitempty"` // milliseconds since 1970; zero: as long as it is the newest
}

func newSecret() secret {
	key := make([]byte, secretSize)
	_, _ = rand.Read(key) // it never fails: the runtime ends the process first
	return secret{Key: key}
}

// String is the form in which receivers want it.
func (s secret) String() string { return secretPrefix + base64.StdEncoding.EncodeToString(s.Key) }

// rotate puts a new secret before the others, which count for a while yet.
func rotate(secrets []secret, s secret, now uint64) []secret {
	secrets = slices.Clone(live(secrets, now))
	secrets[0].Until = now + uint64(rotation.Milliseconds())
	secrets = slices.Insert(secrets, 0, s)
	return secrets[:min(len(secrets), maxSecrets)]
}

// live are the secrets that count now; the newest always does.
func live(secrets []secret, now uint64) []secret {
	n := 1
	for n < len(secrets) && secrets[n].Until > now {
		n++
	}
	return secrets[:n]
}

// signatures is the header webhook-signature: one for each secret, over the id, the time in seconds, and the body.
func signatures(secrets []secret, id string, seconds uint64, body []byte) string {
	var all []string
	for _, s := range secrets {
		mac := hmac.New(sha256.New, s.Key)
		mac.Write([]byte(id + "." + strconv.FormatUint(seconds, 10) + "."))
		mac.Write(body)
		all = append(all, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(all, " ")
}
