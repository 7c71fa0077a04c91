package rates

import (
	"strings"
	"testing"
	"time"
)

func TestRate(t *testing.T) {
	for _, c := range []struct {
		gives Direction
		text  string
		want  uint64 // msat for a million units
	}{
		{PerBitcoin, "65000", 1_538_461_538_462}, {PerBitcoin, "65000.12", 1538458698230}, {PerBitcoin, "100000000000", 1_000_000},
		{PerBitcoin, "6.5e4", 1_538_461_538_462}, {PerBitcoin, "0.05", 2_000_000_000_000_000_000},
		{Bitcoins, "0.000015", 1_500_000_000_000}, {Bitcoins, "1.5E-5", 1_500_000_000_000}, {Bitcoins, "0.00000000000000001", 1},
		{Bitcoins, "0.000000000000000005", 1}, {Satoshis, "1500", 1_500_000_000_000}, {Satoshis, "0.0000000005", 1},
	} {
		got, err := c.gives.rate(c.text)
		if err != nil || nearest(got) != c.want {
			t.Errorf("%v %s: %v, %v; want %d", c.gives, c.text, got, err, c.want)
		}
	}
	for _, text := range []string{"", "0", "0.0", "0e5", "-1", "+1", "1/3", "0x10", "1_000", "1e1000000000", "1e100", ".5", "5.", "NaN", "Inf", "1,5", " 1", "1 ", "١",
		strings.Repeat("9", 31), strings.Repeat("1", 100_000), "1e99", "1e-99", "0.0000000000000000000001"} {
		for gives := range directions {
			if text == "0.0000000000000000000001" && Direction(gives) == PerBitcoin || text == "1e99" && Direction(gives) == Bitcoins {
				continue // those two are tested by the other directions
			}
			if got, err := Direction(gives).rate(text); err == nil && nearest(got) > MaxRate || err == nil && nearest(got) == 0 {
				t.Errorf("%v %.20q: %v", Direction(gives), text, got)
			} else if err == nil || len(err.Error()) > 150 {
				t.Errorf("%v %.20q: %v, %v", Direction(gives), text, got, err)
			}
		}
	}
	var d Direction
	if err := d.UnmarshalText([]byte("sat_per_currency")); err != nil || d != Satoshis {
		t.Errorf("%v, %v", d, err)
	}
	if err := d.UnmarshalText([]byte("eur")); err == nil {
		t.Error("eur is a direction")
	}
}

func TestPath(t *testing.T) {
	text := `{"data":{"rates":{"EUR":"65000.12","USD":70000.5}},"result":[{"p":1},["a",2e3]],"a.b":{"":3},"no":null,"yes":true,"time":1795000000}`
	s := Source{Currencies: list(t, "EUR")}
	for _, c := range []struct{ path, want string }{
		{"data.rates.EUR", "1538458698230"}, {"data.rates.{currency}", "1538458698230"}, {"data.rates.USD", "1428561224563"}, {"result.0.p", "100000000000000000"},
		{"result.1.1", "50000000000000"}, {`a\.b.`, "33333333333333333"},
	} {
		s.Path = c.path
		found, err := s.readJSON([]byte(text), time.Unix(5, 0), s.Currencies)
		if err != nil || len(found) != 1 || found[0].msat.FloatString(0) != c.want || !found[0].at.Equal(time.Unix(5, 0)) {
			t.Errorf("%s: %v, %v", c.path, found, err)
		}
	}
	for _, path := range []string{"", "x", "data", "data.rates", "data.rates.EUR.x", "result.2", "result.-1", "result.+1", "result.x", "result.99999999999999999999", "no", "yes", "result.1.0", "data..EUR"} {
		s.Path = path
		if found, err := s.readJSON([]byte(text), time.Time{}, s.Currencies); err == nil || len(found) != 0 {
			t.Errorf("%q: %v, %v", path, found, err)
		}
	}
	s.Path = "EUR"
	for _, text := range []string{"", "{", `{"EUR":1} x`, `{"EUR":1}{"EUR":1}`, "5", `"EUR"`, "[1]", strings.Repeat("[", 100_000), `{"EUR":NaN}`, "\xff"} {
		if found, err := s.readJSON([]byte(text), time.Time{}, s.Currencies); err == nil || len(found) != 0 {
			t.Errorf("%.20q: %v, %v", text, found, err)
		}
	}
}

func TestTime(t *testing.T) {
	want := time.Unix(1_795_000_000, 0)
	for _, text := range []string{"1795000000", "1795000000.5", "1795000000000", "2026-11-18T11:06:40Z", "2026-11-18T13:06:40+02:00"} {
		if got, err := parseTime(text); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0", "-5", "soon", "2026-11-18", "99999999999999999999"} {
		if got, err := parseTime(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func FuzzJSON(f *testing.F) {
	f.Add(`{"EUR":65000.12,"t":1795000000}`, "{currency}")
	f.Add(`[{"EUR":"1e5"}]`, "0.EUR")
	s := Source{TimePath: "t"}
	f.Fuzz(func(t *testing.T, text, path string) {
		s.Path = path
		found, _ := s.readJSON([]byte(text), time.Time{}, list(t, "EUR"))
		for _, r := range found {
			if n := nearest(r.msat); n == 0 || n > MaxRate {
				t.Errorf("%v", r)
			}
		}
	})
}
