// What is said of a node: values for people, and what each view says and how it colours. view.c is the other half.

const SECONDS = [[6e10, 'min'], [1e9, 's'], [1e6, 'ms'], [1e3, 'µs'], [0, 'ns']];
const BYTES = [[2 ** 40, 'TiB'], [2 ** 30, 'GiB'], [2 ** 20, 'MiB'], [2 ** 10, 'KiB'], [0, 'B']];
const UNITS = {
  nanoseconds: [1, SECONDS], microseconds: [1e3, SECONDS], milliseconds: [1e6, SECONDS], seconds: [1e9, SECONDS],
  bytes: [1, BYTES], kilobytes: [2 ** 10, BYTES], megabytes: [2 ** 20, BYTES],
};

/** 1234567 → "1,234,567" */
function grouped(value) {
  return String(Math.round(Math.abs(value))).replace(/\B(?=(\d{3})+$)/g, ',');
}

function valueText(value, unit) {
  const scale = Object.hasOwn(UNITS, unit) && UNITS[unit];
  if (scale) {
    const base = value * scale[0];
    const [from, name] = scale[1].find(([least]) => Math.abs(base) >= least);
    const shown = from ? base / from : base, size = Math.abs(shown);
    return `${shown.toFixed(!from || size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2)} ${name}`;
  }
  return `${value <= -0.5 ? '-' : ''}${grouped(value)} ${unit !== 'count' ? unit : Math.abs(value) === 1 ? 'sample' : 'samples'}`;
}

function percent(part, whole) {
  return `${(whole > 0 ? 100 * part / whole : 0).toFixed(2)} %`;
}

function signed(number, digits) {
  const text = number.toFixed(digits);
  return Number(text) >= 0 ? `+${text.replace('-', '')}` : text;
}

/** How many of the steps a share has passed. */
function level(share, steps) {
  let n = 0;
  while (n < steps.length && share >= steps[n]) n++;
  return n;
}

/** A value and its share of the whole. */
function valueAndShare(m, column, node, unit) {
  return `${valueText(column[node], unit)}, ${percent(column[node], m.total[m.type][0])}`;
}

/** "+14 % ± 5 %", "new", "+0 %" */
function growthText(before, after, margin) {
  if (before === after) return '+0 %' + (margin && before ? ` ± ${percentOf(margin, before)}` : '');
  if (!before || !after) return before ? 'gone' : 'new';
  return `${signed(100 * (after - before) / before, 0)} %` + (margin ? ` ± ${percentOf(margin, before)}` : '');
}

function percentOf(margin, before) {
  return `${(100 * margin / before).toFixed(margin < 0.1 * before ? 1 : 0)} %`;
}

/**
 * "12.3 s → 14.0 s, +14 % ± 5 % (+2.1 pp)": values as they are compared, the growth with its interval where the noise is
 * known, points as shares of each side's own whole.
 */
function changeText(before, after, wholes, unit, margin = 0) {
  const points = 100 * ((wholes[1] > 0 ? after / wholes[1] : 0) - (wholes[0] > 0 ? before / wholes[0] : 0));
  const growth = growthText(before, after, margin), noise = margin && Math.abs(after - before) <= margin;
  return `${valueText(before, unit)} → ${valueText(after, unit)}, ${growth} (${signed(points, 1)} pp${noise ? ', within noise' : ''})`;
}

const byTotal = {
  /** What follows the name in the tooltip. */
  describe: (m, node, unit) => ` (${valueAndShare(m, m.total[m.type], node, unit)})`,
  /** The detail bar: labels and texts. */
  details: (m, node, unit) => [
    ['total', valueAndShare(m, m.total[m.type], node, unit)],
    ['self', valueAndShare(m, m.self[m.type], node, unit)],
  ],
  matched: (m, sums, unit) => `${percent(sums[m.type], m.total[m.type][0])} (${valueText(sums[m.type], unit)})`,
};

const VIEWS = {
  flame: { ...byTotal, shade: (m, node, settings) => node ? m.extra[m.frame[node]] : settings.rootShade },
  hotcold: {
    ...byTotal,
    shade: (m, node, { steps }) => level(m.self[m.type][node] / m.total[m.type][0], steps),
    describe: (m, node, unit) =>
      ` (${valueAndShare(m, m.total[m.type], node, unit)}; self ${valueAndShare(m, m.self[m.type], node, unit)})`,
  },
  diff: {
    shade(m, node, { steps }) {
      const [before, after] = [m.total[0], m.total[1]], change = after[node] * m.factor - before[node];
      if (Math.abs(change) <= m.margin(node)) return steps.length;
      const n = level(Math.abs(change) / Math.max(before[0], after[0] * m.factor), steps);
      return change < 0 ? steps.length - n : steps.length + n;
    },
    describe: (m, node, unit) =>
      `: ${changeText(m.total[0][node], m.total[1][node] * m.factor, [m.total[0][0], m.total[1][0] * m.factor], unit, m.margin(node))}`,
    details: (m, node, unit) => {
      const wholes = [m.total[0][0], m.total[1][0] * m.factor];
      const list = [
        ['total', changeText(m.total[0][node], m.total[1][node] * m.factor, wholes, unit, m.margin(node))],
        ['self', changeText(m.self[0][node], m.self[1][node] * m.factor, wholes, unit)],
      ];
      if (m.factor !== 1) list.push(['after, as measured', valueText(m.total[1][node], unit)]);
      return list;
    },
    matched: (m, sums, unit) =>
      changeText(sums[0], sums[1] * m.factor, [m.total[0][0], m.total[1][0] * m.factor], unit),
  },
};

function placeText(frame) {
  return frame.file ? frame.file + (frame.line ? `:${frame.line}` : '') : '';
}
