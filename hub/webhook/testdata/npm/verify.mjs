// Reads {secret, headers, body} as JSON, verifies the delivery with the package standardwebhooks, and prints what it says.
// A verification that fails throws, and ends the process with an error.
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

const { secret, headers, body } = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(new Webhook(secret).verify(body, headers)));
