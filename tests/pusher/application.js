// The application behind a Pusher server, as ChatApp's is: authorises channels and publishes, both by Pusher's own SDK.
// node application.js '{"port":6001,"key":"…","secret":"…","ca":"file.pem"}' TOKEN
//
// POST /broadcasting/auth, a form with the token in the Authorization header; POST /publish, {"channel", "event",
// "data":[…]}: one event for each, in order; or [{"channel", "name", "data"}, …]: at most ten events, in one request to
// the server. Prints its own port; ends with its standard input.
"use strict";
const { readFileSync } = require("node:fs");
const { createServer } = require("node:http");
const { Agent } = require("node:https");
const Pusher = require("pusher");

const BATCH_MAX = 10; // soketi's limit, and hosted Pusher's

const [{ port, key, secret, ca }, token] = [JSON.parse(process.argv[2]), process.argv[3]];
const agent = ca ? new Agent({ ca: readFileSync(ca) }) : undefined;
const pusher = new Pusher({ appId: "1001", key, secret, host: "127.0.0.1", port: String(port), useTLS: Boolean(ca), agent });

function authorise(headers, body) {
  if (headers.authorization !== token) return [403, { error: { code: "ApiInvalidTokenError", message: "no" } }];
  const form = new URLSearchParams(body);
  return [200, pusher.authorizeChannel(form.get("socket_id"), form.get("channel_name"))];
}

async function publish(body) {
  const wanted = JSON.parse(body);
  if (Array.isArray(wanted)) {
    await pusher.triggerBatch(wanted);
    return [200, {}];
  }
  const { channel, event: name, data } = wanted;
  for (let first = 0; first < data.length; first += BATCH_MAX) {
    const batch = data.slice(first, first + BATCH_MAX).map((item) => ({ channel, name, data: item }));
    await pusher.triggerBatch(batch);
  }
  return [200, {}];
}

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString();
  let answer;
  try {
    answer = request.url === "/publish" ? await publish(body) : authorise(request.headers, body);
  } catch (error) {
    answer = [500, { error: { message: `${error.message} ${error.body ?? error.error ?? ""}` } }];
  }
  response.writeHead(answer[0], { "content-type": "application/json" }).end(JSON.stringify(answer[1]));
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.on("end", () => process.exit()).resume();
