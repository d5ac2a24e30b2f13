// The frames. Those that are wide enough for a label are elements, from a pool and only where they can be seen; the
// others are painted on a canvas below. Which frame is at a point is computed, so both kinds behave alike.

const LABEL = 28; // px from which a frame has a label
const SLIVER = 0.1; // px below which a frame is not drawn; zooming shows it

class Stage {
  constructor(model, view, settings) {
    Object.assign(this, { model, view, settings, top: 0, current: -1, hit: null, down: settings.inverted });
    this.row = matchMedia('(pointer: coarse)').matches ? 26 : 17;
    this.canvas = make('canvas', { 'aria-hidden': 'true' });
    this.labels = make('div', { class: 'fg-labels' });
    this.marker = make('div', { class: 'fg-marker', hidden: '' });
    this.window = make('div', { class: 'fg-window' }, this.canvas, this.labels, this.marker);
    this.space = make('div', { class: 'fg-space' }, this.window);
    this.scroller = make('main', {
      class: 'fg-stage', tabindex: '0', role: 'group',
      'aria-label': 'Frames. Arrow keys walk, Enter zooms, Escape resets, slash searches',
    }, this.space);
    this.pool = [];
    this.paint = this.canvas.getContext('2d');
    this.run = { shade: 0, x: 0, to: 0, y: 0 }; // slivers that wait to be painted
    this.scroller.addEventListener('scroll', () => this.later());
  }

  later() {
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = undefined;
      this.draw();
    });
  }

  /** Colours are the style sheet's; a canvas needs to be told. */
  readColours() {
    const probe = make('i', { class: 'fg-probe' });
    this.scroller.append(probe);
    const colour = name => {
      probe.className = name;
      return getComputedStyle(probe).backgroundColor;
    };
    this.colours = Array.from({ length: this.settings.shades }, (_, i) => colour(`fg-probe fg${i}`));
    this.hitColour = colour('fg-probe fg-hit');
    this.ink = getComputedStyle(this.scroller).color;
    probe.remove();
  }

  /** Choose the frames for this zoom and width. */
  layout() {
    const { model, scroller } = this;
    this.size = scroller.clientWidth;
    this.height = scroller.clientHeight;
    this.scale = this.size / model.width[this.top];
    this.above = model.ancestors(this.top).slice(0, -1);
    this.rows = this.above.map(node => [node]).concat(model.rows(this.top, SLIVER / this.scale));
    this.full = Math.max(this.rows.length * this.row, 1);
    this.space.style.height = `${this.full}px`;
    this.window.style.height = `${this.height}px`;
    const ratio = devicePixelRatio || 1;
    this.canvas.width = Math.round(this.size * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    this.ratio = ratio;
  }

  /** Where the row is, from the top of all rows. */
  rowTop(depth) {
    return this.down ? depth * this.row : this.full - (depth + 1) * this.row;
  }

  /** Where a node starts and how wide it is, in px. What is above the zoomed frame takes all of the row. */
  left(node) {
    return node < this.top ? 0 : (this.model.start[node] - this.model.start[this.top]) * this.scale;
  }

  span(node) {
    return node < this.top ? this.size : this.model.width[node] * this.scale;
  }

  at(clientX, clientY) {
    const box = this.space.getBoundingClientRect();
    const y = clientY - box.top, from = Math.floor(y / this.row);
    const depth = this.down ? from : this.rows.length - 1 - from;
    if (depth < 0 || depth >= this.rows.length || clientX < box.left || clientX >= box.left + this.size) return -1;
    if (depth < this.above.length) return this.above[depth];
    return this.model.find(this.model.start[this.top] + (clientX - box.left) / this.scale, depth);
  }

  draw() {
    const { paint } = this, scrolled = this.scroller.scrollTop;
    paint.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    paint.clearRect(0, 0, this.size, this.height);
    this.used = 0;
    for (let depth = 0; depth < this.rows.length; depth++) {
      const y = this.rowTop(depth) - scrolled;
      if (y <= -this.row || y >= this.height) continue;
      for (const node of this.rows[depth]) {
        const width = this.span(node);
        if (width >= LABEL) this.label(node, this.left(node), y, width);
        else this.sliver(node, this.left(node), y, width);
      }
    }
    this.flush();
    for (let i = this.used; i < this.pool.length && this.pool[i].node >= 0; i++) {
      this.pool[i].node = -1;
      this.pool[i].element.style.display = 'none';
    }
    this.mark();
  }

  /** Slivers of one colour that touch are one: painted singly, their soft edges would add up to a lighter colour. */
  sliver(node, x, y, width) {
    const { model, run } = this, { variants } = this.settings;
    let shade = this.view.shade(model, node, this.settings);
    if (width < 1 && variants) shade += (variants >> 1) - shade % variants;
    if (this.hit && this.hit[model.frame[node]] && node) shade = -1;
    if (run.shade === shade && run.y === y && width < 1 && x - run.to < 0.1) {
      run.to = x + width;
      return;
    }
    this.flush();
    Object.assign(run, { shade, x, y, to: width > 2 ? x + width - 0.6 : x + width });
    if (width > 4 && model.mark(node)) {
      this.flush();
      this.outline(x, y, width);
    }
  }

  /** A frame that only one side of a diff has. */
  outline(x, y, width) {
    this.paint.strokeStyle = this.ink;
    this.paint.setLineDash([3, 2]);
    this.paint.strokeRect(x + 0.5, y + 0.5, width - 1.6, this.row - 2);
  }

  flush() {
    const { run, paint } = this;
    if (run.to <= run.x) return;
    paint.fillStyle = run.shade < 0 ? this.hitColour : this.colours[run.shade];
    paint.fillRect(run.x, run.y, run.to - run.x, this.row - 1);
    run.to = run.x;
  }

  label(node, x, y, width) {
    let slot = this.pool[this.used];
    if (!slot) {
      const text = document.createTextNode(''), element = make('div', {}, text);
      slot = this.pool[this.used] = { element, text, node: -1 };
      this.labels.append(element);
    }
    this.used++;
    const { element, text } = slot, model = this.model, mark = model.mark(node);
    const hit = node && this.hit && this.hit[model.frame[node]];
    const name = (mark && `${mark} `) + model.name(node);
    if (text.data !== name) text.data = name;
    if (slot.node < 0) element.style.display = '';
    slot.node = node;
    element.className = `fg-frame fg${this.view.shade(model, node, this.settings)}` + (hit ? ' fg-hit' : '') +
      (mark ? mark === '+' ? ' fg-new' : ' fg-gone' : '') + (node < this.top ? ' fg-above' : '');
    element.style.transform = `translate(${x}px,${y}px)`;
    element.style.width = `${width - 0.6}px`;
  }

  /** Outline the current frame. */
  mark() {
    const depth = this.current < 0 ? -1 : this.model.depth[this.current];
    const seen = depth >= 0 && (this.model.contains(this.top, this.current) || this.above.includes(this.current));
    this.marker.hidden = !seen;
    if (!seen) return;
    this.marker.style.transform = `translate(${this.left(this.current)}px,${this.rowTop(depth) - this.scroller.scrollTop}px)`;
    this.marker.style.width = `${Math.max(this.span(this.current), 2)}px`;
    this.marker.style.height = `${this.row}px`;
  }

  /** Scroll so that the row can be seen, with some of what is next to it. */
  reveal(depth) {
    const y = this.rowTop(depth), room = Math.min(3 * this.row, this.height / 3), { scroller } = this;
    if (y - room < scroller.scrollTop) scroller.scrollTop = y - room;
    else if (y + this.row + room > scroller.scrollTop + this.height)
      scroller.scrollTop = y + this.row + room - this.height;
  }

  zoom(node) {
    this.top = node;
    this.layout();
    const depth = this.model.depth[node], margin = 2 * this.row;
    this.scroller.scrollTop = this.down ? this.rowTop(depth) - margin : this.rowTop(depth) + margin + this.row - this.height;
    this.draw();
  }
}
