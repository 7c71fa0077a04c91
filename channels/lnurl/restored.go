package lnurl

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/channels"
)

// ExpireLinks ends all links in records that come from a backup: one that is open there may have been used since, with an invoice that the
// records do not know, and would pay once more. One that is taken stays so until it is known what became of its invoice, which the node pays
// once; if that failed, the link is open again and over. It writes to the records alone, and may be done again.
func ExpireLinks(records channels.Records, now time.Time) error {
	const most = 100 // links in a write
	prefix, from := linkKey(""), []byte(nil)
	for more := true; more; {
		var rows []channels.Row
		var broken error
		read := 0
		err := records.Scan(prefix, from, func(key, value []byte) bool {
			var k Link
			if err := json.Unmarshal(value, &k); err != nil {
				broken = fmt.Errorf("the record %q: %w", key, err)
				return false
			}
			if k.State != LinkPaid && k.Expires > now.UnixMilli() {
				k.Expires = now.UnixMilli()
				rows = append(rows, jsonRow(append(key[:0:0], key...), k))
			}
			from = append(append(from[:0:0], key...), 0)
			read++
			return read < most
		})
		if err = errors.Join(err, broken); err == nil && len(rows) > 0 {
			err = records.Write(rows...)
		}
		if err != nil {
			return fmt.Errorf("lnurl: ending links of a backup: %w", err)
		}
		more = read == most
	}
	return nil
}
