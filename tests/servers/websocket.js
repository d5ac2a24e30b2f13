// What a WebSocket server can do, well and badly: attach(server) to an HTTP server. The path says what happens.
"use strict";
const crypto = require("crypto");

const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

const frame = (opcode, payload, fin = true) => {
  const bytes = Buffer.from(payload);
  const head = Buffer.alloc(10);
  head[0] = (fin ? 0x80 : 0) | opcode;
  if (bytes.length < 126) {
    head[1] = bytes.length;
    return Buffer.concat([head.subarray(0, 2), bytes]);
  }
  if (bytes.length < 65536) {
    head[1] = 126;
    head.writeUInt16BE(bytes.length, 2);
    return Buffer.concat([head.subarray(0, 4), bytes]);
  }
  head[1] = 127;
  head.writeBigUInt64BE(BigInt(bytes.length), 2);
  return Buffer.concat([head, bytes]);
};

// Calls `on(opcode, payload)` for each frame that comes. A client has to mask what it sends.
const reader = (socket, on) => {
  let held = Buffer.alloc(0);
  return (chunk) => {
    held = Buffer.concat([held, chunk]);
    while (held.length >= 2) {
      let length = held[1] & 127;
      let at = 2;
      if (length === 126) {
        if (held.length < 4) return;
        [length, at] = [held.readUInt16BE(2), 4];
      } else if (length === 127) {
        if (held.length < 10) return;
        [length, at] = [Number(held.readBigUInt64BE(2)), 10];
      }
      if (!(held[1] & 128)) return socket.destroy();
      if (held.length < at + 4 + length) return;
      const mask = held.subarray(at, at + 4);
      const payload = Buffer.from(held.subarray(at + 4, at + 4 + length)).map((byte, i) => byte ^ mask[i % 4]);
      on(held[0] & 15, payload);
      held = held.subarray(at + 4 + length);
    }
  };
};

const answer = (key) => {
  const accept = crypto.createHash("sha1").update(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest("base64");
  return "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: Upgrade\r\n" +
    "Sec-WebSocket-Accept: " + accept + "\r\n\r\n";
};

let closed = []; // the status of each connection that said good-bye

const routes = {
  echo: (socket, open) => open((opcode, payload) => opcode <= BINARY && socket.write(frame(opcode, payload))),
  // The headers of the request, and the path.
  asked: (socket, open, rest, request) => {
    open();
    socket.write(frame(TEXT, JSON.stringify({ url: request.url, headers: request.headers })));
  },
  // One message of N bytes.
  bytes: (socket, open, [count]) => {
    open();
    socket.write(frame(BINARY, Buffer.alloc(Number(count), "x")));
  },
  // N messages: "0", "1", … each padded with SIZE bytes
  burst: (socket, open, [count, size]) => {
    open();
    for (let i = 0; i < Number(count); i++) socket.write(frame(TEXT, String(i).padEnd(Number(size || 0), " ")));
  },
  // A message in three frames, with a ping in between, one byte at a time; then what the pong was.
  pieces: (socket, open) => {
    let pong = "";
    const whole = () => pong && at === bytes.length && socket.write(frame(TEXT, "pong " + pong));
    open((opcode, payload) => opcode === PONG && ((pong = payload), whole()));
    const bytes = Buffer.concat([frame(TEXT, "one ", false), frame(0, "two ", false), frame(PING, "hi"), frame(0, "three")]);
    let at = 0;
    const next = () => (at < bytes.length ? socket.write(bytes.subarray(at, ++at), () => setImmediate(next)) : whole());
    next();
  },
  // The first message comes in the same packet as the answer.
  together: (socket, open) => open(undefined, frame(TEXT, "at once")),
  goodbye: (socket, open) => {
    open();
    socket.write(frame(TEXT, "bye"));
    socket.end(frame(CLOSE, Buffer.from([0x0f, 0xa1])));
  },
  drop: (socket, open) => {
    open();
    socket.write(frame(TEXT, "gone"), () => socket.destroy());
  },
  garbage: (socket, open) => {
    open();
    socket.write(Buffer.alloc(32, 0x73));
  },
  wrong: (socket) => socket.write(answer("not the key")),
  endless: (socket) => socket.write("HTTP/1.1 101 Switching Protocols\r\nx: " + "x".repeat(70000)),
  silent: () => {},
  hangup: (socket) => socket.destroy(),
  // Statuses of good-byes so far.
  closed: (socket, open) => {
    open();
    socket.write(frame(TEXT, JSON.stringify(closed)));
    closed = [];
  },
};

exports.attach = (server) => {
  server.on("upgrade", (request, socket) => {
    socket.on("error", () => {});
    const [, name, ...rest] = request.url.split("?")[0].split("/");
    const open = (on = () => {}, more = "") => {
      socket.write(Buffer.concat([Buffer.from(answer(request.headers["sec-websocket-key"])), Buffer.from(more)]));
      socket.on("data", reader(socket, (opcode, payload) => {
        if (opcode === CLOSE) {
          closed.push(payload.length >= 2 ? payload.readUInt16BE(0) : 0);
          socket.end();
        }
        on(opcode, payload);
      }));
    };
    if (routes[name]) routes[name](socket, open, rest, request);
    else socket.end("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
  });
};
