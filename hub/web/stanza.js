import { base64nopad, base64urlnopad } from "@scure/base";

/** The type of the stanza that a hub opens. */
export const stanzaType = "millrace.dev/v1";

/**
 * @typedef {object} Place What a sealed work says of itself. Nobody has checked it.
 * @property {string} origin The hub that sells it. A file can name anybody: it is for comparing, never for sending to.
 * @property {string} content What it is sold as: 32 hexadecimal digits.
 */

/**
 * Finds our stanza in a header. Of two, the hub could charge for one and release the other.
 *
 * @param {{ args: string[], body: Uint8Array }[]} stanzas
 * @returns {Place | null} null: the file is not sealed to a hub.
 * @throws When the stanza is malformed, or not the only one.
 */
export function findPlace(stanzas) {
  const ours = stanzas.filter((s) => s.args[0] === stanzaType);
  if (ours.length === 0) {
    return null;
  }
  if (ours.length > 1) {
    throw new Error(`more than one ${stanzaType} stanza`);
  }
  const [, origin, content, keyID, enc] = ours[0].args;
  if (ours[0].args.length !== 5 || ours[0].body.length !== 32 || !/^[0-9a-f]{32}$/.test(content) || !/^[0-9a-f]{16}$/.test(keyID)) {
    throw new Error(`malformed ${stanzaType} stanza`);
  }
  base64nopad.decode(enc);
  return { origin: new TextDecoder("utf-8", { fatal: true }).decode(base64urlnopad.decode(origin)), content };
}
