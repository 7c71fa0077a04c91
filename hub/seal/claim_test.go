package seal

import (
	"errors"
	"strings"
	"testing"
)

func TestClaim(t *testing.T) {
	c := Claim{Content: testID, Commitment: Commitment(FileKey{1})}
	if got, err := ParseClaim([]byte(c.Text())); err != nil || got != c {
		t.Errorf("%+v, %v", got, err)
	}
	for _, text := range []string{"", "{}", "secret", c.Text() + "x", strings.Repeat(" ", MaxClaim) + c.Text(),
		strings.Replace(c.Text(), testID.String(), "ff", 1), strings.Replace(c.Text(), `"commitment":"`, `"commitment":"00`, 1)} {
		if got, err := ParseClaim([]byte(text)); !errors.Is(err, ErrClaim) || got != (Claim{}) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}
