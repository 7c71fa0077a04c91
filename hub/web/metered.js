// Metered playback with hls.js: films and songs whose keys are sold by the unit (hub/media). It needs nothing beside hls.js.
//
//   const meter = new Meter({ hub: "https://hub.example", pay });
//   const hls = new Hls(meter.config());
//   meter.attach(hls);
//   hls.loadSource(playlist);
//   hls.attachMedia(video);
//
// hls.js asks again about once a second for a key that it is refused, without end, and fetches the segment anew each time. So a refusal
// stops the loading; pay is called, once however many refusals there are; and when it has a token, loading goes on where it was.

/**
 * @typedef {object} Offer What a refused unit costs, as the hub's problem says it.
 * @property {string} content
 * @property {number} unit From 0.
 * @property {number} price_msat Of each unit, in 1/1000 satoshi.
 * @property {number} price_version
 * @property {number} units How many there are.
 * @property {number} free_units The first ones, which are free for everybody.
 * @property {string} unlock Where a program buys this unit.
 * @property {string} session Where a player gets a token.
 * @property {string} accounts Where an account is opened.
 */

/**
 * Makes a player's token: it unlocks units from the refused one on, as many as the cap pays for at the present price, and does
 * nothing else.
 *
 * @param {Offer} offer
 * @param {string} account Token of the viewer's account.
 * @param {number} maxTotalMsat The most that it may cost in all.
 * @returns {Promise<string>}
 */
export async function session(offer, account, maxTotalMsat) {
  const answer = await fetch(offer.session, {
    method: "POST",
    headers: { Authorization: "Bearer " + account, "Content-Type": "application/json" },
    body: JSON.stringify({ max_total_msat: maxTotalMsat, from_unit: offer.unit }),
  });
  const body = await answer.json();
  if (!answer.ok) throw new Error(`${body.code}: ${body.detail}`);
  return body.token;
}

/** What an hls.js player pays for its keys by. */
export class Meter {
  #hub;
  #pay;
  #token;
  #hls = null;
  #asking = false;

  /**
   * @param {object} by
   * @param {string} by.hub The hub's origin.
   * @param {(offer: Offer) => Promise<string | undefined>} by.pay Gives a session's token, or nothing: then playback ends where the
   *   paid part ends, and retry asks again.
   * @param {string} [by.token] A session's token; free units need none.
   */
  constructor({ hub, pay, token = "" }) {
    this.#hub = new URL(hub).origin;
    this.#pay = pay;
    this.#token = token;
  }

  /**
   * A configuration for hls.js. It buffers little ahead: a viewer pays for what he buffers.
   *
   * @param {object} [more] Further members of it.
   */
  config(more = {}) {
    return {
      maxBufferLength: 10,
      maxMaxBufferLength: 10,
      ...more,
      xhrSetup: (xhr, url) => {
        more.xhrSetup?.(xhr, url);
        if (this.#token && new URL(url, location.href).origin === this.#hub) {
          xhr.setRequestHeader("Authorization", "Bearer " + this.#token);
        }
      },
    };
  }

  /** @param {object} hls An instance of Hls with this meter's configuration. */
  attach(hls) {
    this.#hls = hls;
    hls.on("hlsError", (_, data) => {
      if (data.details !== "keyLoadError") return;
      const status = data.response?.code;
      if (status === 402) this.#refused(offerOf(data.networkDetails));
      if (status === 429) this.#later(Number(data.networkDetails?.getResponseHeader("Retry-After")) || 1);
    });
  }

  /** Goes on loading, which asks for the next key again. */
  retry() {
    this.#hls?.startLoad();
  }

  async #refused(offer) {
    this.#hls.stopLoad();
    if (this.#asking || !offer) return;
    this.#asking = true;
    try {
      const token = await this.#pay(offer);
      if (!token) return;
      this.#token = token;
    } finally {
      this.#asking = false;
    }
    this.retry();
  }

  #later(seconds) {
    this.#hls.stopLoad();
    setTimeout(() => this.#asking || this.retry(), seconds * 1000);
  }
}

/** The offer in a problem, which hls.js loads as bytes. */
function offerOf(xhr) {
  try {
    return JSON.parse(new TextDecoder().decode(xhr.response)).offer;
  } catch {
    return undefined;
  }
}
