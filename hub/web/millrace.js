/**
 * Opens sealed works: ordinary age files whose key a Millrace hub releases to whoever pays.
 *
 *     import { Decrypter } from "age-encryption";
 *     import { MillraceIdentity, SealedFile, blobSource } from "millrace-web";
 *
 *     const identity = new MillraceIdentity({ hub: "https://hub.example", token, consent: (quote) => askTheReader(quote) });
 *
 *     const decrypter = new Decrypter(); // all of a file
 *     decrypter.addIdentity(identity);
 *     const plain = await decrypter.decrypt(sealed);
 *
 *     const film = await SealedFile.open(blobSource(file), identity); // any part of it
 *     const scene = await film.read(1_000_000, 2_000_000);
 */
export { MillraceIdentity } from "./identity.js";
export { Hub, HubError } from "./hub.js";
export { SealedFile, blobSource, bytesSource, urlSource } from "./sealed.js";
