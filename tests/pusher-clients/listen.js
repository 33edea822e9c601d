// Pusher's own client: what it is told, one JSON line each. Ends with its standard input.
// node listen.js '{"host":"127.0.0.1","port":6001,"key":"…","auth":"http://…/broadcasting/auth","channel":"private-…"}' TOKEN
"use strict";
const module_ = require("pusher-js");
const Pusher = module_.Pusher ?? module_;

const [{ host, port, key, auth, channel }, token] = [JSON.parse(process.argv[2]), process.argv[3]];
const tell = (line) => console.log(JSON.stringify(line));

// As the vendor's page has it, but for TLS.
const pusher = new Pusher(key, {
  cluster: "",
  wsHost: host,
  wsPort: port,
  forceTLS: false,
  disableStats: true,
  enabledTransports: ["ws"],
  authEndpoint: auth,
  auth: { headers: { Authorization: token } },
});
pusher.connection.bind("connected", () => tell({ connected: pusher.connection.socket_id }));
pusher.connection.bind("error", (error) => tell({ error: error.data ?? error.error?.data ?? String(error.error ?? error) }));
pusher.connection.bind("state_change", ({ current }) => tell({ state: current }));
pusher.subscribe(channel).bind_global((event, data) => tell({ event, data: data ?? null }));
process.stdin.on("end", () => process.exit()).resume();
