// The profile in the picture, unpacked: the layout is in docs/formats.md, the other reader is payload_decode.c.

const KINDS = ['unknown', 'native', 'kernel', 'JIT', 'inlined', 'JavaScript', 'Python', 'Rust', 'Go', '.NET', 'Java', 'waiting'];
const STORED = 0, HEADER = 8, SECTION = 10;

function bytesOfBase64(text) {
  const binary = atob(text), bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

function payloadOf(root) {
  const parts = [...root.querySelectorAll('.flame-graph-profile')].map(part => bytesOfBase64(part.textContent));
  const all = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

async function unpack(bytes, method) {
  if (method === STORED) return bytes;
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Sections by tag: a list for each, in their order. */
async function sectionsOf(bytes) {
  const view = new DataView(bytes.buffer), tags = [], contents = [];
  for (let at = HEADER; at < bytes.length;) {
    const stored = view.getUint32(at + 6, true), from = at + SECTION;
    tags.push(String.fromCharCode(bytes[at]));
    contents.push(unpack(bytes.subarray(from, from + stored), bytes[at + 1]));
    at = from + stored;
  }
  const sections = {};
  (await Promise.all(contents)).forEach((content, i) => (sections[tags[i]] ??= []).push(content));
  return sections;
}

/** Reads varints one by one. Values beyond 2^53 lose their last digits, which no picture shows. */
class Cursor {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }
  number() {
    let byte = this.bytes[this.at++];
    if (byte < 0x80) return byte;
    let value = byte & 0x7f, scale = 128;
    do {
      byte = this.bytes[this.at++];
      value += (byte & 0x7f) * scale;
      scale *= 128;
    } while (byte >= 0x80);
    return value;
  }
  take(n) {
    return this.bytes.subarray(this.at, this.at += n);
  }
}

/** A column of `n` varints into `out`. */
function column(cursor, n, out, from) {
  for (let i = 0; i < n; i++) out[from + i] = cursor.number();
  return out;
}

function stringsOf(bytes) {
  const cursor = new Cursor(bytes), decoder = new TextDecoder();
  return Array.from({ length: cursor.number() }, () => decoder.decode(cursor.take(cursor.number())));
}

function framesOf(bytes, strings) {
  const cursor = new Cursor(bytes);
  cursor.number(); // which kinds the folded format marks
  return Array.from({ length: cursor.number() }, () => ({
    name: strings[cursor.number()] || '[no name]',
    file: strings[cursor.number()],
    module: strings[cursor.number()],
    line: cursor.number(),
    kind: cursor.number(),
  }));
}

function typesOf(bytes, strings) {
  const cursor = new Cursor(bytes);
  return Array.from({ length: cursor.number() }, () => ({ name: strings[cursor.number()], unit: strings[cursor.number()] }));
}

/** Of the metadata the viewer needs one number: what the column `after` of a diff is multiplied with. */
function factorOf(bytes) {
  const cursor = new Cursor(bytes), decoder = new TextDecoder();
  let factor = 0;
  for (let n = cursor.number(); n > 0; n--) {
    const key = decoder.decode(cursor.take(cursor.number())), type = cursor.number();
    const start = cursor.at;
    if (type === 2) cursor.take(8);
    else cursor.number();
    if (key === 'factor') factor = new DataView(bytes.buffer, bytes.byteOffset + start).getFloat64(0, true);
  }
  return factor || 1;
}

/** { frames, types, factor, extra, count, depth, frame, self }: columns have an entry for each node, the root first. */
async function decode(root) {
  const { S, F, T, M, D, I, V, X } = await sectionsOf(payloadOf(root));
  const strings = stringsOf(S[0]), depths = new Cursor(D[0]), count = depths.number() + 1;
  const depth = column(depths, count - 1, new Int32Array(count), 1);
  for (let i = 1; i < count; i++) depth[i] = depth[i - 1] + 1 - depth[i];
  return {
    frames: framesOf(F[0], strings),
    types: typesOf(T[0], strings),
    factor: factorOf(M[0]),
    extra: X && X[0], // shades of frames, or of a diff the margins of nodes
    count,
    depth,
    frame: column(new Cursor(I[0]), count - 1, new Uint32Array(count), 1),
    self: V.map(bytes => column(new Cursor(bytes), count, new Float64Array(count), 0)),
  };
}
