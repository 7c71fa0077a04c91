package currency

import (
	"errors"
	"strings"
	"testing"
)

func TestCodes(t *testing.T) {
	seen := map[string]bool{}
	for _, row := range codes {
		for _, text := range strings.Fields(row.letters) {
			if seen[text] || len(text) != 3 || strings.ToUpper(text) != text {
				t.Errorf("%q", text)
			}
			seen[text] = true
			var c Code
			if err := c.UnmarshalText([]byte(text)); err != nil || c.String() != text {
				t.Errorf("%s: %v, %v", text, c, err)
			}
		}
		if strings.Join(strings.Fields(row.letters), " ") != row.letters {
			t.Errorf("the codes with %d decimals are not apart by one space each", row.decimals)
		}
	}
	all := All()
	if len(seen) < 150 || len(all) != len(seen) || all[0].String() != "AED" || all[len(all)-1].String() != "ZWG" {
		t.Errorf("%d currencies, and a list of %d: %v", len(seen), len(all), all)
	}
	for _, text := range []string{"", "E", "EU", "EURO", "eur", "E R", "D A", "XXX", "XTS", "ED ", " AE", "€", "BTC", strings.Repeat("EUR", 1000)} {
		if c, err := Parse(text); !errors.Is(err, ErrUnknown) || len(err.Error()) > 100 {
			t.Errorf("%.20q: %v, %v", text, c, err)
		}
	}
	if text := (Code{}).String(); text != "" {
		t.Errorf("no currency is %q", text)
	}
}

func TestPrice(t *testing.T) {
	for _, c := range []struct {
		text   string
		amount uint64
		want   string
	}{
		{"0.05 EUR", 50_000, "EUR 0.05"}, {"EUR 0.05", 50_000, "EUR 0.05"}, {"EUR0.050000", 50_000, "EUR 0.05"}, {" 0.0500  EUR ", 50_000, "EUR 0.05"},
		{"0.000001 USD", 1, "USD 0.000001"}, {"1.2 USD", 1_200_000, "USD 1.20"}, {"3JPY", 3_000_000, "JPY 3"}, {"JPY 0.5", 500_000, "JPY 0.5"},
		{"1 KWD", 1_000_000, "KWD 1.000"}, {"CLF 2.00015", 2_000_150, "CLF 2.00015"}, {"250000 msat", 250_000, "250000 msat"},
		{"msat 1", 1, "1 msat"}, {"25 sat", 25_000, "25000 msat"}, {"0.001sat", 1, "1 msat"}, {"2100000000000000 sat", MaxAmount, "2100000000000000000 msat"},
		{"2100000000000 EUR", MaxAmount, "EUR 2100000000000.00"},
	} {
		p, err := ParsePrice(c.text)
		if err != nil || p.Amount != c.amount || p.String() != c.want {
			t.Errorf("%q: %v (%d), %v; want %s", c.text, p, p.Amount, err, c.want)
		}
		if again, err := ParsePrice(p.String()); err != nil || again != p {
			t.Errorf("%q comes back as %v, %v", p.String(), again, err)
		}
	}
	for _, text := range []string{"", " ", "5", "EUR", "0 EUR", "0.00 EUR", "-1 EUR", "+1 EUR", "1e5 EUR", ".5 EUR", "5. EUR", "1.2.3 EUR", "1,5 EUR", "0.0000001 EUR",
		"1 eur", "1 BTC", "1 EUR 2", "1 2 EUR", "1.5 msat", "0.0001 sat", "0 msat", "2100000000000000001 msat", "2100000000000.000001 EUR",
		strings.Repeat("9", 5000) + " EUR", "1 " + strings.Repeat("E", 5000), "١ EUR", "1\x00EUR"} {
		if p, err := ParsePrice(text); !errors.Is(err, ErrPrice) || p != (Price{}) || len(err.Error()) > 200 {
			t.Errorf("%.20q: %v, %v", text, p, err)
		}
	}
}

func FuzzPrice(f *testing.F) {
	f.Add("0.05 EUR")
	f.Add("1msat")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePrice(text)
		if err != nil {
			return
		}
		if again, err := ParsePrice(p.String()); err != nil || again != p || p.Amount == 0 || p.Amount > MaxAmount {
			t.Errorf("%q: %v, then %v, %v", text, p, again, err)
		}
	})
}
