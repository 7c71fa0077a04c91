import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { concatBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import { Decrypter } from "age-encryption";

// The payload of an age file (C2SP age.md): a nonce, and chunks of 64 KiB under ChaCha20-Poly1305.
const nonceSize = 16;
const chunkSize = 64 << 10;
const sealedSize = chunkSize + 16;

// Bounds a header in bytes: what hubs take.
const maxHeader = 64 << 10;

// How many chunks are read from a source at once: 4 MiB.
const chunksAtOnce = 64;

/**
 * @typedef {object} Source Bytes that can be read at any place.
 * @property {number} size In bytes.
 * @property {(from: number, to: number) => Promise<Uint8Array>} read The bytes from one place up to another, which lies within the size.
 */

/** @param {Blob} blob A file that the reader chose, for example. @returns {Source} */
export function blobSource(blob) {
  return { size: blob.size, read: async (from, to) => new Uint8Array(await blob.slice(from, to).arrayBuffer()) };
}

/** @param {Uint8Array} bytes @returns {Source} */
export function bytesSource(bytes) {
  return { size: bytes.length, read: async (from, to) => bytes.subarray(from, to) };
}

/**
 * A file on a web server that serves parts (RFC 9110, Range).
 *
 * @param {string} url
 * @param {typeof fetch} [fetcher]
 * @returns {Promise<Source>}
 */
export async function urlSource(url, fetcher = globalThis.fetch) {
  const get = async (from, to) => {
    const response = await fetcher(url, { headers: { Range: `bytes=${from}-${to - 1}` } });
    const [, first, last, size] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(response.headers.get("Content-Range") ?? "") ?? [];
    if (response.status !== 206 || Number(first) !== from || !(Number(last) < to)) {
      await response.body?.cancel(); // it may be all of the file
      throw new Error(`${url} does not serve parts: ${response.status}`);
    }
    return { bytes: new Uint8Array(await response.arrayBuffer()), size: Number(size) };
  };
  const { size } = await get(0, 1);
  return { size, read: async (from, to) => (await get(from, to)).bytes };
}

/** A sealed work whose plaintext can be read at any place. */
export class SealedFile {
  #source;
  #start;
  #key;
  #chunks;
  #last = { index: -1, plain: new Uint8Array() };

  /**
   * Reads the header, has the identity come by the file key, and checks the end, so that the size is authentic.
   *
   * @param {Source} source
   * @param {import("./identity.js").MillraceIdentity | import("age-encryption").Identity | string} identity
   * @returns {Promise<SealedFile>}
   * @throws When the file is none, is cut off or bent, or the identity does not open it.
   */
  static async open(source, identity) {
    const header = await readHeader(source);
    const payload = source.size - header.length - nonceSize;
    const chunks = Math.ceil(payload / sealedSize);
    const size = payload - chunks * 16;
    if (!(size >= 0) || Math.max(1, Math.ceil(size / chunkSize)) !== chunks) {
      throw new Error("the file is cut off"); // which need not be paid for to be found
    }
    let fileKey;
    if (typeof identity.fileKey === "function") {
      fileKey = await identity.fileKey(header, source.size);
    } else {
      const decrypter = new Decrypter();
      decrypter.addIdentity(identity);
      fileKey = await decrypter.decryptHeader(header);
    }
    const file = new SealedFile();
    file.#source = source;
    file.#start = header.length + nonceSize;
    file.#key = hkdf(sha256, fileKey, await readAll(source, header.length, file.#start), utf8ToBytes("payload"), 32);
    file.#chunks = chunks;
    /** The length of the plaintext in bytes. */
    file.size = size;
    await file.#fetch(chunks - 1, chunks);
    return Object.freeze(file);
  }

  /**
   * Decrypts the bytes from one place up to another. It reads the chunks that they lie in and no others.
   *
   * @param {number} from
   * @param {number} [to] Default, and at most: the end.
   * @returns {Promise<Uint8Array>}
   * @throws When one of these chunks is not what was sealed there.
   */
  async read(from, to = this.size) {
    to = Math.min(to, this.size);
    if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || from < 0 || from > to) {
      throw new RangeError(`want a part of 0 to ${this.size}`);
    }
    const out = new Uint8Array(to - from);
    for (let at = from; at < to;) {
      const index = Math.floor(at / chunkSize);
      const part = await this.#fetch(index, Math.min(Math.ceil(to / chunkSize), index + chunksAtOnce));
      const some = part.subarray(at - index * chunkSize, to - index * chunkSize);
      out.set(some, at - from);
      at += some.length;
    }
    return out;
  }

  /**
   * The plaintext from a place on, as a stream that decrypts what is read of it.
   *
   * @param {number} [from]
   * @returns {ReadableStream<Uint8Array>}
   */
  stream(from = 0) {
    const most = chunksAtOnce * chunkSize;
    return new ReadableStream({
      pull: async (controller) => {
        const to = Math.min(this.size, from - (from % chunkSize) + most);
        if (from < to) {
          controller.enqueue(await this.read(from, to));
        }
        from = to;
        if (from >= this.size) {
          controller.close();
        }
      },
    }, { highWaterMark: 0 });
  }

  // Returns the plaintext of chunks, of which it keeps the last: who reads on in small steps decrypts it once.
  async #fetch(index, end) {
    if (end === index + 1 && this.#last.index === index) {
      return this.#last.plain;
    }
    const sealed = await readAll(this.#source, this.#start + index * sealedSize,
      Math.min(this.#start + end * sealedSize, this.#source.size));
    const parts = [];
    for (let i = index; i < end; i++) {
      const nonce = new Uint8Array(12); // 11 bytes of counter, big endian, and whether it is the last chunk
      new DataView(nonce.buffer).setBigUint64(3, BigInt(i));
      nonce[11] = i === this.#chunks - 1 ? 1 : 0;
      parts.push(chacha20poly1305(this.#key, nonce).decrypt(sealed.subarray((i - index) * sealedSize, (i - index + 1) * sealedSize)));
    }
    this.#last = { index: end - 1, plain: parts.at(-1) };
    return parts.length === 1 ? parts[0] : concatBytes(...parts);
  }
}

async function readAll(source, from, to) {
  const bytes = await source.read(from, to);
  if (bytes.length !== to - from) {
    throw new Error("the file is cut off");
  }
  return bytes;
}

// readHeader reads up to the newline of the MAC line.
async function readHeader(source) {
  for (let size = 2 << 10; ; size *= 2) {
    const start = await readAll(source, 0, Math.min(size, maxHeader, source.size));
    const text = String.fromCharCode(...start.subarray(0, 22));
    if (text !== "age-encryption.org/v1\n") {
      throw new Error("not a sealed work: no age header");
    }
    for (let at = 21; at >= 0; at = start.indexOf(10, at + 1)) {
      if (start[at + 1] === 45 && start[at + 2] === 45 && start[at + 3] === 45) { // "---"
        const end = start.indexOf(10, at + 1);
        if (end >= 0) {
          return start.slice(0, end + 1);
        }
      }
    }
    if (start.length < size || size >= maxHeader) {
      throw new Error(`not a sealed work: its header is cut off, or larger than ${maxHeader} bytes`);
    }
  }
}
