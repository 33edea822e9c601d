// Pusher's own SDK publishes: node publish.js '{"host":"127.0.0.1","port":8081,"id":"1001","key":"…","secret":"…"}'
// Reads [[channel, event, data], …] from its standard input: one event alone, the others in batches.
"use strict";
const { readFileSync } = require("node:fs");
const Pusher = require("pusher");

const BATCH_MAX = 10;

const { host, port, id, key, secret } = JSON.parse(process.argv[2]);
const pusher = new Pusher({ appId: id, key, secret, host, port: String(port), useTLS: false });

async function publish([[channel, event, data], ...rest]) {
  await pusher.trigger(channel, event, data);
  for (let first = 0; first < rest.length; first += BATCH_MAX) {
    const batch = rest.slice(first, first + BATCH_MAX).map(([channel, name, data]) => ({ channel, name, data }));
    await pusher.triggerBatch(batch);
  }
}

publish(JSON.parse(readFileSync(0, "utf8"))).catch((error) => {
  console.error(`${error.message} ${error.status ?? ""} ${error.body ?? ""}`);
  process.exit(1);
});
