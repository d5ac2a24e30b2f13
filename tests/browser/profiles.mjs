// Folded profiles for the pictures' tests, the same on every machine.

/** Numbers that look random and are not (mulberry32). */
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const WORDS = ['parse', 'commit', 'buffer', 'lookup', 'worker', 'stream', 'encode', 'digest', 'query', 'merge', 'page', 'alloc'];

/**
 * Some 104,000 frames, each wide enough for any tool to draw: 3,000 stacks that share 8 to 12 outer frames and are 45
 * deep. This is the size at which pictures with an element for each frame become unusable.
 */
export function big() {
  const next = random(7), pick = list => list[Math.floor(next() * list.length)], lines = [];
  const name = i => `app::${pick(WORDS)}::${pick(WORDS)}_${pick(WORDS)}::{impl#${i}}::run`;
  const names = Array.from({ length: 5000 }, (_, i) => name(i));
  for (let stack = 0; stack < 3000; stack++) {
    const frames = [];
    for (let depth = 0; depth < 12; depth++) frames.push(names[(stack >> (11 - depth)) + depth * 97]);
    const depth = 45 + Math.floor(next() * 4) - 2;
    while (frames.length < depth) frames.push(pick(names));
    lines.push(`${frames.join(';')} ${900 + Math.floor(next() * 200)}`);
  }
  return lines.join('\n');
}

const SERVER = [
  'node::Start(int, char**);uv_run;processTicksAndRejections node:internal/process/task_queues:95;handle /srv/app/server.js:41',
  'node::Start(int, char**);uv_run;uv__io_poll;epoll_wait;do_syscall_64_[k];ep_poll_[k]',
];
const LEAVES = [
  ['render /srv/app/render.js:12;escape /srv/app/render.js:88', 310],
  ['render /srv/app/render.js:12;v8::internal::Builtin_StringReplace(v8::internal::Isolate*)', 120],
  ['query /srv/app/db.js:9;send /srv/app/db.js:30;node::StreamBase::Write(v8::Local<v8::Object>);writev;do_syscall_64_[k];tcp_sendmsg_[k]', 210],
  ['query /srv/app/db.js:9;decode /srv/app/db.js:77', 95],
  ['authorize /srv/app/auth.js:5;serde_json::de::from_slice;<serde_json::read::SliceRead as serde_json::read::Read>::parse_str', 180],
  ['authorize /srv/app/auth.js:5;ring::digest::Context::update_[i]', 140],
  ['log /srv/app/log.js:3;[unknown]', 40],
];
const SCRIPTS = [
  ['python3;main (/srv/job/report.py:120);load (/srv/job/report.py:14);read_csv (pandas/io/parsers.py:912);_PyEval_EvalFrameDefault', 170],
  ['python3;main (/srv/job/report.py:120);summarize (/srv/job/report.py:66)', 150],
  ['collector;runtime.main;main.main;net/http.(*conn).serve;encoding/json.(*encodeState).marshal', 130],
  ['collector;runtime.main;main.main;net/http.(*conn).serve;runtime.mallocgc', 60],
  ['collector;runtime.mcall;runtime.gcBgMarkWorker', 45],
];

/** A service of several runtimes, as a person would profile it. `change` makes it the one after a change. */
export function mixed(change = false) {
  const lines = LEAVES.map(([leaf, value], i) => `server;${SERVER[0]};${leaf} ${change && i === 0 ? value * 2 : value}`);
  lines.push(`server;${SERVER[1]} ${change ? 150 : 260}`, ...SCRIPTS.map(([stack, value]) => `${stack} ${value}`));
  if (change) {
    lines.splice(3, 1);
    lines.push(`server;${SERVER[0]};cache /srv/app/cache.js:8;get /srv/app/cache.js:20 190`);
  }
  return lines.join('\n');
}

/** One stack of 5,000 frames, far deeper than any picture can be high, and a frame of one in ten million. */
export function deep() {
  const frames = Array.from({ length: 5000 }, (_, i) => `level_${i}`);
  return `${frames.join(';')} 10000000\nlevel_0;needle 1`;
}

/** Names that try to be markup, a script, a URL or a regular expression's trouble. */
export const HOSTILE = ['</title><script>alert(1)</script>', ']]><script>alert(2)</script>', '<img src=x onerror=alert(3)>',
  '"\' onload="alert(4)', '&lt&gt&#60&amp', 'javascript:alert(5)', '[unclosed (group', '${7*7}{{7*7}}', 'タスク実行🔥関数', '%3Cscript%3E'];

export function hostile() {
  return HOSTILE.map((name, i) => `${HOSTILE[0]};${name};leaf ${10 + i}`).join('\n');
}
