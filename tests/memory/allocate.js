// Keeps arrays from known functions between the lines "go" and "stop" of its input, and then tells "NAME BYTES" kept by
// each, then "end". At the line "turn" it keeps as much as it lets go. "ready" first.
"use strict";

const kept = [], bytes = { keepNumbers: 0, keepObjects: 0 };
const recent = [];
let working = false, turning = false;

function keepNumbers() {
  kept.push(new Array(1250).fill(0.5)); // 8 bytes each, 16 of the list, 32 of the array
  bytes.keepNumbers += 1250 * 8 + 48;
}

function keepObjects() {
  const list = new Array(500);
  for (let i = 0; i < 500; i++) list[i] = { a: i, b: i, c: i, d: i }; // 24 bytes and 8 for each property
  kept.push(list);
  bytes.keepObjects += 500 * (56 + 8) + 48;
}

function dropAll() {
  return new Array(1000).fill(1.5).length;
}

function turnOver() {
  recent.push(new Array(1250).fill(2.5));
  if (recent.length > 200) recent.shift();
}

setInterval(() => {
  if (turning) for (let i = 0; i < 20; i++) turnOver();
  if (!working) return;
  for (let i = 0; i < 5; i++) {
    keepNumbers();
    keepObjects();
    dropAll();
  }
}, 5);

process.stdin.on("data", (data) => {
  working = String(data).startsWith("go");
  turning = String(data).startsWith("turn");
  if (working || turning) return;
  for (const name in bytes) console.log(name, bytes[name]);
  console.log("end");
});
process.stdin.on("end", () => process.exit());
console.log("ready");
