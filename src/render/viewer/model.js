// The tree and what is asked of it. Nodes are numbers in depth-first order; node 0 is the root, "all".

class Model {
  constructor(profile, type, isDiff, widths, noise) {
    Object.assign(this, profile, { type, isDiff, noise });
    const { count, depth } = this;
    this.parent = new Int32Array(count);
    this.end = new Int32Array(count);
    const path = [0];
    for (let i = 1; i < count; i++) {
      this.parent[i] = path[depth[i] - 1];
      path[depth[i]] = i;
    }
    for (let i = count - 1; i >= 0; i--) {
      this.end[i] = Math.max(this.end[i], i + 1);
      if (i) this.end[this.parent[i]] = Math.max(this.end[this.parent[i]], this.end[i]);
    }
    this.total = this.self.map(self => this.sums(self));
    this.width = isDiff ? this.sums(this.sized(widths)) : this.total[type];
    this.start = this.starts();
  }

  /** Each node's value and those of all below it. */
  sums(self) {
    const total = Float64Array.from(self);
    for (let i = this.count - 1; i > 0; i--) total[this.parent[i]] += total[i];
    return total;
  }

  /** What a node of a diff has of its own: that of one side, or the larger one. */
  sized(widths) {
    const [before, after] = this.self;
    if (widths === 'before') return before;
    return before.map((value, i) => Math.max(widths === 'after' ? 0 : value, after[i] * this.factor));
  }

  /** Of a diff: half the width of the interval of the node's change, 0 where it is not known; see core/noise.c. */
  margin(node) {
    const before = this.total[0][node], after = this.total[1][node] * this.factor;
    if (this.extra) return Math.max(before, after) * 2 ** ((this.extra[node] - 191) / 16);
    return this.noise ? Math.sqrt(this.noise[0] * before + this.noise[1] * after) : 0;
  }

  /** Where nodes start, in the unit of their widths. Never decreases, so positions can be searched by halving. */
  starts() {
    const start = new Float64Array(this.count), next = new Float64Array(this.count);
    for (let i = 1; i < this.count; i++) {
      const parent = this.parent[i];
      start[i] = next[i] = next[parent];
      next[parent] += this.width[i];
    }
    return start;
  }

  name(node) {
    return node ? this.frames[this.frame[node]].name : 'all';
  }

  /** Which sides of a diff have the node: '+' new, '−' gone, '' both. */
  mark(node) {
    if (!this.isDiff || (this.total[0][node] && this.total[1][node])) return '';
    return this.total[0][node] ? '−' : '+';
  }

  ancestors(node) {
    const path = [node];
    while (node) path.push(node = this.parent[node]);
    return path.reverse();
  }

  contains(outer, inner) {
    return inner >= outer && inner < this.end[outer];
  }

  /** The node at position x and depth, or -1. */
  find(x, depth) {
    let low = 0, high = this.count - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.start[middle] <= x) low = middle;
      else high = middle - 1;
    }
    let node = low;
    while (node && this.start[node] + this.width[node] <= x) node = this.parent[node];
    if (this.depth[node] < depth) return -1;
    while (this.depth[node] > depth) node = this.parent[node];
    return node;
  }

  /** Nodes of the subtree that are at least `least` wide, by depth: rows[d] is a list from left to right. */
  rows(top, least) {
    const rows = [], { depth, end, width } = this, from = depth[top];
    for (let i = top; i < end[top];) {
      if (width[i] < least || !width[i]) {
        i = end[i];
        continue;
      }
      (rows[depth[i] - from] ??= []).push(i);
      i++;
    }
    return rows;
  }

  firstChild(node) {
    return node + 1 < this.end[node] ? node + 1 : -1;
  }

  /** The widest child: the one that a step up should go to. */
  widestChild(node) {
    let best = -1;
    for (let i = this.firstChild(node); i > 0 && i < this.end[node]; i = this.end[i])
      if (best < 0 || this.width[i] > this.width[best]) best = i;
    return best;
  }

  /** The sibling before (-1) or after (1), or the node itself at the edge. */
  sibling(node, step) {
    if (!node) return node;
    const parent = this.parent[node];
    if (step > 0) return this.end[node] < this.end[parent] ? this.end[node] : node;
    let before = node;
    for (let i = parent + 1; i < node; i = this.end[i]) before = i;
    return before;
  }

  // ---- search

  /** { hit, nodes, sums }: hit[frame] says which frames match; sums[type] counts nested matches once. */
  search(pattern) {
    const { frames, frame, end, total, count } = this;
    const hit = Uint8Array.from(frames, ({ name }) => pattern.test(name)), nodes = [], sums = total.map(() => 0);
    for (let i = 1, covered = 0; i < count; i++) {
      if (!hit[frame[i]]) continue;
      nodes.push(i);
      if (i < covered) continue;
      covered = end[i];
      for (let type = 0; type < sums.length; type++) sums[type] += total[type][i];
    }
    return { hit, nodes, sums };
  }

  // ---- links

  /** The path of names; where that is too long or says another node, "@" and the node's number. */
  link(node) {
    const path = this.ancestors(node).slice(1).map(i => encodeURIComponent(this.name(i))).join(';');
    return path.length < 2000 && this.resolve(path) === node ? path : `@${node}`;
  }

  /** The node that a link says, or as far as it leads. */
  resolve(link) {
    if (link[0] === '@') return Math.min(Math.max(0, Math.trunc(Number(link.slice(1)) || 0)), this.count - 1);
    let node = 0;
    for (const name of link ? link.split(';').map(part => decodeText(part)) : []) {
      let child = this.firstChild(node);
      while (child > 0 && child < this.end[node] && this.name(child) !== name) child = this.end[child];
      if (child < 0 || child >= this.end[node]) break;
      node = child;
    }
    return node;
  }
}

function decodeText(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
