// Asks a lightning address for an invoice, by the package @getalby/lightning-tools. Reads {address, host, base, satoshis, comment}: what is
// asked of https://host goes to base. Prints the invoice; each further line asks whether it was paid.
import { createInterface } from "node:readline";
import { LightningAddress } from "@getalby/lightning-tools/lnurl";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (what) => process.stdout.write(JSON.stringify(what) + "\n");
const { address, host, base, satoshis, comment } = JSON.parse((await lines.next()).value);
const direct = globalThis.fetch;
globalThis.fetch = (url, options) => direct(String(url).replace("https://" + host, base), options);
const to = new LightningAddress(address, { proxy: false });
await to.fetch();
const invoice = await to.requestInvoice({ satoshi: satoshis, comment });
const { destination, customKey, customValue } = to.keysendData;
say({
  result: {
    invoice: invoice.paymentRequest,
    amount: invoice.satoshi,
    about: to.lnurlpData.identifier,
    comment: to.lnurlpData.commentAllowed,
    keysend: `${destination} ${customKey}=${customValue}`,
  },
});
for (let line = await lines.next(); !line.done; line = await lines.next()) {
  say({ result: { paid: await invoice.verifyPayment(), preimage: invoice.preimage ?? "" } });
}
process.exit(0);
