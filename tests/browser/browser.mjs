// Pictures opened in Chromium, each page watched for what must not happen.
import { execFileSync } from 'node:child_process';
import { accessSync } from 'node:fs';
import puppeteer from 'puppeteer-core';

function findChromium() {
  const names = process.env.FG_CHROMIUM ? [process.env.FG_CHROMIUM] : ['/usr/bin/chromium', '/usr/bin/chromium-browser'];
  for (const name of names) {
    try {
      accessSync(name);
      return name;
    } catch { /* try the next one */ }
  }
  throw new Error(`no Chromium at ${names.join(' or ')}: apt-get install chromium`);
}

export async function launch() {
  const args = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'];
  return puppeteer.launch({ executablePath: findChromium(), args, headless: true });
}

/** Draw all pictures into `dir`. */
export function draw(dir, build) {
  execFileSync(`${build}/flame-graph`, ['run', new URL('pictures.lua', import.meta.url).pathname, '--quiet', '--dir', dir],
    { stdio: 'inherit' });
}

/**
 * Open a file: { scripts, dark, width, height, hash, before }. page.trouble lists console errors, exceptions, dialogs and
 * requests for anything but the file itself.
 */
export async function open(browser, path, options = {}) {
  const page = await browser.newPage(), url = `file://${path}`;
  page.trouble = [];
  page.on('pageerror', error => page.trouble.push(`exception: ${error.message}`));
  page.on('console', message => {
    if (message.type() === 'error') page.trouble.push(`console: ${message.text()}`);
  });
  page.on('dialog', dialog => {
    page.trouble.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on('request', request => {
    if (!/^(data|blob):/.test(request.url()) && request.url().split('#')[0] !== url)
      page.trouble.push(`request: ${request.url()}`);
  });
  await page.setViewport({ width: options.width ?? 1200, height: options.height ?? 800 });
  await page.setJavaScriptEnabled(options.scripts ?? true);
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: options.dark ? 'dark' : 'light' }]);
  if (options.before) await page.evaluateOnNewDocument(options.before);
  await page.goto(options.hash ? `${url}#${options.hash}` : url);
  if (options.ready !== false && options.scripts !== false) await page.waitForSelector('.fg-frame');
  return page;
}

// ---- what a person sees of the viewer

export const text = (page, selector) => page.$eval(selector, element => element.textContent);

/** Names of the frames that have a label, from left to right, row by row. */
export const labels = page => page.$$eval('.fg-frame', list =>
  list.filter(frame => frame.style.display !== 'none').map(frame => frame.textContent));

/** The middle of the labelled frame with this text. */
export async function place(page, label) {
  const box = await page.$$eval('.fg-frame', (list, wanted) => {
    const found = list.find(frame => frame.style.display !== 'none' && frame.textContent === wanted);
    return found && found.getBoundingClientRect().toJSON();
  }, label);
  if (!box) throw new Error(`no frame is labelled ${label}`);
  return [box.x + box.width / 2, box.y + box.height / 2];
}

export async function click(page, label) {
  await page.mouse.click(...await place(page, label));
}

export async function crumbs(page) {
  return page.$$eval('.fg-crumbs button', list => list.map(crumb => crumb.textContent));
}

export async function search(page, pattern) {
  await page.keyboard.press('/');
  await page.keyboard.type(pattern);
  return text(page, '.fg-matched');
}
