// Draws the pictures and looks at them in Chromium: node run.mjs [PART OF A TEST'S NAME]
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as profiles from './profiles.mjs';

const FOLDED = { mixed: profiles.mixed(), changed: profiles.mixed(true), hostile: profiles.hostile(), deep: profiles.deep(),
  big: profiles.big() };
const SUITES = ['static', 'viewer', 'speed'];

async function load(name) {
  try {
    return await import(name);
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new Error(`${error.message}: npm ci --prefix tests/browser`);
  }
}

async function main(wanted) {
  let passed = 0, failed = 0, browser;
  const build = resolve(process.env.FG_BUILD ?? fileURLToPath(new URL('../../build', import.meta.url)));
  const dir = mkdtempSync(join(tmpdir(), 'flame-graph-browser-'));
  const check = async (name, run) => {
    try {
      await run();
      passed++;
      console.log(`ok - ${name}`);
    } catch (error) {
      failed++;
      console.log(`not ok - ${name}\n    ${String(error.stack).replaceAll('\n', '\n    ')}`);
    }
  };
  await check('pictures are drawn and a browser starts', async () => {
    const { draw, launch } = await load('./browser.mjs');
    for (const [name, text] of Object.entries(FOLDED)) writeFileSync(join(dir, `${name}.folded`), text);
    draw(dir, build);
    browser = await launch();
  });
  for (const suite of browser ? SUITES : []) {
    const { tests } = await load(`./${suite}.mjs`);
    for (const [name, run] of Object.entries(tests))
      if (name.includes(wanted)) await check(`${suite}: ${name}`, () => run({ browser, dir }));
  }
  await browser?.close();
  rmSync(dir, { recursive: true });
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed ? 1 : 0;
}

await main(process.argv[2] ?? '');
