package token

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/millrace/millrace/ledger"
)

// Only binds a token to units of one content: a player's token, which may lie in a cookie or in a URL. A token that is bound does
// nothing but unlock these units, so that with a cap on each call its cap over all is fixed when it is made, for ever, and without
// anybody counting: each unit is paid for once as long as the token lives. The zero value binds nothing.
type Only struct {
	Content   ledger.ContentID // zero: any
	From, End uint32           // units from From until before End; End zero: any
	Site      string           // a cookie counts only for requests from pages of this web origin; empty: of none
}

// Bound says whether a token is bound at all.
func (o Only) Bound() bool { return o != Only{} }

// Allows says whether a unit is among those that a token is bound to.
func (o Only) Allows(id ledger.ContentID, unit uint32) bool {
	return (o.Content == ledger.ContentID{} || o.Content == id) && (o.End == 0 || unit >= o.From && unit < o.End)
}

// The caveats of Only, as text.
const (
	contentPrefix = "content = " // a content id: content = 0a...
	unitsPrefix   = "units = "   // the first and the last: units = 0-59
	sitePrefix    = "site = "    // a web origin as browsers send it: site = https://player.example
)

const maxSite = 300 // bytes

func (o Only) caveats() ([]string, error) {
	var out []string
	if o.Content != (ledger.ContentID{}) {
		out = append(out, contentPrefix+o.Content.String())
	}
	if o.From > 0 || o.End > 0 {
		if o.From >= o.End {
			return nil, fmt.Errorf("%w: units from %d until before %d", ErrCaveat, o.From, o.End)
		}
		out = append(out, fmt.Sprintf("%s%d-%d", unitsPrefix, o.From, o.End-1))
	}
	if o.Site != "" {
		if !siteOK(o.Site) {
			return nil, fmt.Errorf("%w: a site has at most %d visible characters of ASCII", ErrCaveat, maxSite)
		}
		out = append(out, sitePrefix+o.Site)
	}
	return out, nil
}

func siteOK(site string) bool {
	return site != "" && len(site) <= maxSite && strings.IndexFunc(site, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// addOnly narrows the grant by one caveat of Only; ok is false for any other. What contradicts an earlier caveat leaves nothing
// that the token may do.
func (g *Grant) addOnly(caveat string) (ok bool, err error) {
	if text, ok := strings.CutPrefix(caveat, contentPrefix); ok {
		id, err := ledger.ParseContentID(text)
		if err != nil || id == (ledger.ContentID{}) {
			return true, fmt.Errorf("%w: %q is not a content id", ErrCaveat, text)
		}
		if g.Only.Content != (ledger.ContentID{}) && g.Only.Content != id {
			g.Scopes = 0
		}
		g.Only.Content = id
		return true, nil
	}
	if text, ok := strings.CutPrefix(caveat, unitsPrefix); ok {
		from, end, err := parseUnits(text)
		if err != nil {
			return true, err
		}
		if g.Only.End == 0 {
			g.Only.End = end
		}
		g.Only.From, g.Only.End = max(g.Only.From, from), min(g.Only.End, end)
		if g.Only.From >= g.Only.End {
			g.Scopes = 0
		}
		return true, nil
	}
	if text, ok := strings.CutPrefix(caveat, sitePrefix); ok {
		if !siteOK(text) {
			return true, fmt.Errorf("%w: %q is not a web origin", ErrCaveat, text)
		}
		if g.Only.Site != "" && g.Only.Site != text {
			g.Scopes = 0
		}
		g.Only.Site = text
		return true, nil
	}
	return false, nil
}

// parseUnits reads the first and the last unit, in the one way of writing them.
func parseUnits(text string) (from, end uint32, err error) {
	first, last, _ := strings.Cut(text, "-")
	a, errFirst := strconv.ParseUint(first, 10, 32)
	b, errLast := strconv.ParseUint(last, 10, 32)
	if errFirst != nil || errLast != nil || a > b || b >= 1<<32-1 || text != fmt.Sprintf("%d-%d", a, b) {
		return 0, 0, fmt.Errorf("%w: units %q: want the first and the last, as 0-59", ErrCaveat, text)
	}
	return uint32(a), uint32(b) + 1, nil
}
