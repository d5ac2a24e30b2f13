// The page around the frames. Text enters as text nodes only: frame names are hostile.

const XHTML = 'http://www.w3.org/1999/xhtml', SVG = 'http://www.w3.org/2000/svg';

/** make('button', { class: 'x', onclick: f }, 'text', child…) */
function make(tag, attributes = {}, ...children) {
  const element = document.createElementNS(XHTML, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Paragraphs of the static picture, whose lines are wrapped. */
function paragraphs(root, name) {
  return [...root.querySelectorAll(`g.${name}:not(.fg-static)`)]
    .map(group => [...group.children].map(line => line.textContent).join(' '));
}

function legendOf(root) {
  return [...root.querySelectorAll('.fg-legend rect')].map(swatch =>
    make('span', { class: 'fg-key' },
      make('i', { class: swatch.getAttribute('class'), 'aria-hidden': 'true' }), swatch.nextElementSibling.textContent));
}

function button(text, hint, onclick) {
  return make('button', { type: 'button', title: hint, onclick }, text);
}

/** The elements that the viewer works with. `on` has a function for each thing that can be asked for. */
function makePage(root, on) {
  const page = {
    crumbs: make('nav', { class: 'fg-crumbs', 'aria-label': 'Path of the zoomed frame' }),
    search: make('input', {
      type: 'search', placeholder: 'Search (regex)', title: 'Keys: / or Ctrl+F, n and N for the next and previous match',
      'aria-label': 'Search frames by regular expression', spellcheck: 'false', autocomplete: 'off',
    }),
    matched: make('output', { class: 'fg-matched', role: 'status' }),
    reset: button('Reset zoom', 'Show everything (Esc)', on.reset),
    next: button('↓', 'Next match (n)', on.next),
    previous: button('↑', 'Previous match (N)', on.previous),
    detail: make('footer', { class: 'fg-detail' }),
    spoken: make('div', { class: 'fg-spoken', role: 'status', 'aria-live': 'polite' }),
    tip: make('div', { class: 'fg-tip', 'aria-hidden': 'true' }),
  };
  page.find = make('form', { class: 'fg-find', role: 'search' }, page.matched, page.search, page.previous, page.next);
  page.app = make('div', { class: 'fg-app' },
    make('header', { class: 'fg-head' },
      make('h1', {}, paragraphs(root, 'fg-title').join(' ')),
      ...paragraphs(root, 'fg-subtitle').map(text => make('p', {}, text)),
      ...paragraphs(root, 'fg-warning').map(text => make('p', { class: 'fg-warning' }, text)),
      make('p', { class: 'fg-keys' }, ...legendOf(root))),
    make('div', { class: 'fg-bar' }, page.crumbs, page.find,
      make('span', { class: 'fg-buttons' }, page.reset, button('Flip', 'Root at the top or at the bottom (i)', on.flip))));
  return page;
}

/** Put the page in the place of the static picture: over all of the window, or of the picture's box in a document. */
function showPage(root, page, alone) {
  const frame = document.createElementNS(SVG, 'foreignObject');
  frame.setAttribute('width', '100%');
  frame.setAttribute('height', '100%');
  frame.append(page.app);
  root.querySelector('.fg-picture').replaceWith(frame);
  root.removeAttribute('viewBox');
  if (!alone) return;
  root.setAttribute('width', '100%');
  root.setAttribute('height', '100%');
}
