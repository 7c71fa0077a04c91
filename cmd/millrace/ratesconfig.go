package main

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/millrace/millrace/hub/currency"
	"github.com/millrace/millrace/hub/rates"
)

// ratesConfig is the table [rates] of the configuration file: how the hub finds out what a unit of a currency costs, for prices in a
// creator's own money. No flag and no variable sets it. With no source, rates are only those that the operator sets.
type ratesConfig struct {
	// Every is the time between two rounds of asking. Zero: a minute.
	Every duration `toml:"every"`
	// Valid is how long the hub prices by a rate after it was set. Zero: half an hour; at least four rounds.
	Valid duration `toml:"valid"`
	// Move is by how much a rate must have moved to be set at once, such as "0.5%", which is what it is when empty.
	Move percent `toml:"move"`
	// Jump is by how much it may have moved at most without being held until it is confirmed. Empty: "20%".
	Jump percent `toml:"jump"`
	// Need is how many sources must have a say about a currency. Zero: one.
	Need int `toml:"need"`
	// Source are the sources, each a table [[rates.source]]: at most 16.
	Source []rateSource `toml:"source"`
}

// rateSource is a file or an HTTP address.
type rateSource struct {
	// Name is what the source is called in logs and metrics: 1 to 32 of a-z, 0-9, - and _.
	Name string `toml:"name"`
	// File is read in each round: JSON, or lines such as "EUR 65000.12", each with its time behind if it is not that of the file.
	File string `toml:"file"`
	// URL is asked in each round for JSON, by https://. Where {currency} stands, each currency has a request of its own.
	URL string `toml:"url"`
	// Currencies are those that it is asked about: the letters of ISO 4217.
	Currencies []currency.Code `toml:"currencies"`
	// Path leads to the number in JSON: "data.rates.{currency}", "result.0.price". Empty: "{currency}".
	Path string `toml:"path"`
	// TimePath leads to its time: seconds or milliseconds since 1970, or RFC 3339. Empty: when the file was changed, or the answer came.
	TimePath string `toml:"time_path"`
	// Gives says what the number means: currency_per_btc (when it is empty), btc_per_currency or sat_per_currency.
	Gives rates.Direction `toml:"gives"`
	// Stale is the age from which on a reading does not count. Zero: a quarter of an hour.
	Stale duration `toml:"stale"`
	// Timeout bounds a request. Zero: 10 s.
	Timeout duration `toml:"timeout"`
	// Private lets the URL be http:// and at an address of the hub's own machine or network.
	Private bool `toml:"private"`
}

// percent is a share that TOML spells as a string such as "0.5%".
type percent struct{ rates.Share }

// UnmarshalText reads up to two decimals and a percent sign.
func (p *percent) UnmarshalText(b []byte) error {
	digits, ok := strings.CutSuffix(string(b), "%")
	integer, fraction, point := strings.Cut(digits, ".")
	n, err := strconv.ParseUint(integer+(fraction + "00")[:2], 10, 32)
	if !ok || err != nil || integer == "" || point && fraction == "" || len(fraction) > 2 || n == 0 {
		return fmt.Errorf("%.40q is not a share such as \"0.5%%\"", b)
	}
	p.Share = rates.Share(n)
	return nil
}

// off says whether the table is not there.
func (c *ratesConfig) off() bool { return reflect.DeepEqual(c, &ratesConfig{}) }

// desk is what a desk is made of, but for the ledger.
func (c *ratesConfig) desk(development bool) rates.Config {
	out := rates.Config{Every: c.Every.Duration, Valid: c.Valid.Duration, Move: c.Move.Share, Jump: c.Jump.Share, Need: c.Need, Development: development}
	for _, s := range c.Source {
		out.Sources = append(out.Sources, rates.Source{
			Name: s.Name, File: s.File, URL: s.URL, Currencies: s.Currencies, Path: s.Path, TimePath: s.TimePath, Gives: s.Gives,
			Stale: s.Stale.Duration, Timeout: s.Timeout.Duration, Private: s.Private,
		})
	}
	return out
}

// validate says what is wrong with it.
func (c *ratesConfig) validate(development bool) error {
	if c.off() {
		return nil
	}
	desk := c.desk(development)
	if err := desk.Validate(); err != nil {
		return fmt.Errorf("rates: %w", err)
	}
	return nil
}
