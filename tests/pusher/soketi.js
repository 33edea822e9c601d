// soketi, bound to loopback alone: node soketi.js '{"port":6001,…}'
//
// Takes soketi's own configuration, its keys dotted. Prints a line once it takes connections.
"use strict";
const { Server } = require("@soketi/soketi");

const server = new Server();
server.setOptions({
  host: "127.0.0.1",
  "metrics.host": "127.0.0.1",
  "cluster.hostname": "127.0.0.1",
  "cluster.address": "127.0.0.1",
  "cluster.unicast": "127.0.0.1",
  shutdownGracePeriod: 0,
  ...JSON.parse(process.argv[2]),
});
// As soketi's own command line does it.
process.on("SIGTERM", () => server.stop().then(() => process.exit()));
server.start(() => console.log("ready"));
