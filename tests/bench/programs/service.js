// A service with fixed work under load: it answers as many requests as it is told, sent by itself over loopback, and
// then ends. `node --cpu-prof --cpu-prof-interval 1000 service.js 150` leaves its profile.
const http = require('http');

const kinds = {
  parse: (n) => { let s = 0; for (let i = 0; i < n; i++) s += JSON.parse(`{"a":[${i},2,3]}`).a[0]; return s; },
  sort: (n) => Array.from({ length: n }, (_, i) => (i * 7919) % 10007).sort((a, b) => a - b)[0],
  join: (n) => { let s = ''; for (let i = 0; i < n; i++) s = (s + i).slice(-200); return s.length; },
  table: (n) => { const m = new Map(); for (let i = 0; i < n; i++) m.set('k' + (i % 997), i); return m.size; },
  match: (n) => { let k = 0; for (let i = 0; i < n; i++) k += /a+b?c/.test('xxaaac' + i); return k; },
  sums: (n) => { let x = 0; for (let i = 0; i < 40 * n; i++) x = (x * 31 + i) | 0; return x; },
};

const server = http.createServer((request, response) => {
  const sums = Object.keys(kinds).map((name, i) => kinds[name](900 * (i + 1)));
  response.end(String(sums));
});

async function load(port, requests) {
  const agent = new http.Agent({ keepAlive: true });
  for (let i = 0; i < requests; i++) {
    await new Promise((done, failed) => {
      http.get({ port, agent }, (answer) => { answer.resume().on('end', done); }).on('error', failed);
    });
  }
  agent.destroy();
  server.close();
}

server.listen(0, '127.0.0.1', () => load(server.address().port, Number(process.argv[2] || 150)));
