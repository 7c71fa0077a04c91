// Opens sealed works as a page does. Reads orders, each a line of JSON:
//
//   {file or url, hub, token, origin, maxMsat, answer, how, parts}
//
// answer is what the reader says when he is asked (absent: nobody asks him); how is "decrypter" for age-encryption's own Decrypter, or
// "stream", or absent for SealedFile, which then reads the parts, pairs of offsets. Answers each with a line
// {error, code, asked, sent, size, read, plain, parts}: the quotes that were asked about, where requests went, how many bytes were read, and
// digests of what was opened.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { Decrypter } from "age-encryption";
import { HubError, MillraceIdentity, SealedFile, blobSource, bytesSource, urlSource } from "../millrace.js";

const digest = (bytes) => createHash("sha256").update(bytes).digest("hex");

function identityOf(order, said) {
  return new MillraceIdentity({
    hub: order.hub, origin: order.origin, maxMsat: order.maxMsat === undefined ? undefined : BigInt(order.maxMsat),
    token: async () => order.token,
    consent: order.answer === undefined ? undefined : async (quote) => {
      said.asked.push(`${quote.title} ${quote.priceMsat} ${quote.seller}`);
      return order.answer;
    },
    fetch: (url, options) => {
      said.sent.push(`${options.method ?? "GET"} ${url}${options.headers.Authorization ? " with token" : ""}`);
      return fetch(url, options);
    },
  });
}

async function sources(order) {
  if (order.url) {
    return [await urlSource(order.url)];
  }
  const bytes = readFileSync(order.file);
  return [bytesSource(bytes), blobSource(new Blob([bytes]))];
}

async function open(order, said) {
  const identity = identityOf(order, said);
  if (order.how === "decrypter") {
    const decrypter = new Decrypter();
    decrypter.addIdentity(identity);
    said.plain = digest(await decrypter.decrypt(new Uint8Array(readFileSync(order.file))));
    return;
  }
  for (const source of await sources(order)) {
    let read = 0;
    const counted = { size: source.size, read: (from, to) => { read += to - from; return source.read(from, to); } };
    const file = await SealedFile.open(counted, identity);
    said.size = file.size;
    if (order.how === "stream") {
      const all = createHash("sha256");
      for await (const bytes of file.stream(order.parts?.[0]?.[0])) {
        all.update(bytes);
      }
      said.plain = all.digest("hex");
      continue;
    }
    const part = ([from, to]) => file.read(from, to).then(digest, (e) => `${e.name}: ${e.message}`);
    said.parts = [];
    for (const p of order.parts ?? []) {
      said.parts.push(await part(p));
    }
    said.read = read;
    const together = await Promise.all((order.parts ?? []).map(part));
    if (together.join() !== said.parts.join()) {
      throw new Error("read at once, the parts are others");
    }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const said = { asked: [], sent: [], parts: [] };
  try {
    await open(JSON.parse(line), said);
  } catch (e) {
    said.error = e.message;
    said.code = e instanceof HubError ? e.code : undefined;
  }
  console.log(JSON.stringify(said));
}
