// A small service to profile, for Node and for Bun, without dependencies.
//
//   GET  /work                            one round of all four functions, in their shares
//   GET  /fibonacci … /hashing            one round of that function alone (not counted in /shares)
//   GET  /shares                          the share of the time that each function has taken of /work
//   POST /admin/cpu-profile               {"durationMs": N, "intervalUs": N} answers with a .cpuprofile
//
// PORT is the loopback port (0 takes a free one); TARGET_TOKEN guards /admin.
'use strict';

const http = require('node:http');
const { Session } = require('node:inspector');
const { createHash, timingSafeEqual } = require('node:crypto');

// Not a multiple of a sampler's period, so that samples fall everywhere in a round.
const ROUND_MS = 23;
const MAX_BODY = 4096;
const MAX_DURATION_MS = 600000;

// Four functions whose shapes tell them apart in a picture: a tower, a plateau, a staircase, a step.
// Each call takes a fraction of a millisecond, so that a round can be shared out finely.

function fibonacci(n) {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

const SIDE = 48;
const left = Float64Array.from({ length: SIDE * SIDE }, (_, i) => i % 7);
const right = Float64Array.from({ length: SIDE * SIDE }, (_, i) => i % 11);
const product = new Float64Array(SIDE * SIDE);

function matrix_multiply(seed) {
  left[0] = seed;
  for (let row = 0; row < SIDE; row++) {
    for (let column = 0; column < SIDE; column++) {
      let sum = 0;
      for (let k = 0; k < SIDE; k++) sum += left[row * SIDE + k] * right[k * SIDE + column];
      product[row * SIDE + column] = sum;
    }
  }
  return product[SIDE + 1];
}

const items = new Uint32Array(2000);

function partition(from, to) {
  const pivot = items[(from + to) >> 1];
  while (from <= to) {
    while (items[from] < pivot) from++;
    while (items[to] > pivot) to--;
    if (from <= to) {
      const swapped = items[from];
      items[from++] = items[to];
      items[to--] = swapped;
    }
  }
  return from;
}

function quicksort(from, to) {
  if (from >= to) return;
  const middle = partition(from, to);
  quicksort(from, middle - 1);
  quicksort(middle, to);
}

function sorting(seed) {
  for (let i = 0; i < items.length; i++) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    items[i] = seed;
  }
  quicksort(0, items.length - 1);
  return items[0];
}

const text = Uint8Array.from({ length: 65536 }, (_, i) => i);

// By halves, and so in frames of its own: a function that calls itself is not inlined away.
function hash_block(hash, from, to) {
  if (to - from > 4096) {
    const middle = (from + to) >> 1;
    return hash_block(hash_block(hash, from, middle), middle, to);
  }
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ text[i], 16777619);
  return hash;
}

function hashing(seed) {
  return hash_block(seed, 0, text.length) >>> 0;
}

// A round tops each task up to its share of the whole, so a call that overshoots is made good in the next
// round and the shares stay exact over time. The functions are called as they are: a wrapper would be named
// after its key and be one more frame of that name.
const tasks = {
  fibonacci: { share: 0.4, run: fibonacci, argument: 20, spentMs: 0 },
  matrix_multiply: { share: 0.3, run: matrix_multiply, argument: 1, spentMs: 0 },
  sorting: { share: 0.2, run: sorting, argument: 1, spentMs: 0 },
  hashing: { share: 0.1, run: hashing, argument: 1, spentMs: 0 },
};
const totalMs = () => Object.values(tasks).reduce((sum, task) => sum + task.spentMs, 0);

function spend(task, ms) {
  const start = performance.now();
  let took = 0;
  while (took < ms) {
    task.run(task.argument);
    took = performance.now() - start;
  }
  return took;
}

function work() {
  const goal = totalMs() + ROUND_MS;
  for (const task of Object.values(tasks)) task.spentMs += spend(task, task.share * goal - task.spentMs);
}

function shares() {
  const whole = totalMs() || 1;
  return Object.fromEntries(Object.entries(tasks).map(([name, task]) => [name, task.spentMs / whole]));
}

function refusal(request) {
  const bearer = /^Bearer (.*)$/.exec(request.headers.authorization || '');
  const given = bearer ? bearer[1] : request.headers['x-api-key'];
  if (given === undefined) return 401;
  const digest = (secret) => createHash('sha256').update(secret).digest();
  return timingSafeEqual(digest(given), digest(process.env.TARGET_TOKEN || '')) ? 0 : 403;
}

function readBody(request) {
  return new Promise((resolve, reject) => {
    let body = '';
    request.on('error', reject);
    request.on('data', (chunk) => {
      body += chunk;
      if (body.length > MAX_BODY) reject(new Error(`body over ${MAX_BODY} bytes`));
    });
    request.on('end', () => resolve(body));
  });
}

let profiling = false;

// The session lives in the thread that it profiles; the event loop serves requests meanwhile.
async function cpuProfile(durationMs, intervalUs) {
  const session = new Session();
  const post = (method, params) => new Promise((resolve, reject) => {
    session.post(method, params, (error, result) => (error ? reject(error) : resolve(result)));
  });
  session.connect();
  try {
    await post('Profiler.enable');
    await post('Profiler.setSamplingInterval', { interval: intervalUs });
    await post('Profiler.start');
    await new Promise((resolve) => setTimeout(resolve, durationMs));
    return (await post('Profiler.stop')).profile;
  } finally {
    session.disconnect();
  }
}

async function answerProfile(request) {
  const status = refusal(request);
  if (status) return [status, { error: status === 401 ? 'a token is needed' : 'the token is wrong' }];
  let durationMs, intervalUs;
  try {
    ({ durationMs = 10000, intervalUs = 1000 } = JSON.parse((await readBody(request)) || '{}'));
  } catch (error) {
    return [400, { error: error.message }];
  }
  if (!(durationMs > 0 && durationMs <= MAX_DURATION_MS && intervalUs > 0)) {
    return [400, { error: `durationMs is 1 to ${MAX_DURATION_MS}, intervalUs positive` }];
  }
  if (profiling) return [409, { error: 'a profile is being taken' }];
  profiling = true;
  try {
    return [200, await cpuProfile(durationMs, intervalUs)];
  } finally {
    profiling = false;
  }
}

async function answer(request) {
  const name = request.url.split('?')[0].slice(1);
  if (request.method === 'POST' && name === 'admin/cpu-profile') return answerProfile(request);
  if (request.method !== 'GET') return [404, { error: 'not found' }];
  if (name === 'shares') return [200, shares()];
  if (name === 'work') work();
  else if (Object.hasOwn(tasks, name)) spend(tasks[name], ROUND_MS);
  else return [404, { error: 'not found' }];
  return [200, { done: name }];
}

const server = http.createServer((request, response) => {
  answer(request)
    .catch((error) => [500, { error: error.message }])
    .then(([status, body]) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    });
});

server.listen(Number(process.env.PORT || 0), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
  for (const [name, task] of Object.entries(tasks)) console.log(`share ${name} ${task.share}`);
});
