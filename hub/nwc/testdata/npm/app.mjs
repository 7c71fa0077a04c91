// Uses a wallet as applications do, by the package @getalby/sdk. Reads {uri, encryption} in the first line; then each further line is a
// call, [method, argument], and each is answered with a line: {result} or {error, name}. "subscribe" prints notifications as they come.
import { createInterface } from "node:readline";
import { NWCClient } from "@getalby/sdk/nwc";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (what) => process.stdout.write(JSON.stringify(what) + "\n");
const { uri, encryption } = JSON.parse((await lines.next()).value);
const client = new NWCClient({ nostrWalletConnectUrl: uri });
if (encryption) client._encryptionType = encryption; // an application of old knows no other
for (let line = await lines.next(); !line.done; line = await lines.next()) {
  const [method, argument] = JSON.parse(line.value);
  try {
    if (method === "subscribe") {
      await client.subscribeNotifications((notification) => say({ notification }));
      say({ result: true });
    } else {
      say({ result: await client[method](argument), encryption: client.encryptionType });
    }
  } catch (e) {
    say({ error: e.code ?? String(e), name: e.constructor.name });
  }
}
client.close();
process.exit(0);
