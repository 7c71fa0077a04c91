// age-plugin-millrace is started by age: see package ageplugin, and millrace age --help.
package main

import (
	"os"

	"github.com/millrace/millrace/hub/ageplugin"
)

func main() {
	os.Exit(ageplugin.Program{Args: os.Args[1:], Getenv: os.Getenv, In: os.Stdin, Out: os.Stdout, Err: os.Stderr}.Run())
}
