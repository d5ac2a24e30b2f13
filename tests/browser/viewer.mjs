// The viewer, used as a person would.
import assert from 'node:assert/strict';
import { writeFileSync, readFileSync } from 'node:fs';
import { click, crumbs, labels, open, place, search, text } from './browser.mjs';
import { HOSTILE } from './profiles.mjs';

const HANDLE = 'handle /srv/app/server.js:41', RENDER = 'render /srv/app/render.js:12';

/** Run `use` on a page of the picture, which must stay without trouble. */
async function visit({ browser, dir }, name, options, use) {
  const page = await open(browser, `${dir}/${name}.svg`, options);
  await use(page);
  assert.deepEqual(page.trouble, []);
  await page.close();
}

export const tests = {
  async 'it says of each frame what the static picture says'(context) {
    for (const name of ['mixed', 'inverted', 'reversed', 'hotcold', 'diff', 'diff_of_runs', 'detailed']) {
      const still = await open(context.browser, `${context.dir}/${name}.svg`, { scripts: false });
      const titles = await still.$$eval('.fg-frames title', list => list.map(title => title.textContent.split('\n')[0]));
      const shades = await still.$$eval('.fg-frames g:has(> text)', list =>
        list.map(frame => [frame.querySelector('title').textContent.split('\n')[0], frame.querySelector('rect').getAttribute('class')]));
      await still.close();
      await visit(context, name, {}, async page => {
        const frames = await page.$$eval('.fg-frame', list => list.filter(frame => frame.style.display !== 'none').map(frame => {
          const box = frame.getBoundingClientRect();
          return [box.x + box.width / 2, box.y + box.height / 2, frame.className.match(/fg\d+/)[0]];
        }));
        assert.ok(frames.length > 2);
        for (const [x, y, shade] of frames) {
          await page.mouse.move(x, y);
          const tip = await text(page, '.fg-tip');
          assert.ok(titles.includes(tip), `${name}: "${tip}" is not in the static picture`);
          const same = shades.find(([title, classes]) => title === tip && classes.split(' ')[0] === shade);
          assert.ok(same || !shades.some(([title]) => title === tip), `${name}: ${tip} has another colour`);
        }
      });
    }
  },

  async 'search counts matches and their share, nested ones once, and clears'(context) {
    await visit(context, 'mixed', {}, async page => {
      assert.equal(await search(page, 'syscall|tcp_send|ep_poll'), '4 matches, 24.61 % (470 samples)');
      assert.equal(await page.$$eval('.fg-hit', list => list.filter(hit => hit.style.display !== 'none').length), 4);
      await page.keyboard.press('Escape');
      assert.equal(await text(page, '.fg-matched'), '');
      assert.equal(await page.$$eval('.fg-hit', list => list.length), 0);
      await page.keyboard.down('Control');
      await page.keyboard.press('f');
      await page.keyboard.up('Control');
      await page.keyboard.type('(unclosed');
      assert.match(await text(page, '.fg-matched'), /^Not a regular expression: /);
      assert.equal(await page.$eval('.fg-find input', input => input.getAttribute('aria-invalid')), 'true');
      await page.keyboard.press('Escape');
      assert.equal(await search(page, 'HANDLE'), '0 matches, 0.00 % (0 samples)', 'an upper-case letter minds the case');
    });
  },

  async 'n and N walk the matches'(context) {
    await visit(context, 'mixed', {}, async page => {
      await search(page, 'do_syscall');
      await page.keyboard.press('Enter');
      const first = await text(page, '.fg-spoken');
      await page.$eval('.fg-find input', input => input.blur());
      await page.keyboard.press('n');
      const second = await text(page, '.fg-spoken');
      await page.keyboard.press('N');
      assert.match(first, /^do_syscall_64 \(210 samples/);
      assert.match(second, /^do_syscall_64 \(260 samples/);
      assert.equal(await text(page, '.fg-spoken'), first);
    });
  },

  async 'a click zooms, crumbs and Escape go back, so does the browser'(context) {
    await visit(context, 'mixed', {}, async page => {
      const [, , before] = [await page.evaluate(() => history.length), 0, await labels(page)];
      await click(page, HANDLE);
      const shown = await labels(page);
      assert.ok(shown.includes(RENDER) && !shown.includes('collector'));
      assert.equal((await crumbs(page)).at(-1), HANDLE);
      await click(page, RENDER);
      assert.equal((await crumbs(page)).at(-1), RENDER);
      await page.goBack();
      assert.equal((await crumbs(page)).at(-1), HANDLE);
      await page.evaluate(() => document.querySelectorAll('.fg-crumbs button')[1].click());
      assert.equal((await crumbs(page)).at(-1), 'server');
      await page.keyboard.press('Escape');
      assert.deepEqual(await crumbs(page), ['all']);
      assert.deepEqual(await labels(page), before);
    });
  },

  async 'a link leads to the same zoom and search'(context) {
    for (const name of ['mixed', 'hostile']) {
      let hash, path, matched;
      await visit(context, name, {}, async page => {
        const frames = await labels(page);
        await click(page, name === 'mixed' ? HANDLE : frames.find(label => label === HOSTILE[9]));
        matched = await search(page, 'r;|[a-e]%?');
        path = await crumbs(page);
        hash = await page.evaluate(() => location.hash.slice(1));
        assert.match(hash, /^zoom=.*&search=/);
      });
      await visit(context, name, { hash }, async page => {
        assert.deepEqual(await crumbs(page), path);
        assert.equal(await text(page, '.fg-matched'), matched);
        assert.equal(await page.evaluate(() => location.hash.slice(1)), hash);
      });
    }
    for (const hash of ['zoom=nowhere;at;all&search=%', 'zoom=@99999999', 'zoom=@-5', 'zoom=@x&flip=1', '=&&=', 'search=%E0%A4%A'])
      await visit(context, 'mixed', { hash }, async page => assert.ok((await labels(page)).length > 0));
  },

  async 'the keyboard walks, zooms and flips'(context) {
    await visit(context, 'mixed', {}, async page => {
      const walked = async (...keys) => {
        for (const key of keys) await page.keyboard.press(key);
        return (await text(page, '.fg-spoken')).replace(/ \([\d,]+ samples.*/, '');
      };
      assert.equal(await walked('ArrowUp'), 'all');
      assert.equal(await walked('ArrowUp'), 'server', 'up leads to the widest child');
      assert.equal(await walked('ArrowLeft'), 'python3');
      assert.equal(await walked('ArrowRight', 'ArrowRight'), 'server');
      assert.equal(await walked('ArrowUp', 'ArrowUp', 'ArrowDown'), 'node::Start(int, char**)');
      await page.keyboard.press('Enter');
      assert.equal((await crumbs(page)).at(-1), 'node::Start(int, char**)');
      const above = (await place(page, 'server'))[1] > (await place(page, 'uv_run'))[1];
      await page.keyboard.press('i');
      const below = (await place(page, 'server'))[1] < (await place(page, 'uv_run'))[1];
      assert.ok(above && below, 'i turns the picture over');
      assert.match(await page.evaluate(() => location.hash), /flip=1/);
      assert.equal(await walked('ArrowDown'), 'uv_run', 'with the root at the top, down leads to callees');
    });
  },

  async 'what the static drawing had pruned can be found and zoomed into'(context) {
    const still = await open(context.browser, `${context.dir}/deep.svg`, { scripts: false });
    const titles = await still.$$eval('.fg-frames title', list => list.map(title => title.textContent));
    assert.ok(!titles.some(title => title.startsWith('needle')) && !titles.some(title => title.startsWith('level_4999')));
    await still.close();
    await visit(context, 'deep', {}, async page => {
      assert.equal(await search(page, '^needle$'), '1 match, 0.00 % (1 sample)');
      await page.keyboard.press('Enter');
      assert.ok((await labels(page)).includes('needle'));
      await page.keyboard.press('Escape');
      await page.keyboard.press('Escape');
      await search(page, '^level_4999$');
      await page.keyboard.press('Enter');
      assert.ok((await labels(page)).includes('level_4999'));
      await page.$eval('.fg-find input', input => input.blur());
      await page.keyboard.press('Enter');
      assert.match(await page.evaluate(() => location.hash), /zoom=@\d+/, 'a path too long for a link is a number');
    });
  },

  async 'the detail bar has place, module, kind, self and total, of both sides of a diff'(context) {
    await visit(context, 'detailed', {}, async page => {
      await page.mouse.move(...await place(page, 'parse'));
      assert.equal(await text(page, '.fg-detail'),
        'parse/srv/app/parse.rs:230/usr/bin/appRusttotal 12.3 s, 94.62 %self 12.3 s, 94.62 %');
    });
    await visit(context, 'diff', {}, async page => {
      await page.mouse.move(...await place(page, 'escape /srv/app/render.js:88'));
      assert.equal(await text(page, '.fg-tip'), 'escape /srv/app/render.js:88: 310 samples → 620 samples, +100 % ± 28 % (+11.9 pp)');
      assert.match(await text(page, '.fg-detail'), /total 310 samples → 620 samples,.*self 310 samples → 620 samples, /);
      assert.match(await search(page, 'cache'), /^2 matches, 0 samples → 190 samples, new \(\+8\.6 pp\)/);
      const marks = (await labels(page)).filter(label => /^[+−] /.test(label)).map(label => label.split('.js')[0]);
      assert.deepEqual(marks.sort(), ['+ cache /srv/app/cache', '+ get /srv/app/cache', '− decode /srv/app/db']);
    });
  },

  async 'hostile names are text, in frames, crumbs, tooltip, detail bar, links and search'(context) {
    await visit(context, 'hostile', {}, async page => {
      const shown = await labels(page);
      for (const name of HOSTILE) assert.ok(shown.includes(name), name);
      for (const name of HOSTILE.slice(1)) {
        await click(page, name);
        assert.equal((await crumbs(page)).at(-1), name);
        assert.ok((await text(page, '.fg-detail')).startsWith(name));
        await page.keyboard.press('Escape');
      }
      assert.equal(await page.title(), '</title><script>alert(6)</script>');
      assert.equal(await page.$$eval('.fg-app script, .fg-app img, .fg-app a', list => list.length), 0);
      assert.match(await text(page, '.fg-detail'), /<b>ticks<\/b>/);
    });
  },

  async 'only labelled frames that can be seen are elements'(context) {
    for (const name of ['big', 'deep']) await visit(context, name, {}, async page => {
      const count = await page.evaluate(() => document.querySelectorAll('*').length);
      assert.ok(count < 3000, `${name}: ${count} elements`);
    });
  },

  async 'it fits into a narrow window'(context) {
    for (const name of ['mixed', 'narrow', 'diff']) await visit(context, name, { width: 340, height: 560 }, async page => {
      const outside = await page.$$eval('.fg-app button, .fg-app input, .fg-head, .fg-detail, .fg-stage', list =>
        list.map(element => element.getBoundingClientRect()).filter(box => box.right > 340.5 || box.bottom > 560.5 || box.left < 0).length);
      assert.equal(outside, 0, name);
      assert.ok(await page.$eval('.fg-stage', stage => stage.clientHeight) > 100, `${name}: little is left for the frames`);
    });
  },

  async 'the window can change its size and its colours'(context) {
    await visit(context, 'mixed', {}, async page => {
      const light = await page.$eval('.fg-frame', frame => getComputedStyle(frame).backgroundColor);
      await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }]);
      assert.notEqual(await page.$eval('.fg-frame', frame => getComputedStyle(frame).backgroundColor), light);
      await page.setViewport({ width: 700, height: 500 });
      await page.waitForFunction(() => [...document.querySelectorAll('.fg-frame')].every(frame =>
        frame.style.display === 'none' || frame.getBoundingClientRect().right <= 700));
    });
  },

  async 'in a document it keeps to its box, and leaves the address and Ctrl+F alone'({ browser, dir }) {
    const svg = readFileSync(`${dir}/mixed.svg`, 'utf8').replace(/^<\?xml.*\n/, '');
    writeFileSync(`${dir}/inline.html`, `<!doctype html><meta charset="utf-8"><title>x</title><p>before</p>${svg}<p>after</p>`);
    const page = await open(browser, `${dir}/inline.html`);
    const box = await page.$eval('.fg-app', app => app.getBoundingClientRect().toJSON());
    assert.ok(box.y > 20 && box.width === 1200, JSON.stringify(box));
    await click(page, HANDLE);
    assert.equal((await crumbs(page)).at(-1), HANDLE);
    assert.equal(await page.evaluate(() => location.hash), '');
    await page.evaluate(() => document.activeElement.blur());
    await page.keyboard.press('/');
    assert.notEqual(await page.evaluate(() => document.activeElement.localName), 'input');
    assert.deepEqual(page.trouble, []);
    await page.close();
  },
};
