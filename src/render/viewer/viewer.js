// What happens when: mouse, keyboard, search, zoom, links. Starts last, when all files are there.

const CRUMBS = 6; // frames of the path that are shown, beside the root

class Viewer {
  constructor(root, profile, alone) {
    const { dataset } = root;
    this.alone = alone; // the picture is the document, so the address bar and Ctrl+F are its own
    this.view = VIEWS[dataset.view];
    this.unit = dataset.unit;
    this.settings = {
      steps: dataset.steps.split(' ').map(Number), shades: Number(dataset.shades),
      rootShade: Number(dataset.rootShade), variants: Number(dataset.variants), inverted: 'inverted' in dataset,
    };
    this.model = new Model(profile, Number(dataset.type), dataset.view === 'diff', dataset.widths,
      dataset.noise?.split(' ').map(Number));
    this.stage = new Stage(this.model, this.view, this.settings);
    this.page = makePage(root, {
      reset: () => this.zoom(0), flip: () => this.flip(), next: () => this.step(1), previous: () => this.step(-1),
    });
    this.page.app.append(this.stage.scroller, this.page.detail, this.page.tip, this.page.spoken);
    showPage(root, this.page, alone);
    this.listen();
    this.stage.readColours();
    this.restore();
    this.show(-1);
  }

  listen() {
    const { page, stage } = this, { scroller } = stage;
    page.search.addEventListener('input', () => this.search(page.search.value));
    page.find.addEventListener('submit', event => event.preventDefault());
    (this.alone ? document : page.app).addEventListener('keydown', event => this.key(event));
    scroller.addEventListener('pointermove', event => this.hover(event));
    scroller.addEventListener('pointerleave', () => this.hover(null));
    scroller.addEventListener('click', event => {
      const node = stage.at(event.clientX, event.clientY);
      if (node >= 0) this.zoom(node);
    });
    new ResizeObserver(() => {
      if (scroller.clientWidth === stage.size && scroller.clientHeight === stage.height) return;
      stage.layout();
      stage.draw();
    }).observe(scroller);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      stage.readColours();
      stage.draw();
    });
    if (!this.alone) return;
    addEventListener('popstate', () => this.restore());
    addEventListener('hashchange', () => this.restore());
  }

  // ---- zoom

  zoom(node, remember = true) {
    const { stage, model, page } = this;
    stage.current = -1;
    stage.zoom(node);
    page.reset.disabled = node === 0;
    const path = model.ancestors(node), tail = path.slice(Math.max(1, path.length - CRUMBS));
    const crumb = i => make('button', { type: 'button', onclick: () => this.zoom(i), title: model.name(i) }, model.name(i));
    page.crumbs.replaceChildren(crumb(0), ...(tail.length < path.length - 1 ? ['…'] : []), ...tail.map(crumb));
    this.show(node);
    this.hideTip();
    if (remember) this.remember('pushState');
  }

  flip() {
    this.stage.down = !this.stage.down;
    this.stage.zoom(this.stage.top);
    this.remember('replaceState');
  }

  // ---- what is said of a frame

  describe(node) {
    return this.model.name(node) + this.view.describe(this.model, node, this.unit);
  }

  /** The detail bar: the frame pointed at, else the current one, else the zoomed one. */
  show(node) {
    if (node < 0) node = this.stage.current >= 0 ? this.stage.current : this.stage.top;
    if (this.shown === node) return;
    this.shown = node;
    const frame = node ? this.model.frames[this.model.frame[node]] : { file: '', module: '', kind: 0 };
    const places = [placeText(frame), frame.module, frame.kind ? KINDS[frame.kind] : ''].filter(text => text);
    this.page.detail.replaceChildren(
      make('b', {}, this.model.name(node)), ...places.map(text => make('span', { class: 'fg-place' }, text)),
      ...this.view.details(this.model, node, this.unit).map(([label, text]) =>
        make('span', { class: 'fg-value' }, make('i', {}, `${label} `), text)));
  }

  hover(event) {
    const node = event ? this.stage.at(event.clientX, event.clientY) : -1;
    this.show(node);
    if (node < 0 || event.pointerType === 'touch') this.hideTip();
    else this.showTip(event, node);
    this.stage.scroller.style.cursor = node < 0 ? '' : 'pointer';
  }

  hideTip() {
    this.page.tip.style.display = 'none';
  }

  showTip(event, node) {
    const { tip, app } = this.page, box = app.getBoundingClientRect();
    tip.textContent = this.describe(node);
    tip.style.display = 'block';
    const x = Math.min(event.clientX - box.left + 12, box.width - tip.offsetWidth - 8);
    const y = event.clientY - box.top + 18, below = y + tip.offsetHeight < box.height;
    tip.style.transform = `translate(${Math.max(4, x)}px,${below ? y : y - tip.offsetHeight - 30}px)`;
  }

  // ---- search

  search(text, remember = true) {
    const { page, stage, model } = this;
    page.search.removeAttribute('aria-invalid');
    let found = null, said = '';
    if (text) {
      try {
        found = model.search(new RegExp(text, /[A-Z]/.test(text) ? '' : 'i'));
        said = `${grouped(found.nodes.length)} match${found.nodes.length === 1 ? '' : 'es'}, ` +
          this.view.matched(model, found.sums, this.unit);
      } catch (error) {
        page.search.setAttribute('aria-invalid', 'true');
        said = error.message.replace(/^Invalid regular expression: /, 'Not a regular expression: ');
      }
    }
    this.found = found;
    stage.hit = found && found.hit;
    page.matched.textContent = said;
    page.next.disabled = page.previous.disabled = !found || !found.nodes.length;
    stage.draw();
    if (remember) this.remember('replaceState');
  }

  /** To the next match, or the one before. */
  step(by) {
    const nodes = this.found ? this.found.nodes : [], { current } = this.stage;
    if (!nodes.length) return;
    let i = by > 0 ? nodes.findIndex(node => node > current) : nodes.findLastIndex(node => node < current);
    if (i < 0) i = by > 0 ? 0 : nodes.length - 1;
    this.select(nodes[i]);
  }

  // ---- the current frame

  /** Make a frame the current one; zoom out of the way what keeps it from being seen. */
  select(node) {
    const { stage, model } = this, enough = 20 / stage.size;
    const wide = top => model.contains(top, node) && model.width[node] >= enough * model.width[top];
    if (!wide(stage.top) && !stage.above.includes(node)) {
      let top = node;
      while (top && wide(model.parent[top])) top = model.parent[top];
      this.zoom(top);
    }
    stage.current = node;
    stage.reveal(model.depth[node]);
    stage.draw();
    this.show(node);
    this.page.spoken.textContent = this.describe(node);
  }

  walk(key) {
    const { stage, model } = this, from = stage.current;
    if (from < 0) return this.select(stage.top);
    const outwards = (key === 'ArrowDown') !== stage.down;
    if (key === 'ArrowLeft' || key === 'ArrowRight') this.select(model.sibling(from, key === 'ArrowRight' ? 1 : -1));
    else if (outwards) this.select(model.parent[from]);
    else if (model.widestChild(from) > 0) this.select(model.widestChild(from));
  }

  escape() {
    if (this.page.search.value) {
      this.page.search.value = '';
      this.search('');
    } else if (this.stage.top) this.zoom(0);
    else {
      this.stage.current = -1;
      this.stage.draw();
    }
    this.stage.scroller.focus();
  }

  key(event) {
    const { page, stage } = this, typing = event.target === page.search;
    const find = (event.ctrlKey || event.metaKey) && event.key === 'f';
    if (event.altKey || ((event.ctrlKey || event.metaKey) && !find) || (find && typing)) return;
    const focus = () => {
      page.search.focus();
      page.search.select();
    };
    const keys = typing ? { Enter: () => this.step(event.shiftKey ? -1 : 1), Escape: () => this.escape() } : {
      '/': focus, f: find && focus, Escape: () => this.escape(), n: () => this.step(1), N: () => this.step(-1),
      i: () => this.flip(), Enter: event.target.localName !== 'button' && stage.current >= 0 && (() => this.enter()),
      ArrowUp: () => this.walk(event.key), ArrowDown: () => this.walk(event.key),
      ArrowLeft: () => this.walk(event.key), ArrowRight: () => this.walk(event.key),
    };
    if (!Object.hasOwn(keys, event.key) || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  }

  /** Zoom into the current frame, which stays the current one. */
  enter() {
    const node = this.stage.current;
    this.zoom(node);
    this.select(node);
  }

  // ---- links

  remember(how) {
    if (!this.alone) return;
    const { stage, page, settings } = this, parts = [];
    if (stage.top) parts.push(`zoom=${this.model.link(stage.top)}`);
    if (page.search.value) parts.push(`search=${encodeURIComponent(page.search.value)}`);
    if (stage.down !== settings.inverted) parts.push('flip=1');
    const hash = `#${parts.join('&')}`;
    if (hash !== (location.hash || '#')) history[how](null, '', hash);
  }

  restore() {
    const hash = this.alone ? location.hash.slice(1) : '';
    const link = Object.fromEntries(hash.split('&').map(part => [part.split('=', 1)[0], part.slice(part.indexOf('=') + 1)]));
    this.page.search.value = decodeText(link.search ?? '');
    this.stage.down = this.settings.inverted !== (link.flip === '1');
    this.zoom(this.model.resolve(link.zoom ?? ''), false);
    this.search(this.page.search.value, false);
  }
}

/** Say quietly, under the title, why the static picture stays. */
function stay(root, why) {
  const line = document.createElementNS(SVG, 'text');
  for (const [name, value] of Object.entries({ class: 'fg-quiet', x: '100%', y: 14, dx: -10 })) line.setAttribute(name, value);
  line.textContent = `Static picture: ${why}`;
  root.append(line);
}

async function start(root) {
  if (typeof DecompressionStream === 'undefined') return stay(root, 'this browser is too old for the viewer');
  let profile;
  try {
    profile = await decode(root);
  } catch {
    return stay(root, 'the profile in it is damaged');
  }
  new Viewer(root, profile, document.documentElement === root);
}

start(document.currentScript.closest('svg'));
