// Package media cuts a work into units that are sold one by one, encrypts them, and opens them again.
//
// A package is a folder that any web server can serve:
//
//	work.age        what is registered: a sealed work (package seal) whose payload is the manifest
//	manifest.json   the manifest in the clear: which file holds which unit, with sizes and digests
//	index.m3u8      of a film or song: the playlist (RFC 8216), whose keys are at the hub
//	00000.ts ...    its segments, AES-128 by section 5.2 of RFC 8216
//	00000.chunk ... of anything else: the chunks, as drawn below
//
// The file key of work.age opens everything and never leaves its creator and the hub. Unit n has the key of
// [seal.FileKey.Unit]; a unit has one chunk or several that follow each other. What a package is kept under is in its
// header: the digest of the manifest, which has the digests of the chunks, and the hub knows the header's digest.
//
// A segment is encrypted as players want it: AES-128-CBC with PKCS#7 padding, and an IV in the playlist. CBC alone does not
// show that a segment was changed; the manifest does, for whoever reads it. The IV of chunk i, counted from 0, is the start of
// HMAC-SHA256(unit key, "millrace segment iv/1" || i as four bytes, big endian).
//
// A chunk begins with a line that says where its key is sold, so that a stray copy still names its work:
//
//	millrace.dev/chunk/v1 <origin> <content id, 32 hex> <unit> <chunk>\n
//	<AES-128-GCM of the plain chunk, and its tag of 16 bytes>
//
// The line is the additional data; the nonce is the chunk's number as twelve bytes, big endian: it occurs once under a key,
// since a file key seals one package.
package media
