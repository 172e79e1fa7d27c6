// The leaderboard: one table, a group for each block, because values compare only within one.
const ENTRIES = BOARD.entries.map((entry, place) => ({ ...entry, place, words: wordsOf(entry) }));
// The block with the most entries: what is shown first.
const largest = (blocks) => blocks.reduce((a, b) => (inBlock(b).length > inBlock(a).length ? b : a));
const inBlock = (place) => ENTRIES.filter((entry) => entry.block === place);
// What needs no network: rows beside the entries of a block, without rank, runs and cost.
const FLOORS = BOARD.blocks.map((block, n) => block.floors.map((floor) => ({ ...floor, block: n, floor: true, rank: null })));

const WHEN_TIED = 'not told apart from the best: its 95% interval overlaps the leader\'s';

function standing(entry) {
  if (entry.standing === 'best') return h('span', { class: 'badge good', title: 'Its interval is apart from all others.' }, 'best');
  if (entry.standing === 'tied') return h('span', { class: 'badge', title: standingWords(entry) }, '≈');
  return '';
}

// A place alone misleads: an interval may reach the leader's because it is good, or merely because it is wide.
function standingWords(entry) {
  if (entry.standing === 'best') return 'apart from all others';
  if (entry.standing !== 'tied') return '';
  if (entry.rank === 1) return 'first by its mean, not told apart from the others with ≈';
  const first = inBlock(entry.block).find((e) => e.rank === 1);
  const near = first && entry.mean >= first.low && entry.mean <= first.high;
  return `not told apart from the best (${near ? 'the intervals overlap' : 'its own interval is wide'})`;
}

const covered = (entry) => (entry.failures ? h('span', { class: 'bad', title: entry.failures }, entry.coverage) : entry.coverage);
const better = (entry) => (BOARD.blocks[entry.block].goal === 'max' ? -1 : 1);

const BOARD_COLUMNS = [
  { name: '#', num: true, value: (e) => e.rank, cell: (e) => String(e.rank ?? '–') },
  { name: 'entry', value: (e) => e.label, cell: (e) => (e.floor ? e.label : [h('button', { type: 'button', class: 'name', onclick: (event) => { event.stopPropagation(); openEntry(e.place); } }, e.label)]) },
  { name: 'result', num: true, title: 'Mean over seeds ± half of its 95% interval, on test. Sorts best first.', value: (e) => (known(e.mean) ? e.mean * better(e) : null), cell: (e) => [standing(e), ' ', e.result || '–', e.mark && h('span', { class: 'muted small', title: e.floor ? e.notes : 'Too few seeds for an interval.' }, ` (${e.mark})`)] },
  { name: 'solved', num: true, best: 'high', title: 'Runs that reached what the task says is solved, on test, of all. An entry opens with the 95% interval of the share.', value: (e) => e.solved_share, cell: (e) => e.solved || '' },
  { name: 'interval', wideonly: true, cell: (e) => (e.floor ? floorSpark(e) : spark(e)), title: 'The 95% interval on the scale above its dataset; the key is below the table.' },
  { name: 'runs', best: 'high', title: 'Runs with a result, of all; then what became of the others.', value: (e) => (e.runs ? e.ok / e.runs : null), cell: covered },
  { name: 'score', num: true, best: 'high', title: '0 at the floor, 1 at the target.', value: (e) => e.score, cell: (e) => (known(e.score) ? e.score.toFixed(3) : '') },
  { name: 'params', num: true, value: (e) => e.params, cell: (e) => e.params_text },
  { name: 'train s', num: true, title: 'Median over seeds; compares only under one device, precision and backend.', value: (e) => e.train_seconds, cell: (e) => e.seconds_text },
  { name: 'steps/s', num: true, best: 'high', value: (e) => e.steps_per_second, cell: (e) => e.speed_text },
  { name: 'on', wideonly: true, tight: true, value: (e) => [e.device, e.precision, e.backend].filter(Boolean).join(' ') },
  { name: 'settings', wideonly: true, title: 'default, set by hand, or tuned (the best of so many settings on validation).', value: (e) => e.settings, cell: (e) => h('span', { title: (e.floor ? e.notes : e.training) || null }, e.settings) },
];

function boardSection() {
  const groups = BOARD.blocks.map((block, n) => ({
    heading: h('div', { class: 'terms' }, h('strong', {}, `${block.title} `), h('span', {}, `${block.heading} `), h('span', { class: 'muted small' }, `· ${block.terms}`)),
    under: (column) => (column.name === 'interval' ? sparkScale(n) : null), rows: inBlock(n), beside: FLOORS[n],
  }));
  const made = table({ columns: BOARD_COLUMNS.filter(({ name, value }) => name === 'entry' || !value || ENTRIES.some((e) => known(value(e)) || value(e))), groups, kind: 'board', caption: 'Leaderboard', open: (e) => openEntry(e.place), look: (e) => (e.standing === 'best' ? 'best' : e.rank === null ? 'lost' : null) });
  const count = h('p', { class: 'muted small', id: 'shown', role: 'status' });
  const search = h('input', { type: 'search', id: 'search', placeholder: 'words: lstm depth=2 digits', title: 'All words must fit: names, datasets, and axis=value or option=value, as depth=2 or optimizer.lr=0.003.', autocomplete: 'off', oninput: () => { keep('search', search.value); apply(); } });
  search.value = KEPT.search || '';
  const any = ['', 'all'];
  const block = choice('block', 'dataset and budget', [any, ...BOARD.blocks.map((_, n) => [n, blockName(n)])], '', apply);
  const cells = unique(ENTRIES.map((e) => e.cell).filter(Boolean)).sort();
  const cell = choice('cell', 'cell', [any, ...cells.map((c) => [c, c])], '', apply);
  const ended = choice('ended', 'runs', [any, ['whole', 'all ended ok'], ['lost', 'with failures']], '', apply);

  function apply() {
    const tests = search.value.toLowerCase().split(/\s+/).filter(Boolean).map(wordTest);
    made.filter((e) => (block.value === '' || e.block === Number(block.value)) && (cell.value === '' || e.cell === cell.value)
      && (ended.value === '' || (ended.value === 'whole') === (e.ok === e.runs))
      && tests.every((fits) => fits(e)));
    count.textContent = made.shown === ENTRIES.length ? many(made.shown, 'entry', 'entries') : `${made.shown.toLocaleString('en')} of ${many(ENTRIES.length, 'entry', 'entries')}`;
  }

  section('board', 'Leaderboard', 'Mean over seeds ± half of its 95% interval, on test, at the weights that were best on validation. Headings sort within a dataset; an entry opens with its runs, config and curves. Keys: / searches, ↑ ↓ go from entry to entry, Enter opens.',
    h('div', { class: 'controls' }, h('label', {}, 'search', search), block.node, cell.node, ended.node), count, made.node, boardKey());
  apply();
  document.addEventListener('keydown', (event) => {
    if (event.key === '/' && !/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && !document.getElementById('entry').open) { event.preventDefault(); search.focus(); }
  });
}

// What the table's signs mean, of those that are in it.
function boardKey() {
  const any = (has) => ENTRIES.some(has);
  const marked = ENTRIES.find((e) => e.mark);
  return h('ul', { class: 'key' },
    any((e) => e.standing === 'tied') && h('li', {}, h('span', { class: 'badge' }, '≈'), WHEN_TIED),
    any((e) => e.standing === 'best') && h('li', {}, h('span', { class: 'badge good' }, 'best'), 'its interval is apart from all others'),
    marked && h('li', {}, h('span', {}, `(${marked.mark})`), 'too few seeds for an interval'),
    FLOORS.some((rows) => rows.length) && h('li', {}, h('span', {}, 'floor, fitted'), 'no network: the best floor is score 0; a fitted predictor is no floor'),
    sparkKey());
}
