package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/millrace/millrace/hub/client"
	"github.com/millrace/millrace/hub/seal"
	"github.com/spf13/cobra"
)

// inspection is what inspect prints. What only the hub knows is null without it.
type inspection struct {
	File         string          `json:"file"`
	Origin       string          `json:"origin"`
	Content      string          `json:"content"`
	KeyID        string          `json:"key_id"`
	HeaderSize   int             `json:"header_size"`
	HeaderSHA256 string          `json:"header_sha256"`
	Size         int64           `json:"size"`
	SHA256       string          `json:"sha256"`
	Units        uint32          `json:"units,omitempty"` // of a work that is sold by the unit
	Hub          *client.Content `json:"hub"`             // the quote
	HubError     string          `json:"hub_error,omitempty"`
	HeaderAgrees *bool           `json:"header_agrees"`
	FileAgrees   *bool           `json:"file_agrees"`
}

func (a *app) inspectCommand() *cobra.Command {
	var cred credentials
	var quiet bool
	c := a.verb("inspect IN", "What is this file, who sells it, at what price", cobra.ExactArgs(1), func(ctx context.Context, args []string) error {
		in, err := a.openInput(ctx, args[0])
		if err != nil {
			return err
		}
		defer in.close()
		x, id, err := a.examine(ctx, in, quiet)
		if err != nil {
			return fmt.Errorf("%s: %w", in.name, err)
		}
		if err := x.ask(ctx, cred.hub, id); err != nil {
			return err
		}
		if err := a.print(x, "%s", x.text()); err != nil {
			return err
		}
		if x.HeaderAgrees != nil && !(*x.HeaderAgrees && *x.FileAgrees) {
			return printed{fmt.Errorf("%s: %w", in.name, errDiffers)}
		}
		return nil
	})
	c.Long = "Inspect reads a sealed file, and asks the hub that it names (or --hub) for the price. It pays nothing and sends no token.\n" +
		"Without the hub in reach it says what the file says of itself."
	c.Flags().StringVar(&cred.hub, "hub", "", "the hub to ask (default: the one that the file names)")
	c.Flags().BoolVar(&quiet, "quiet", false, "no progress")
	return c
}

// examine reads the file to its end.
func (a *app) examine(ctx context.Context, in *input, quiet bool) (*inspection, seal.Header, error) {
	header, whole, err := seal.ReadHeader(in)
	if err != nil {
		return nil, header, err
	}
	sum := sha256.New()
	size, err := io.Copy(sum, a.watch(ctx, "reading", in.size, whole, quiet))
	if err != nil {
		return nil, header, err
	}
	digest := header.SHA256()
	return &inspection{
		File: in.name, Origin: header.Origin, Content: header.Content.String(), KeyID: header.KeyID,
		HeaderSize: len(header.Raw), HeaderSHA256: hex.EncodeToString(digest[:]), Size: size, SHA256: hex.EncodeToString(sum.Sum(nil)),
		Units: header.Units.Count,
	}, header, nil
}

// ask adds the hub's quote, or why there is none.
func (x *inspection) ask(ctx context.Context, hub string, h seal.Header) error {
	if hub == "" {
		hub = h.Origin
	}
	cl, err := client.New(client.Config{Hub: hub, Attempts: 2})
	if err != nil {
		return usage("%w", err)
	}
	q, err := cl.Content(ctx, h.Content)
	var problem *client.Problem
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &problem):
		x.HubError = problem.Error()
		return nil
	case err != nil:
		x.HubError = err.Error()
		return nil
	}
	header := q.HeaderSHA256 == x.HeaderSHA256 && q.Hub == x.Origin
	file := q.SHA256 == x.SHA256 && q.Size == uint64(x.Size)
	x.Hub, x.HeaderAgrees, x.FileAgrees = &q, &header, &file
	return nil
}

func (x *inspection) text() string {
	s := fmt.Sprintf("%s: a sealed work of %d bytes\nsold by  %s\ncontent  %s\nkey      %s\nsha256   %s\n",
		x.File, x.Size, x.Origin, x.Content, x.KeyID, x.SHA256)
	if x.Units > 0 {
		s += fmt.Sprintf("units    %d, sold one by one\n", x.Units)
	}
	if x.Hub == nil {
		return s + "price    not known: " + plain(x.HubError)
	}
	s += fmt.Sprintf("title    %s\nseller   %s\n", plain(x.Hub.Title), plain(x.Hub.Seller))
	s += fmt.Sprintf("price    %s (version %d), %s\n", priceText(*x.Hub), x.Hub.PriceVersion, plain(x.Hub.Status))
	agrees := map[bool]string{true: "agrees", false: "DIFFERS"}
	return s + fmt.Sprintf("checked  header %s, file %s with what was registered", agrees[*x.HeaderAgrees], agrees[*x.FileAgrees])
}
