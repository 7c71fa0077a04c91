import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import { Decrypter } from "age-encryption";
import { Hub } from "./hub.js";
import { findPlace } from "./stanza.js";

/**
 * @typedef {object} Options
 * @property {string} hub The hub's URL. Requests go there and nowhere else, whatever a file says.
 * @property {string | (() => string | Promise<string>)} token Bearer token of the account that pays, or what gives one when it is needed.
 * @property {(quote: import("./hub.js").Quote) => boolean | Promise<boolean>} [consent] Asks whether to pay. It is not asked about a work
 *     that the account owns.
 * @property {number | bigint} [maxMsat] The most to pay for one file, in 1/1000 satoshi. Without consent, up to this much is paid unasked;
 *     without either, nothing is.
 * @property {string} [origin] What the hub is called in files, if that is not its URL.
 * @property {typeof fetch} [fetch] In place of the page's own.
 */

/**
 * An identity for age-encryption's Decrypter that has a hub release file keys, and pays for them.
 *
 * @implements {import("age-encryption").Identity}
 */
export class MillraceIdentity {
  #hub;
  #origin;
  #consent;
  #max;

  /** @param {Options} options */
  constructor({ hub, token, consent, maxMsat, origin, fetch }) {
    this.#hub = new Hub(hub, token, fetch);
    this.#origin = new URL(origin ?? hub).origin;
    this.#consent = consent;
    this.#max = maxMsat === undefined ? undefined : BigInt(maxMsat);
  }

  /**
   * For Decrypter to call. It sees the stanzas alone: prefer {@link fileKey}, or {@link SealedFile}, which have the hub compare the
   * header with the registered one before money moves.
   *
   * @param {import("age-encryption").Stanza[]} stanzas
   * @returns {Promise<Uint8Array | null>} null: the file is not sealed to this hub.
   */
  unwrapFileKey(stanzas) {
    return this.#unwrap(stanzas);
  }

  /**
   * The key of the file with this header. A header or a size that is not the registered one is refused before it is paid for.
   *
   * @param {Uint8Array} header From the first byte to the newline of the MAC line.
   * @param {number} [size] Of the whole file, in bytes.
   * @returns {Promise<Uint8Array>}
   */
  fileKey(header, size) {
    const decrypter = new Decrypter(); // which also checks the header's MAC with the key
    decrypter.addIdentity({ unwrapFileKey: (stanzas) => this.#unwrap(stanzas, bytesToHex(sha256(header)), size) });
    return decrypter.decryptHeader(header);
  }

  async #unwrap(stanzas, headerSHA256, size) {
    const place = findPlace(stanzas);
    if (place === null || place.origin !== this.#origin) {
      return null;
    }
    const owned = await this.#hub.owned(place.content, headerSHA256);
    if (owned !== null) {
      return owned;
    }
    const quote = await this.#hub.quote(place.content);
    if (size !== undefined && size !== quote.size) {
      throw new Error(`the file has ${size} bytes, the registered one ${quote.size}: it is not paid for`);
    }
    if (this.#max !== undefined && quote.priceMsat > this.#max) {
      throw new Error(`${quote.priceMsat} msat is more than may be paid for one file, ${this.#max} msat`);
    }
    const agreed = this.#consent ? await this.#consent(quote) : this.#max !== undefined;
    if (agreed !== true) {
      throw new Error(`nobody agreed to pay ${quote.priceMsat} msat`);
    }
    return this.#hub.buy(quote, headerSHA256);
  }
}
