// One busy thread that makes many calls. For each line that it is sent it tells the rounds that it has made, as JSON; it
// ends with its input.
'use strict';

let rounds = 0;

function leaf(x) { return (x * 31 + 7) | 0; }
function middle(x, n) { for (let i = 0; i < n; i++) x = leaf(x); return x; }
function outer(x) { let sum = 0; for (let i = 0; i < 2000; i++) sum += middle(x + i, 20); return sum; }

function work() {
  outer(rounds);
  rounds++;
  setImmediate(work);
}

process.stdin.on('data', () => console.log(JSON.stringify({ rounds })));
process.stdin.on('end', () => process.exit());
console.log('ready');
work();
