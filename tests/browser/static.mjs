// The picture where no script runs.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { open } from './browser.mjs';
import { HOSTILE } from './profiles.mjs';

const PICTURES = ['mixed', 'inverted', 'reversed', 'hash', 'hotcold', 'hotcold_safe', 'narrow', 'diff', 'diff_safe',
  'hostile', 'deep', 'big', 'detailed'];

/** WCAG contrast of each frame's label with its box, the lowest of them. */
const lowestContrast = page => page.evaluate(() => {
  const light = colour => {
    const [r, g, b] = colour.match(/[\d.]+/g).map(x => x / 255).map(x => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  const fill = element => getComputedStyle(element).fill, paper = fill(document.querySelector('.fg-paper'));
  const labels = [...document.querySelectorAll('.fg-frames text')].map(label =>
    contrast(fill(label), fill(label.parentNode.querySelector('rect'))));
  const captions = [...document.querySelectorAll('.fg-title text, .fg-subtitle text, .fg-warning text, .fg-legend text')]
    .map(line => contrast(fill(line), paper));
  return Math.min(...labels, ...captions);
});

export const tests = {
  async 'every picture is well-formed and quiet, with scripts and without'({ browser, dir }) {
    for (const name of PICTURES) for (const scripts of [false, true]) {
      const page = await open(browser, `${dir}/${name}.svg`, { scripts });
      assert.equal(await page.evaluate(() => document.querySelector('parsererror')), null, name);
      assert.deepEqual(page.trouble, [], name);
      await page.close();
    }
  },

  async 'frames have tooltips, and labels that stay inside of them'({ browser, dir }) {
    for (const name of ['mixed', 'diff', 'hostile']) {
      const page = await open(browser, `${dir}/${name}.svg`, { scripts: false });
      const frames = await page.$$eval('.fg-frames g:has(> rect)', list => list.map(frame => {
        const rect = frame.querySelector('rect').getBBox(), label = frame.querySelector('text');
        return { title: frame.querySelector('title').textContent, from: rect.x, to: rect.x + rect.width,
          label: label && { from: label.getBBox().x, to: label.getBBox().x + label.getBBox().width } };
      }));
      assert.ok(frames.length > 10 && frames.some(frame => frame.label));
      for (const { title, from, to, label } of frames) {
        assert.match(title, / \(.*\d (ticks|samples|<b>ticks<\/b>).*\)$|: .* → .* pp(, within noise)?\)$/);
        if (label) assert.ok(label.from >= from && label.to <= to + 0.5, `${title}: ${label.to} > ${to}`);
      }
      await page.close();
    }
  },

  async 'text is readable on every colour, light and dark'({ browser, dir }) {
    for (const name of ['mixed', 'hash', 'hotcold', 'hotcold_safe', 'diff', 'diff_safe']) for (const dark of [false, true]) {
      const page = await open(browser, `${dir}/${name}.svg`, { scripts: false, dark });
      const contrast = await lowestContrast(page);
      assert.ok(contrast >= 4.5, `${name}, ${dark ? 'dark' : 'light'}: contrast ${contrast.toFixed(2)}`);
      await page.close();
    }
  },

  async 'captions wrap and say how the profile was taken'({ browser, dir }) {
    const narrow = await open(browser, `${dir}/narrow.svg`, { scripts: false });
    const right = await narrow.$$eval('.fg-picture > g:not(.fg-frames) text', list =>
      list.map(line => line.getBBox().x + line.getBBox().width));
    assert.ok(right.length > 6 && Math.max(...right) <= 300, `a line ends at ${Math.max(...right)} of 300`);
    await narrow.close();
    const detailed = await open(browser, `${dir}/detailed.svg`, { scripts: false });
    const said = await detailed.$$eval('.fg-subtitle text, .fg-warning text', list => list.map(line => line.textContent).join(' '));
    for (const part of ['cpu in nanoseconds: 13.0 s', 'collected by test, engine builtin', 'target app', 'over 30.0 s',
      '40 samples', '17 lost', '0.0 % unknown', 'only 40 samples', '30 % of the samples were lost'])
      assert.ok(said.includes(part), `"${part}" is missing in: ${said}`);
    await detailed.close();
  },

  async 'a picture that is too deep says so and stays a picture'({ browser, dir }) {
    const page = await open(browser, `${dir}/deep.svg`, { scripts: false });
    const height = await page.$eval('svg', svg => svg.height.baseVal.value);
    assert.ok(height < 32767, `${height} px high`);
    assert.match(await page.$eval('.fg-static', note => note.textContent), /\d+ rows that lie deeper are not drawn/);
    await page.close();
  },

  async 'names stay text'({ browser, dir }) {
    const page = await open(browser, `${dir}/hostile.svg`, { scripts: false });
    const titles = await page.$$eval('.fg-frames title', list => list.map(title => title.textContent));
    for (const name of HOSTILE) assert.ok(titles.some(title => title.startsWith(`${name} (`)), name);
    assert.equal(await page.$$eval('script', list => list.length), 1);
    assert.equal(await page.$$eval('img, a, iframe, [onload], [onerror]', list => list.length), 0);
    await page.close();
  },

  async 'it shows as an image, where scripts never run'({ browser, dir }) {
    writeFileSync(`${dir}/image.html`, '<!doctype html><title>x</title><img src="mixed.svg">');
    const page = await browser.newPage();
    await page.goto(`file://${dir}/image.html`);
    const [width, height] = await page.$eval('img', img => [img.naturalWidth, img.naturalHeight]);
    assert.ok(width === 1200 && height > 200, `${width} × ${height}`);
    await page.close();
  },

  async 'without DecompressionStream, or with a damaged profile, the static picture stays and says why'({ browser, dir }) {
    const before = () => { delete globalThis.DecompressionStream; };
    const old = await open(browser, `${dir}/mixed.svg`, { before, ready: false });
    assert.match(await old.$eval('.fg-quiet', line => line.textContent), /Static picture: this browser is too old/);
    assert.ok(await old.$('.fg-frames rect') && !await old.$('.fg-app'));
    await old.close();
    const whole = readFileSync(`${dir}/mixed.svg`, 'utf8');
    writeFileSync(`${dir}/damaged.svg`, whole.replace(/(flame-graph-profile">.{200}).{40}/, '$1'));
    const damaged = await open(browser, `${dir}/damaged.svg`, { ready: false });
    await damaged.waitForSelector('.fg-quiet');
    assert.ok(await damaged.$('.fg-frames rect'));
    assert.deepEqual(damaged.trouble, []);
    await damaged.close();
  },
};
