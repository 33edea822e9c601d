// What soketi 1.6.1 asks of uWebSockets.js, on node:http and ws: that package is not in the registry, and its builds
// load only in some versions of Node. Carries bytes and nothing else; every Pusher frame, check and error is soketi's.
"use strict";
const { readFileSync } = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const { WebSocketServer } = require("ws");

/** uWebSockets hands everything over as ArrayBuffers. */
function arrayBuffer(bytes) {
  const buffer = Buffer.from(bytes);
  return buffer.buffer.slice(buffer.byteOffset, buffer.byteOffset + buffer.byteLength);
}

/** `/apps/:id/events` as an expression that captures what the colons stand for. */
function matcher(pattern) {
  const segments = pattern.split("/").map((segment) => {
    if (segment.startsWith(":")) return "([^/]+)";
    return segment.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*");
  });
  return new RegExp(`^${segments.join("/")}$`);
}

class Request {
  constructor(incoming, parameters) {
    this.incoming = incoming;
    this.parameters = parameters;
    [this.path, this.query = ""] = incoming.url.split(/\?(.*)/s);
  }
  getParameter(index) {
    return this.parameters[index];
  }
  getQuery() {
    return this.query;
  }
  getMethod() {
    return this.incoming.method.toLowerCase();
  }
  getUrl() {
    return this.path;
  }
  getHeader(name) {
    return String(this.incoming.headers[name.toLowerCase()] ?? "");
  }
}

class Response {
  constructor(incoming, outgoing) {
    this.incoming = incoming;
    this.outgoing = outgoing;
  }
  getRemoteAddressAsText() {
    return arrayBuffer(this.incoming.socket.remoteAddress ?? "");
  }
  getProxiedRemoteAddressAsText() {
    return arrayBuffer("");
  }
  cork(write) {
    write();
    return this;
  }
  onAborted(tell) {
    this.incoming.on("aborted", tell);
    return this;
  }
  onData(take) {
    const chunks = [];
    this.incoming.on("data", (chunk) => chunks.push(chunk));
    this.incoming.on("end", () => take(arrayBuffer(Buffer.concat(chunks)), true));
    return this;
  }
  writeStatus(status) {
    const [code, ...words] = status.split(" ");
    this.outgoing.statusCode = Number(code);
    this.outgoing.statusMessage = words.join(" ");
    return this;
  }
  writeHeader(name, value) {
    this.outgoing.setHeader(name, value);
    return this;
  }
  end(body) {
    if (!this.outgoing.writableEnded) this.outgoing.end(body);
    return this;
  }
}

class App {
  constructor(options) {
    this.options = options;
    this.routes = [];
    this.sockets = [];
  }
  get(pattern, handle) {
    return this.route("GET", pattern, handle);
  }
  post(pattern, handle) {
    return this.route("POST", pattern, handle);
  }
  any(pattern, handle) {
    return this.route(undefined, pattern, handle);
  }
  route(method, pattern, handle) {
    this.routes.push({ method, path: matcher(pattern), handle });
    return this;
  }
  ws(pattern, behaviour) {
    const server = new WebSocketServer({ noServer: true, maxPayload: behaviour.maxPayloadLength, perMessageDeflate: false });
    this.sockets.push({ path: matcher(pattern), behaviour, server });
    return this;
  }
  listen(host, port, done) {
    const { key_file_name: key, cert_file_name: cert, passphrase } = this.options ?? {};
    const server = key
      ? https.createServer({ key: readFileSync(key), cert: readFileSync(cert), passphrase: passphrase || undefined })
      : http.createServer();
    server.on("request", (incoming, outgoing) => this.answer(incoming, outgoing));
    server.on("upgrade", (incoming, socket, head) => this.upgrade(incoming, socket, head));
    server.on("error", () => done(false));
    server.listen(port, host, () => done(server));
    return this;
  }
  answer(incoming, outgoing) {
    for (const { method, path, handle } of this.routes) {
      const found = (method ?? incoming.method) === incoming.method && path.exec(incoming.url.split("?")[0]);
      if (found) return handle(new Response(incoming, outgoing), new Request(incoming, found.slice(1)));
    }
    outgoing.writeHead(404).end();
  }
  upgrade(incoming, socket, head) {
    for (const { path, behaviour, server } of this.sockets) {
      const found = path.exec(incoming.url.split("?")[0]);
      if (!found) continue;
      const response = new Response(incoming, undefined);
      response.upgrade = (userData) =>
        server.handleUpgrade(incoming, socket, head, (raw) => open(raw, userData, behaviour));
      return behaviour.upgrade(response, new Request(incoming, found.slice(1)), {});
    }
    socket.destroy();
  }
}

/** soketi keeps its own things on the socket it is given, so it gets one of its own. */
function open(raw, userData, behaviour) {
  const ws = {
    ...userData,
    send: (data) => raw.send(data),
    end: (code, reason) => raw.close(code, reason),
    close: () => raw.terminate(),
  };
  raw.on("message", (data, isBinary) => behaviour.message?.(ws, arrayBuffer(data), isBinary));
  raw.on("close", (code, reason) => behaviour.close?.(ws, code, reason));
  raw.on("error", () => {});
  behaviour.open?.(ws);
}

module.exports = {
  App: (options) => new App(options),
  SSLApp: (options) => new App(options),
  us_listen_socket_close(server) {
    server.close();
    server.closeAllConnections?.();
  },
};
