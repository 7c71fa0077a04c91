// Package voucher signs and verifies the vouchers of signed channels. A voucher is the payer's word that so much, in all, is paid
// through a channel: whoever has it can show it to the hub, which pays the difference. A later voucher holds for a higher total;
// an older one is of no use any more.
//
// What is signed is the hash of BIP-340, SHA-256(t | t | message), where t is the SHA-256 of the tag "millrace/voucher/1", over
//
//	+-------------+-----------+------------------------------------------------+
//	| channel u32 | total u64 | origin of the hub: scheme://host[:port], ASCII |    numbers little-endian
//	+-------------+-----------+------------------------------------------------+
//
// so that a voucher is good for one channel of one hub. The signature is BIP-340's, by the key that the payer named when he
// opened the channel. A key is best used for one channel alone.
//
// As text a voucher is a line of JSON, of which only this form is accepted, but for white space:
//
//	{"hub":"https://hub.example","channel":"c101","total_msat":1000,"signature":"128 hexadecimal digits"}
package voucher
