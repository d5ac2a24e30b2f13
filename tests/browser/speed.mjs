// How large and how fast the picture of 104,000 frames is. The figures are printed; each has a bound.
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { open } from './browser.mjs';

const ZOOMS = 8;

/** Times of zooming in and out by turns, from the click to the painted frame, in ms. */
const zoomTimes = page => page.evaluate(async count => {
  const painted = () => new Promise(done => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = done;
    channel.port2.postMessage(0);
  }));
  const times = [];
  for (let i = 0; i < count; i++) {
    const frames = [...document.querySelectorAll('.fg-frame')].filter(frame => frame.style.display !== 'none');
    const box = frames[3].getBoundingClientRect();
    const target = i % 2 ? document.querySelector('.fg-crumbs button') : document.querySelector('.fg-stage');
    await painted();
    const start = performance.now();
    target.dispatchEvent(new MouseEvent('click', { clientX: box.x + box.width / 2, clientY: box.y + 5, bubbles: true }));
    await painted();
    times.push(performance.now() - start);
  }
  return times;
}, ZOOMS);

/** Times of searching for something that thousands of frames match, drawing included, in ms. */
const searchTimes = page => page.evaluate(() => ['parse.*run', 'query|page', '_alloc'].map(pattern => {
  const input = document.querySelector('.fg-find input'), start = performance.now();
  input.value = pattern;
  input.dispatchEvent(new Event('input'));
  return performance.now() - start;
}));

const best = list => Math.min(...list);
const middle = list => [...list].sort((a, b) => a - b)[list.length >> 1];
const shown = list => `${best(list).toFixed(0)}–${middle(list).toFixed(0)} ms`;

export const tests = {
  async 'the picture of 104,000 frames is small, opens at once and zooms at once'({ browser, dir }) {
    const path = `${dir}/big.svg`, megabytes = statSync(path).size / 1e6, opened = [], zooms = [], searches = [];
    for (let i = 0; i < 3; i++) {
      const start = Date.now(), page = await open(browser, path);
      opened.push(Date.now() - start);
      zooms.push(...await zoomTimes(page));
      searches.push(...await searchTimes(page));
      await page.close();
    }
    console.log(`# 104,000 frames, best and median: ${megabytes.toFixed(2)} MB, open ${shown(opened)}, ` +
      `zoom ${shown(zooms)}, search ${shown(searches)}`);
    // What else runs on the machine only adds to a time, so the bounds are for the best ones.
    assert.ok(megabytes <= 3, 'at most 3 MB');
    assert.ok(best(opened) <= 1000, 'open within 1 s');
    assert.ok(best(zooms) <= 50, 'zoom within 50 ms');
    assert.ok(best(searches) <= 50, 'search within 50 ms');
  },
};
