// soketi on loopback alone: node soketi.js '{"port":…, "app.key":…}'
//
// Its own configuration in dotted keys, over defaults that bind nothing but 127.0.0.1; "app." stands for its one app.
// Prints one line once it takes connections.
"use strict";
const { Server } = require("@soketi/soketi");

const given = JSON.parse(process.argv[2]);
const options = {
  host: "127.0.0.1",
  "metrics.host": "127.0.0.1",
  "cluster.hostname": "127.0.0.1",
  "cluster.address": "127.0.0.1",
  "cluster.unicast": "127.0.0.1",
  shutdownGracePeriod: 0,
};
for (const [key, value] of Object.entries(given)) {
  options[key.replace(/^app\./, "appManager.array.apps.0.")] = value;
}
const server = new Server(options);
// As soketi's own command line does it.
for (const signal of ["SIGTERM", "SIGINT"]) {
  process.on(signal, () => server.stop().then(() => process.exit()));
}
server.start(() => console.log("ready"));
