// A loopback server that behaves in every way a client has to cope with. It prints one line of JSON when it listens:
// {"a": port, "b": port, "tls": port, "raw": port, "socket": path}; a and b are two origins of the same server, raw
// answers with what is not HTTP. It ends with its parent. The path says what happens: see `routes`.
"use strict";
const fs = require("fs");
const http = require("http");
const https = require("https");
const net = require("net");
const os = require("os");
const path = require("path");
const zlib = require("zlib");
const { attach } = require("./websocket.js");

const collect = (req, then) => {
  const chunks = [];
  req.on("data", (chunk) => chunks.push(chunk));
  req.on("end", () => then(Buffer.concat(chunks)));
};

let concurrent = 0;
let most = 0;

const routes = {
  // What was asked, as JSON.
  echo: (req, res) =>
    collect(req, (body) => {
      res.setHeader("content-type", "application/json");
      res.end(JSON.stringify({ method: req.method, url: req.url, headers: req.headers, body: body.toString() }));
    }),
  // /redirect/STATUS?to=URL
  redirect: (req, res, [status], query) =>
    collect(req, () => res.writeHead(Number(status), { location: query.get("to") }).end("moved")),
  circle: (req, res) => res.writeHead(302, { location: "/circle" }).end(),
  status: (req, res, [status]) => res.writeHead(Number(status)).end(Number(status) === 204 ? undefined : "said " + status),
  bytes: (req, res, [count]) => res.writeHead(200, { "content-length": count }).end(Buffer.alloc(Number(count), "x")),
  // Without a content-length, in pieces.
  chunked: (req, res, [count]) => {
    for (let i = 0; i < Number(count); i++) res.write("piece " + i + "\n");
    res.end();
  },
  // /encoded/gzip/N: N zeros, small on the wire.
  encoded: (req, res, [how, count]) => {
    const body = (how === "gzip" ? zlib.gzipSync : zlib.deflateSync)(Buffer.alloc(Number(count)));
    res.writeHead(200, { "content-encoding": how, "content-length": body.length }).end(body);
  },
  // /after/MS
  after: (req, res, [ms]) => {
    most = Math.max(most, ++concurrent);
    setTimeout(() => {
      concurrent--;
      res.end("at last");
    }, Number(ms));
  },
  // How many requests of /after were there at once.
  most: (req, res) => res.end(String(most)),
  never: () => {},
  // Sends its headers and half of a body, then nothing.
  half: (req, res) => {
    res.writeHead(200, { "content-length": 100 });
    res.write("x".repeat(50));
  },
  // Breaks the connection in the middle of the body.
  broken: (req, res) => {
    res.writeHead(200, { "content-length": 100 });
    res.write("x".repeat(50), () => req.socket.destroy());
  },
  reset: (req) => req.socket.destroy(),
  damaged: (req, res) => res.writeHead(200, { "content-encoding": "gzip" }).end("this is not gzip"),
  headers: (req, res, [count]) => {
    for (let i = 0; i < Number(count); i++) res.setHeader("x-" + i, "v".repeat(1000));
    res.setHeader("Set-Cookie", ["a=1", "b=2"]);
    res.end();
  },
};

const handle = (req, res) => {
  const url = new URL(req.url, "http://localhost");
  const [, name, ...rest] = url.pathname.split("/");
  const route = routes[name];
  if (route) route(req, res, rest, url.searchParams);
  else res.writeHead(404).end("no such route");
};

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fg-http-"));
process.on("exit", () => fs.rmSync(folder, { recursive: true }));
process.on("SIGTERM", () => process.exit());
const parent = process.ppid;
setInterval(() => process.ppid === parent || process.exit(), 500);

const pem = (name) => fs.readFileSync(path.join(__dirname, name));
const big = { maxHeaderSize: 1 << 20 };
const listeners = {
  a: http.createServer(big, handle),
  b: http.createServer(big, handle),
  tls: https.createServer({ key: pem("localhost-key.pem"), cert: pem("localhost-cert.pem") }, handle),
  raw: net.createServer((socket) => socket.on("error", () => {}).end("220 this speaks something else\r\n")),
  socket: http.createServer(handle),
};
const socket = path.join(folder, "socket");
const ports = {};
for (const name of ["a", "tls"]) attach(listeners[name]);
for (const [name, server] of Object.entries(listeners)) {
  server.listen(name === "socket" ? socket : { host: "127.0.0.1", port: 0 }, () => {
    ports[name] = name === "socket" ? socket : server.address().port;
    if (Object.keys(ports).length === Object.keys(listeners).length) console.log(JSON.stringify(ports));
  });
}
