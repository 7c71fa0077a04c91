package seal

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "make new golden files; the old ones must then stay as files of an older version")

const (
	goldenPath  = "testdata/v1-x25519.age"
	goldenPlain = "Millrace golden file: sealed once, opened for ever.\n"
)

// goldenFile is the committed sealed work, its header and its file key.
func goldenFile(t testing.TB, k PrivateKey) (header, file []byte, key FileKey) {
	t.Helper()
	file, err := os.ReadFile(goldenPath)
	if err != nil {
		t.Fatal(err)
	}
	h, _, err := ReadHeader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	if key, err = k.OpenHeader(h); err != nil {
		t.Fatal(err)
	}
	return h.Raw, file, key
}

// TestGolden opens a committed file: what was sealed once must open for ever. The pinned fields are all of the format
// that the age library does not pin itself.
func TestGolden(t *testing.T) {
	k := testKey(t, X25519)
	if *rewrite {
		file, _ := sealBytes(t, k, []byte(goldenPlain))
		if err := os.WriteFile(goldenPath, file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	header, file, key := goldenFile(t, k)
	var plain bytes.Buffer
	if err := Open(&plain, bytes.NewReader(file), key); err != nil || plain.String() != goldenPlain {
		t.Fatalf("%q, %v", plain.String(), err)
	}
	h, err := ParseHeader(header)
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	fmt.Fprintf(&got, "public     %v\n", k.Public())
	fmt.Fprintf(&got, "stanza     %s\n", bytes.Split(h.Raw, []byte("\n"))[1])
	fmt.Fprintf(&got, "origin     %s\n", h.Origin)
	fmt.Fprintf(&got, "content    %v\n", h.Content)
	fmt.Fprintf(&got, "key id     %s\n", h.KeyID)
	fmt.Fprintf(&got, "enc        %x\n", h.Enc)
	fmt.Fprintf(&got, "body       %x\n", h.Body)
	fmt.Fprintf(&got, "aad        %x\n", h.aad())
	fmt.Fprintf(&got, "header     %x\n", h.SHA256())
	fmt.Fprintf(&got, "file key   %x\n", key[:])
	fmt.Fprintf(&got, "commitment %x\n", Commitment(key))
	if *rewrite {
		if err := os.WriteFile(goldenPath+".txt", got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(goldenPath + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("got\n%swant\n%s", got.Bytes(), want)
	}
}
