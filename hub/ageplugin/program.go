// Package ageplugin lets any age program seal files for a Millrace hub, and open them: it is age-plugin-millrace, by the plugin
// protocol of C2SP (age-plugin.md).
//
//	age -r age1millrace1... -o song.sealed song        seals for a hub; millrace register puts it on sale
//	age -d -j millrace -o song song.sealed             pays as MILLRACE_HUB and MILLRACE_TOKEN_FILE say
//	age -d -i identity.txt -o song song.sealed         pays as the identity says
//
// What age opens so it can neither compare with what was registered before it pays, nor resume: age shows its plugins the
// stanzas of a header and nothing of the file. millrace open does both.
package ageplugin

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"filippo.io/age"
	"filippo.io/age/plugin"
)

// maxInput bounds what one start reads of age, in bytes: some hundred headers of the largest size. age itself takes longer
// headers, so that what is too large for a hub can be told by name up to here.
const maxInput = 16 << 20

// Program is the plugin but for the process around it.
type Program struct {
	Args     []string // without the program's own name
	Getenv   func(string) string
	In       io.Reader
	Out, Err io.Writer
	Terminal func() bool // whether somebody sits at a terminal; nil: looks for one
}

// Run speaks with age until it is done, and returns the exit code.
func (p Program) Run() int {
	a, err := plugin.New(Name)
	if err != nil {
		fmt.Fprintln(p.Err, err)
		return 1
	}
	flags := flag.NewFlagSet("age-plugin-"+Name, flag.ContinueOnError)
	flags.SetOutput(p.Err)
	flags.Usage = func() {
		fmt.Fprintln(p.Err, "age starts this program by itself: age -r age1millrace1..., age -d -j millrace. See millrace age --help")
	}
	a.RegisterFlags(flags)
	if err := flags.Parse(p.Args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if flags.Lookup("age-plugin").Value.String() == "" || flags.NArg() > 0 {
		flags.Usage()
		return 2
	}
	if p.Terminal == nil {
		p.Terminal = atTerminal
	}
	a.SetIO(&bounded{r: p.In, left: maxInput}, p.Out, p.Err)
	hubs := 0
	a.HandleRecipient(func(data []byte) (age.Recipient, error) {
		if hubs++; hubs > 1 {
			return nil, errors.New("a file is sold by one hub: give one recipient of this kind")
		}
		to, err := ParseRecipient(data)
		if err != nil {
			return nil, err
		}
		return &sealer{to: to, folder: func() (string, error) { return ClaimFolder(p.Getenv) }, message: a.DisplayMessage}, nil
	})
	a.HandleIdentity(func(data []byte) (age.Identity, error) {
		who, err := accountOf(data, p.Getenv)
		if err != nil {
			return nil, err
		}
		return &payer{account: who, person: a, terminal: p.Terminal}, nil
	})
	return a.Main()
}

// atTerminal says whether the process has a terminal, which is age's, too.
func atTerminal() bool {
	f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return false
	}
	f.Close()
	return true
}

// bounded reads no more than it may: whoever speaks for age must not fill the memory.
type bounded struct {
	r    io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, fmt.Errorf("more than %d bytes from age", maxInput)
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
