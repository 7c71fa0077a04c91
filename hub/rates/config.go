package rates

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/millrace/millrace/channels/outbound"
	"github.com/millrace/millrace/hub/currency"
)

// Share is a part of something in ten-thousandths: 2000 is 20 %.
type Share uint32

// whole is all of it.
const whole Share = 10_000

// Config says how rates are found.
type Config struct {
	Sources []Source      // 1 to MaxSources
	Every   time.Duration // between two rounds of asking; zero: a minute; at least a second
	Valid   time.Duration // how long the ledger may price by a rate after it was set; zero: half an hour; at least four rounds
	Move    Share         // a rate that moved by more is set at once; zero: 50, half a percent
	Jump    Share         // one that moved by more is held until it is confirmed; zero: 2000, a fifth
	Need    int           // so many sources must have a say about a currency; zero: one

	Ledger Ledger
	// Development lets sources be plain HTTP and at any address, as Source.Private does for one.
	Development bool
	Logger      *slog.Logger // nil: nowhere

	Clock func() time.Time                     // nil: the machine's clock
	After func(time.Duration) <-chan time.Time // nil: time.After
}

// Source is a file or an HTTP address.
type Source struct {
	Name       string          // 1 to 32 of a-z, 0-9, - and _
	File       string          // of JSON, or of lines such as "EUR 65000.12"; or
	URL        string          // https://, whose answer is JSON; {currency} stands for the letters, and then each has a request of its own
	Currencies []currency.Code // that it is asked about: 1 to MaxCurrencies
	Path       string          // to the number in JSON: data.rates.{currency}; empty: {currency}
	TimePath   string          // to its time; empty: the file's last change, or when the answer came
	Gives      Direction       // what the number means
	Stale      time.Duration   // an older reading does not count; zero: a quarter of an hour
	Timeout    time.Duration   // for one request, from dialling to the end of the answer; zero: 10 s
	Private    bool            // the URL is of the hub's own machine or network: any address, and http:// too
}

// placeholder stands for the letters of a currency in URLs and paths.
const placeholder = "{currency}"

var sourceName = regexp.MustCompile(`^[a-z0-9_-]{1,32}$`)

// Validate fills in what is zero, and says all that is wrong.
func (c *Config) Validate() error {
	c.Every, c.Valid = or(c.Every, time.Minute), or(c.Valid, 30*time.Minute)
	c.Move, c.Jump, c.Need = or(c.Move, 50), or(c.Jump, 2000), or(c.Need, 1)
	c.Logger = or(c.Logger, slog.New(slog.DiscardHandler))
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.After == nil {
		c.After = time.After
	}
	var errs []error
	refuse := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	refuse(c.Every < time.Second || c.Every > time.Hour, "every: %v is not between 1s and 1h", c.Every)
	refuse(c.Valid < 4*c.Every || c.Valid > MaxValid, "valid: %v is not between four rounds, %v, and %v", c.Valid, 4*c.Every, MaxValid)
	refuse(c.Jump > 10*whole, "jump: at most 1000 %%")
	refuse(c.Move > c.Jump, "move: more than jump")
	refuse(len(c.Sources) == 0 || len(c.Sources) > MaxSources, "source: %d of them: want 1 to %d", len(c.Sources), MaxSources)
	names := make(map[string]bool)
	voices := make(map[currency.Code]int)
	for i := range c.Sources {
		s := &c.Sources[i]
		refuse(names[s.Name], "source %s: there are two", s.Name)
		names[s.Name] = true
		if err := s.validate(c); err != nil {
			errs = append(errs, fmt.Errorf("source %s: %w", s.Name, err))
		}
		for _, code := range s.Currencies {
			voices[code]++
		}
	}
	refuse(c.Need < 1, "need: %d is not positive", c.Need)
	for code, n := range voices {
		refuse(n < c.Need, "need: %d sources, and %v has %d", c.Need, code, n)
	}
	return errors.Join(errs...)
}

// MaxValid bounds how long a rate may be priced by.
const MaxValid = 31 * 24 * time.Hour

func or[T comparable](value, instead T) T {
	var zero T
	if value == zero {
		return instead
	}
	return value
}

func (s *Source) validate(c *Config) error {
	s.Path, s.Stale, s.Timeout = or(s.Path, placeholder), or(s.Stale, 15*time.Minute), or(s.Timeout, min(10*time.Second, c.Every))
	switch codes := slices.Compact(slices.Sorted(slices.Values(spelled(s.Currencies)))); {
	case !sourceName.MatchString(s.Name):
		return errors.New("name: want 1 to 32 of a-z, 0-9, - and _")
	case (s.File == "") == (s.URL == ""):
		return errors.New("file and url: set one")
	case len(s.Currencies) == 0 || len(s.Currencies) > MaxCurrencies:
		return fmt.Errorf("currencies: %d of them: want 1 to %d", len(s.Currencies), MaxCurrencies)
	case len(codes) != len(s.Currencies):
		return errors.New("currencies: the same twice")
	case len(s.Currencies) > 1 && !strings.Contains(s.Path+s.URL, placeholder):
		return fmt.Errorf("path: without %s all currencies have the same rate", placeholder)
	case len(s.Path) > maxPath || len(s.TimePath) > maxPath:
		return fmt.Errorf("path and time_path: at most %d bytes", maxPath)
	case s.Stale <= 0 || s.Stale > MaxValid:
		return fmt.Errorf("stale: %v is not between 0s and %v", s.Stale, MaxValid)
	case s.Timeout <= 0 || s.Timeout > c.Every:
		return fmt.Errorf("timeout: %v is not between 0s and a round, %v", s.Timeout, c.Every)
	case s.File != "":
		return nil
	}
	return s.checkURL(c.Development)
}

func spelled(codes []currency.Code) (all []string) {
	for _, c := range codes {
		all = append(all, c.String())
	}
	return all
}

// checkURL says what is wrong with a URL. What its name resolves to is checked when it is dialled, each time. No error has the URL in it,
// which may hold a key.
func (s *Source) checkURL(development bool) error {
	u, err := url.Parse(s.fill(s.URL, currency.Code([]byte("EUR"))))
	anywhere := development || s.Private
	switch {
	case err != nil || len(s.URL) > maxURL:
		return fmt.Errorf("url: want at most %d bytes that are a URL", maxURL)
	case u.Scheme != "https" && (u.Scheme != "http" || !anywhere):
		return errors.New("url: want https://, or private = true")
	case u.Hostname() == "" || u.Opaque != "" || u.Fragment != "" || u.User != nil:
		return errors.New("url: want a host, and no user, password or fragment")
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !anywhere && !outbound.Public(ip) {
		return fmt.Errorf("url: %w (a source of the hub's own network wants private = true)", outbound.ErrTarget)
	}
	return nil
}

// fill puts a currency's letters in the place that is kept for them.
func (s *Source) fill(text string, code currency.Code) string {
	return strings.ReplaceAll(text, placeholder, code.String())
}
