// The data, and the only ways in which elements are made: text nodes and attributes, so no record is ever markup.
const DATA = JSON.parse(document.getElementById('data').textContent);
const BOARD = DATA.board;
// Okabe and Ito's colours, told apart by colour-blind readers; the yellow is left out: it is lost on white.
const COLOURS = ['#0072B2', '#E69F00', '#009E73', '#CC79A7', '#56B4E9', '#D55E00', '#8C8C8C', '#7A5FD3'];
const DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3]];

function h(tag, props, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat(3).filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

function svg(tag, props, ...children) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(props)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const known = (value) => typeof value === 'number' && Number.isFinite(value);
const many = (n, one, more = `${one}s`) => `${n.toLocaleString('en')} ${n === 1 ? one : more}`;
const unique = (values) => [...new Set(values)];

function short(value, digits = 4) {
  if (!known(value)) return '';
  if (value !== 0 && (Math.abs(value) >= 1e6 || Math.abs(value) < 1e-4)) return value.toExponential(digits - 2);
  return String(Number(value.toPrecision(digits)));
}

// What a reader has set is kept over a reload, which a page that is served does while a sweep runs.
const KEPT = (() => {
  try { return JSON.parse(sessionStorage.getItem('rnnbench') || '{}'); } catch { return {}; }
})();
function keep(name, value) {
  KEPT[name] = value;
  try { sessionStorage.setItem('rnnbench', JSON.stringify(KEPT)); } catch { /* a browser that keeps nothing */ }
}

function choice(name, label, options, first, changed) {
  const values = options.map(([value]) => String(value));
  const chosen = values.includes(String(KEPT[name])) ? String(KEPT[name]) : String(first);
  const select = h('select', { id: name, onchange: () => { keep(name, select.value); changed(select.value); } },
    options.map(([value, text]) => h('option', { value, selected: String(value) === chosen }, text)));
  return { node: h('label', {}, label, select), get value() { return select.value; } };
}

function tick(name, label, first, changed) {
  const box = h('input', { type: 'checkbox', id: name, onchange: () => { keep(name, box.checked); changed(); } });
  box.checked = name in KEPT ? Boolean(KEPT[name]) : first;
  return { node: h('label', { class: 'tick' }, box, label), get value() { return box.checked; } };
}

function section(id, title, lead, ...children) {
  const node = h('section', { id, 'aria-labelledby': `${id}-title` },
    h('h2', { id: `${id}-title` }, title), lead && h('p', { class: 'lead' }, lead), ...children);
  document.getElementById('main').append(node);
  document.getElementById('nav').append(h('a', { href: `#${id}` }, title));
  return node;
}

function remarks(lines) {
  return lines.map((line) => h('p', { class: 'muted small' }, line));
}

// A block's name; where two are called alike, with the terms that tell them apart.
function blockName(place) {
  const block = BOARD.blocks[place];
  const same = BOARD.blocks.filter((other) => other.title === block.title).length > 1;
  return block.title + (same ? ` (${block.terms})` : '');
}
