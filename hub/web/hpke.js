import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { x25519 } from "@noble/curves/ed25519.js";
import { expand, extract } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { concatBytes, utf8ToBytes } from "@noble/hashes/utils.js";

// RFC 9180 in base mode, with the one suite that hubs deliver keys in: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305.
const kemSuite = concatBytes(utf8ToBytes("KEM"), Uint8Array.of(0, 0x20));
const suite = concatBytes(utf8ToBytes("HPKE"), Uint8Array.of(0, 0x20, 0, 1, 0, 3));
const label = utf8ToBytes("HPKE-v1");
const none = new Uint8Array();

const labeledExtract = (id, salt, name, ikm) => extract(sha256, concatBytes(label, id, utf8ToBytes(name), ikm), salt);
const labeledExpand = (id, prk, name, info, size) =>
  expand(sha256, prk, concatBytes(Uint8Array.of(size >> 8, size & 255), label, id, utf8ToBytes(name), info), size);

/**
 * A key pair for one delivery.
 *
 * @returns {{ secretKey: Uint8Array, publicKey: Uint8Array }}
 */
export function newKeyPair() {
  return x25519.keygen();
}

/**
 * Opens the first message that was sealed to a key.
 *
 * @param {{ secretKey: Uint8Array, publicKey: Uint8Array }} pair
 * @param {Uint8Array} enc The encapsulated key, 32 bytes.
 * @param {string} info
 * @param {Uint8Array} aad
 * @param {Uint8Array} ciphertext
 * @returns {Uint8Array}
 * @throws When it was sealed to another key, under another info or aad, or changed.
 */
export function open(pair, enc, info, aad, ciphertext) {
  const dh = x25519.getSharedSecret(pair.secretKey, enc);
  const eaePRK = labeledExtract(kemSuite, none, "eae_prk", dh);
  const shared = labeledExpand(kemSuite, eaePRK, "shared_secret", concatBytes(enc, pair.publicKey), 32);
  const context = concatBytes(
    Uint8Array.of(0), // base mode
    labeledExtract(suite, none, "psk_id_hash", none),
    labeledExtract(suite, none, "info_hash", utf8ToBytes(info)),
  );
  const secret = labeledExtract(suite, shared, "secret", none);
  const key = labeledExpand(suite, secret, "key", context, 32);
  const nonce = labeledExpand(suite, secret, "base_nonce", context, 12);
  return chacha20poly1305(key, nonce, aad).decrypt(ciphertext);
}
