// Programs to profile, in Node and in Bun: program.js WHAT. They say "ready" first; to each line that comes they answer
// with the milliseconds that each function has taken so far, as JSON.
'use strict';

const spent = {};

// Works off a number of units, under the name of its caller. Units, not time: a machine that takes the processor away
// for a while changes nothing about the shares of samples.
function units(count) {
  let x = 0;
  for (let i = 0; i < count * 100000; i++) x = (x * 31 + i) | 0;
  return x;
}

function timed(name, work) {
  const start = performance.now();
  work();
  spent[name] = (spent[name] || 0) + performance.now() - start;
}

// Not as the last thing that they do: JavaScriptCore has proper tail calls,
// which leave no frame.
function heavy() { return units(40) + 1; }
function light() { return units(20) + 2; }
function in_worker() { return units(40) + 3; }

function another() {
  const made = new Function('n', 'let x = 0; for (let i = 0; i < n; i++) x += i * ' + Math.random() + '; return x;');
  for (let i = 0; i < 200; i++) made(100);
}

function both() {
  timed('heavy', heavy);
  timed('light', light);
}

const { Worker, isMainThread } = require('node:worker_threads');

const programs = {
  shares: () => setInterval(both, 33),
  workers: () => {
    setInterval(both, 40);
    new Worker(__filename, { argv: ['worker'] });
  },
  // One worker after the other, none of which lives long.
  coming_and_going: () => {
    setInterval(both, 40);
    setInterval(() => setTimeout(() => worker.terminate(), 150), 200);
    let worker;
    const next = () => { worker = new Worker(__filename, { argv: ['worker'] }); };
    next();
    setInterval(next, 200);
  },
  worker: () => setInterval(() => in_worker(), 33),
  // Never waits. `timed` calls so many functions that none is inlined in it: what is inlined counts as its caller. And a
  // new function each time, as JavaScriptCore writes its dump in blocks.
  clocked: () => {
    const others = [4, 5, 6, 7, 8].map((n) => new Function('units', `return () => units(1) + ${n};`)(units));
    setInterval(() => {
      another();
      both();
      for (const other of others) timed('other', other);
    }, 1);
    both();
  },
  idle: () => setInterval(() => {}, 1000),
  nothing: () => {}, // but for what comes on its standard input
  own_handler: () => {
    process.on('SIGUSR1', () => console.log('my own'));
    setInterval(() => {}, 1000);
  },
  handler_gone: () => {
    const nothing = () => {};
    process.on('SIGUSR1', nothing);
    process.off('SIGUSR1', nothing);
    setInterval(() => {}, 1000);
  },
  opened_itself: () => {
    require('node:inspector').open(0, '127.0.0.1');
    setInterval(both, 33);
  },
  // Of ten arrays one stays.
  allocates: () => {
    const kept = [];
    const array = () => new Array(2048).fill(kept.length);
    function grow() { kept.push(array()); }
    function waste() { return array().length; }
    setInterval(() => {
      grow();
      for (let i = 0; i < 9; i++) waste();
    }, 2);
  },
  // Garbage, and a sum that is wrong if any of it was damaged.
  churns: () => {
    function churn() {
      let sum = 0;
      for (let i = 0; i < 40000; i++) {
        const one = { i, text: 'x' + i, list: [i, i + 1] };
        sum += one.list[1] - one.i + one.text.length;
      }
      if (sum !== 268890) process.exit(3);
    }
    setInterval(() => timed('churn', churn), 20);
  },
  ends: () => {
    setInterval(both, 33);
    setTimeout(() => process.exit(7), 6000);
  },
  // A service without an endpoint for profiles.
  service: () => {
    const server = require('node:http').createServer((request, response) => {
      if (request.url === '/work') both();
      response.writeHead(request.url === '/work' ? 200 : 404).end();
    });
    server.listen(0, '127.0.0.1', () => console.log('port ' + server.address().port));
    setInterval(both, 33);
  },
  // Never gets back to its event loop.
  for_ever: () => {
    console.log('ready');
    for (;;) heavy();
  },
};

const what = process.argv[2];
if (isMainThread) {
  process.stdin.on('data', () => console.log(JSON.stringify(spent))).on('end', () => process.exit());
}
programs[what]();
if (isMainThread) console.log('ready');
