import { hexToBytes } from "@noble/hashes/utils.js";
import { newKeyPair, open } from "./hpke.js";

const deliveryInfo = "millrace.dev/v1 delivery";

// Bounds an answer in bytes: a quote with all its payees takes some hundreds.
const maxAnswer = 64 << 10;

// A version that no price ever has: with it the hub gives a work to who owns it, and sells it to nobody.
const noVersion = 2 ** 32 - 1;

/** What a hub refused, or could not do now. */
export class HubError extends Error {
  /**
   * @param {string} code Stable, for programs: insufficient_funds, content_unknown and so on.
   * @param {string} detail For people.
   * @param {number} status Of HTTP.
   */
  constructor(code, detail, status) {
    super(detail ? `${code}: ${detail}` : code);
    this.name = "HubError";
    this.code = code;
    this.status = status;
  }
}

/**
 * @typedef {object} Quote What a work costs.
 * @property {string} content
 * @property {string} hub The hub that sells it.
 * @property {string} title
 * @property {string} seller The account that sells it.
 * @property {bigint} priceMsat In 1/1000 satoshi.
 * @property {number} priceVersion
 * @property {number} size Of the registered file, in bytes.
 * @property {string} headerSHA256 Of the registered file's header, in hexadecimal.
 */

/** A hub, and as whom. */
export class Hub {
  #url;
  #token;
  #fetch;

  /**
   * @param {string} url The hub's: scheme://host[:port].
   * @param {string | (() => string | Promise<string>)} token Bearer token, or what gives one when it is needed.
   * @param {typeof fetch} [fetcher] Default: the page's own.
   */
  constructor(url, token, fetcher = globalThis.fetch) {
    this.#url = new URL(url).origin;
    this.#token = token;
    this.#fetch = fetcher.bind(globalThis);
  }

  /** The hub's URL in its normal form. */
  get url() {
    return this.#url;
  }

  /**
   * Asks what a work costs. It sends no token.
   *
   * @param {string} content
   * @returns {Promise<Quote>}
   */
  async quote(content) {
    const a = await this.#ask(`/v1/contents/${content}`);
    if (a.price_msat === undefined && typeof a.currency === "string") {
      throw new Error(`the price is in ${a.currency}, for which the hub has no rate now`);
    }
    const quote = {
      content, hub: this.#url, title: a.title, seller: a.seller, priceMsat: BigInt(a.price_msat),
      priceVersion: a.price_version, size: a.size, headerSHA256: a.header_sha256,
    };
    if (a.content !== content || typeof quote.title !== "string" || typeof quote.seller !== "string" || quote.priceMsat <= 0n ||
      !(quote.priceVersion > 0) || typeof quote.headerSHA256 !== "string") {
      throw new Error("not an answer of a hub");
    }
    return quote;
  }

  /**
   * The file key of a work that the account owns. It pays nothing.
   *
   * @param {string} content
   * @param {string} [headerSHA256] Of the copy at hand: another than the registered one is refused.
   * @returns {Promise<Uint8Array | null>} null: the account does not own it.
   */
  async owned(content, headerSHA256) {
    try {
      return await this.#unlock(content, noVersion, 1n, headerSHA256);
    } catch (e) {
      if (e instanceof HubError && (e.code === "price_changed" || e.code === "price_too_high")) {
        return null;
      }
      throw e;
    }
  }

  /**
   * Pays what was quoted, never more, and returns the file key. Who owns the work pays nothing, so after a lost answer it can
   * be asked again.
   *
   * @param {Quote} quote
   * @param {string} [headerSHA256] Of the copy at hand: another than the registered one is refused before money moves.
   * @returns {Promise<Uint8Array>}
   */
  buy(quote, headerSHA256) {
    return this.#unlock(quote.content, quote.priceVersion, quote.priceMsat, headerSHA256);
  }

  // The key comes sealed to a key that lives only here: it crosses no wire, proxy or log in the clear.
  async #unlock(content, version, most, headerSHA256) {
    const pair = newKeyPair();
    const recipient = btoa(String.fromCharCode(...pair.publicKey));
    const header = headerSHA256 === undefined ? "" : `,"header_sha256":${JSON.stringify(headerSHA256)}`;
    const a = await this.#ask(`/v1/contents/${content}/unlock`,
      `{"price_version":${version},"max_msat":${most},"recipient":"${recipient}"${header}}`); // JSON.stringify takes no bigint
    const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const key = open(pair, bytes(a.sealed_file_key.enc), deliveryInfo, hexToBytes(content), bytes(a.sealed_file_key.ciphertext));
    if (a.content !== content || key.length !== 16) {
      throw new Error("not an answer of a hub");
    }
    return key;
  }

  // With a body it is a POST, with the token. Redirects would carry the token along.
  async #ask(path, body) {
    const request = { redirect: "error", credentials: "omit", cache: "no-store", headers: { Accept: "application/json, application/problem+json" } };
    if (body !== undefined) {
      const token = typeof this.#token === "function" ? await this.#token() : this.#token;
      if (!/^[\w-]+$/.test(token)) {
        throw new Error("not a token"); // never quoted: it is a secret
      }
      Object.assign(request, { method: "POST", body });
      Object.assign(request.headers, { "Content-Type": "application/json", Authorization: `Bearer ${token}` });
    }
    const response = await this.#fetch(this.#url + path, request);
    const text = await bounded(response);
    let answer;
    try {
      // A price may be above 2^53, where JSON.parse loses digits. Inside a string these quotes would have a backslash.
      answer = JSON.parse(text.replace(/("(?:price|paid)_msat"\s*:\s*)(\d+)/g, '$1"$2"'));
    } catch {
      answer = null;
    }
    if (!response.ok) {
      const told = answer?.code ? answer : { code: `http_${response.status}`, detail: "" };
      throw new HubError(String(told.code), String(told.detail ?? told.title ?? ""), response.status);
    }
    if (answer === null || typeof answer !== "object") {
      throw new Error("not an answer of a hub");
    }
    return answer;
  }
}

async function bounded(response) {
  const parts = [];
  let size = 0;
  const reader = response.body?.getReader();
  for (let r = await reader?.read(); r && !r.done; r = await reader.read()) {
    size += r.value.length;
    if (size > maxAnswer) {
      await reader.cancel();
      throw new Error(`not an answer of a hub: more than ${maxAnswer} bytes`);
    }
    parts.push(r.value);
  }
  return new Blob(parts).text();
}
