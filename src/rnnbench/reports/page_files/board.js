// The leaderboard: one table, a group for each block, because values compare only within one.
const ENTRIES = BOARD.entries.map((entry, place) => ({ ...entry, place, words: Object.values(entry).filter((v) => typeof v === 'string').join(' ').toLowerCase() }));
// The block with the most entries: what is shown first.
const largest = (blocks) => blocks.reduce((a, b) => (inBlock(b).length > inBlock(a).length ? b : a));
const inBlock = (place) => ENTRIES.filter((entry) => entry.block === place);

// An entry's interval between the lowest and the highest of its block; the floor, dashed, where it lies among them.
function spark(entry) {
  const block = BOARD.blocks[entry.block];
  if (!known(entry.mean)) return '';
  if (!block.range) {
    const all = inBlock(entry.block).flatMap((e) => [e.mean, e.low, e.high]).filter(known);
    block.range = [Math.min(...all), Math.max(...all)];
  }
  const [low, high] = block.range;
  const x = (value) => (4 + 122 * (high > low ? (value - low) / (high - low) : 0.5)).toFixed(1);
  const node = svg('svg', { class: 'spark', viewBox: '0 0 130 18', 'aria-hidden': 'true' }, svg('line', { class: 'base', x1: 4, x2: 126, y1: 9, y2: 9 }));
  if (known(block.floor) && block.floor >= low && block.floor <= high) node.append(svg('line', { class: 'floor', x1: x(block.floor), x2: x(block.floor), y1: 2, y2: 16 }));
  if (known(entry.low) && known(entry.high)) node.append(svg('line', { class: 'range', x1: x(entry.low), x2: x(entry.high), y1: 9, y2: 9 }));
  node.append(svg('circle', { class: 'dot', cx: x(entry.mean), cy: 9, r: 3.4 }));
  return node;
}

function standing(entry) {
  if (entry.standing === 'best') return h('span', { class: 'badge good', title: 'Its interval is apart from all others.' }, 'best');
  if (entry.standing === 'tied') return h('span', { class: 'badge', title: 'Its interval overlaps the leader\'s: their order is open.' }, '≈');
  return '';
}

const covered = (entry) => (entry.failures ? h('span', { class: 'bad', title: entry.failures }, entry.coverage) : entry.coverage);
const better = (entry) => (BOARD.blocks[entry.block].goal === 'max' ? -1 : 1);

const BOARD_COLUMNS = [
  { name: '#', num: true, value: (e) => e.rank, cell: (e) => String(e.rank ?? '–') },
  { name: 'entry', value: (e) => e.label, cell: (e) => [h('button', { type: 'button', class: 'name', onclick: (event) => { event.stopPropagation(); openEntry(e.place); } }, e.label)] },
  { name: 'result', num: true, title: 'Mean over seeds ± half of its 95% interval, on test. Sorts best first.', value: (e) => (known(e.mean) ? e.mean * better(e) : null), cell: (e) => [standing(e), ' ', e.result || '–', e.mark && h('span', { class: 'muted small', title: 'Too few seeds for an interval.' }, ` (${e.mark})`)] },
  { name: 'interval', wideonly: true, cell: spark, title: 'The 95% interval among those of its dataset; dashed: the floor, where it is near.' },
  { name: 'runs', best: 'high', title: 'Runs with a result, of all; then what became of the others.', value: (e) => (e.runs ? e.ok / e.runs : null), cell: covered },
  { name: 'score', num: true, best: 'high', title: '0 at the floor, 1 at the target.', value: (e) => e.score, cell: (e) => (known(e.score) ? e.score.toFixed(3) : '') },
  { name: 'params', num: true, value: (e) => e.params, cell: (e) => e.params_text },
  { name: 'train s', num: true, title: 'Median over seeds; compares only under one device, precision and backend.', value: (e) => e.train_seconds, cell: (e) => e.seconds_text },
  { name: 'steps/s', num: true, best: 'high', value: (e) => e.steps_per_second, cell: (e) => e.speed_text },
  { name: 'on', wideonly: true, tight: true, value: (e) => [e.device, e.precision, e.backend].filter(Boolean).join(' ') },
  { name: 'settings', wideonly: true, title: 'default, set by hand, or tuned (the best of so many settings on validation).', value: (e) => e.settings, cell: (e) => h('span', { title: e.training }, e.settings) },
];

function boardSection() {
  const groups = BOARD.blocks.map((block, n) => ({
    heading: h('div', { class: 'terms' }, h('strong', {}, `${block.title} `), h('span', {}, `${block.heading} `), h('span', { class: 'muted small' }, `· ${block.terms}`)),
    rows: inBlock(n),
  }));
  const made = table({ columns: BOARD_COLUMNS.filter(({ name, value }) => name === 'entry' || !value || ENTRIES.some((e) => known(value(e)) || value(e))), groups, kind: 'board', caption: 'Leaderboard', open: (e) => openEntry(e.place), look: (e) => (e.standing === 'best' ? 'best' : e.rank === null ? 'lost' : null) });
  const count = h('p', { class: 'muted small', id: 'shown', role: 'status' });
  const search = h('input', { type: 'search', id: 'search', placeholder: 'words: lstm depth=2 …', autocomplete: 'off', oninput: () => { keep('search', search.value); apply(); } });
  search.value = KEPT.search || '';
  const any = ['', 'all'];
  const block = choice('block', 'dataset and budget', [any, ...BOARD.blocks.map((_, n) => [n, blockName(n)])], '', apply);
  const cells = unique(ENTRIES.map((e) => e.cell).filter(Boolean)).sort();
  const cell = choice('cell', 'cell', [any, ...cells.map((c) => [c, c])], '', apply);
  const ended = choice('ended', 'runs', [any, ['whole', 'all ended ok'], ['lost', 'with failures']], '', apply);

  function apply() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    made.filter((e) => (block.value === '' || e.block === Number(block.value)) && (cell.value === '' || e.cell === cell.value)
      && (ended.value === '' || (ended.value === 'whole') === (e.ok === e.runs))
      && words.every((word) => e.words.includes(word)));
    count.textContent = made.shown === ENTRIES.length ? many(made.shown, 'entry', 'entries') : `${made.shown.toLocaleString('en')} of ${many(ENTRIES.length, 'entry', 'entries')}`;
  }

  section('board', 'Leaderboard', 'Mean over seeds ± half of its 95% interval, on test, at the weights that were best on validation. Headings sort within a dataset; an entry opens with its runs, config and curves. Keys: / searches, ↑ ↓ go from entry to entry, Enter opens.',
    h('div', { class: 'controls' }, h('label', {}, 'search', search), block.node, cell.node, ended.node), count, made.node);
  apply();
  document.addEventListener('keydown', (event) => {
    if (event.key === '/' && !/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && !document.getElementById('entry').open) { event.preventDefault(); search.focus(); }
  });
}

function paretoSection() {
  const blocks = BOARD.blocks.map((_, n) => n).filter((n) => inBlock(n).some((e) => known(e.mean) && (known(e.params) || known(e.train_seconds))));
  if (!blocks.length) return;
  const redraw = () => drawn.redraw();
  const block = choice('pareto-block', 'dataset and budget', blocks.map((n) => [n, blockName(n)]), largest(blocks), redraw);
  const cost = choice('pareto-cost', 'cost', [['train_seconds', 'training time'], ['params', 'parameters']], 'train_seconds', redraw);
  const drawn = chart(() => paretoSpec(Number(block.value), cost.value), 'Result over cost, one mark an entry; entries that no other beats in both are joined by a line.', { height: 380 });
  section('pareto', 'Speed and accuracy', 'What a result costs. Ringed and joined: entries that no other beats in both. Times are joined only under one device, precision and backend, and are missing where an entry ran on several machines.',
    h('div', { class: 'controls' }, block.node, cost.node), drawn);
}

function paretoSpec(place, cost) {
  const block = BOARD.blocks[place];
  const values = inBlock(place).filter((e) => known(e.mean) && known(e[cost]) && e[cost] > 0).map((e) => ({
    label: e.label, cost: e[cost], mean: e.mean, low: e.low, high: e.high, on: [e.device, e.precision, e.backend].filter(Boolean).join(' '),
    result: e.result, price: cost === 'params' ? e.params_text : `${e.seconds_text} s`, front: e.front.includes(cost), family: e.cell || 'other', place: e.place,
  }));
  if (!values.length) return null;
  const front = values.filter((v) => v.front).map((v) => ({ ...v, group: cost === 'params' ? '' : v.on }));
  const x = quantitative('cost', cost === 'params' ? 'parameters' : 'training time, s', { scale: { type: 'log', nice: false, padding: 24 }, axis: { format: '.3~s' } });
  const y = quantitative('mean', block.heading, { scale: { zero: false, padding: 14 } });
  const families = unique(values.map((v) => v.family));
  const few = families.length <= COLOURS.length;
  const color = few && families.length > 1 ? nominal('family', null, { sort: null, scale: { domain: families, range: COLOURS.slice(0, families.length) } }) : { value: COLOURS[0] };
  const tooltip = tips(['label', 'entry'], ['result', block.heading], ['price', cost === 'params' ? 'parameters' : 'training'], ['on', 'on']);
  // Neighbours' names go above and below their marks in turn.
  const named = (values.length <= 14 ? values : front).slice().sort((a, b) => a.cost - b.cost);
  const names = (named.length > 1 ? [0, 1] : [0]).map((side) => ({ data: { values: named.filter((_, n) => n % 2 === side) }, name: `name_${side}`, mark: { type: 'text', align: 'left', dx: 9, dy: side ? 11 : -9, fontSize: 10.5, limit: 230 }, encoding: { x, y, text: { field: 'label' } } }));
  return {
    height: 360, data: { values },
    layer: [
      { data: { values: front }, name: 'rule', mark: { type: 'line', strokeWidth: 1.2, strokeDash: [4, 3], color: '#8C8C8C' }, encoding: { x, y, detail: { field: 'group' }, order: { field: 'cost' } } },
      { mark: { type: 'rule', strokeWidth: 1.4, opacity: values.length > 40 ? 0.15 : 0.55 }, encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' }, color } },
      { mark: { type: 'point', size: 64, opacity: 0.95 }, encoding: { x, y, color, shape: few && families.length > 1 ? nominal('family', null, { sort: null, scale: { domain: families } }) : undefined, tooltip } },
      { data: { values: front }, mark: { type: 'point', filled: false, size: 190, strokeWidth: 1.6, color: '#8C8C8C' }, encoding: { x, y, tooltip } },
      ...names,
    ],
  };
}
