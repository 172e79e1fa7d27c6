// One entry: what came out, its runs, its curves, what it was made from and how that differs from another.
function facts(pairs) {
  return h('dl', { class: 'facts' }, pairs.filter(([, value]) => value !== '' && value !== null && value !== undefined)
    .map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))));
}

function configOf(place) {
  const own = BOARD.configs.own[place];
  return own ? { ...BOARD.configs.shared, ...own } : null;
}

function diffTable(place, other) {
  const mine = configOf(place), theirs = configOf(other);
  if (!mine || !theirs) return h('p', { class: 'muted small' }, 'No config is kept for one of the two.');
  const keys = unique([...Object.keys(mine), ...Object.keys(theirs)]).filter((key) => mine[key] !== theirs[key]).sort();
  if (!keys.length) return h('p', { class: 'muted small' }, 'Their configs are equal.');
  return table({ caption: 'Difference of two configs', groups: [{ heading: null, rows: keys }], columns: [
    { name: 'option', value: (k) => k, cell: (k) => h('code', {}, k) },
    { name: 'this entry', words: true, cell: (k) => h('code', {}, mine[k] ?? '–') },
    { name: ENTRIES[other].label, words: true, cell: (k) => h('code', {}, theirs[k] ?? '–') },
  ] }).node;
}

function diffPart(place) {
  const others = inBlock(ENTRIES[place].block).filter((e) => e.place !== place && BOARD.configs.own[e.place]).slice(0, 300);
  if (!configOf(place)) return [];
  const shown = h('div', {});
  const first = others.length ? others[0].place : null;
  const other = first === null ? null : choice('entry-other', 'against', others.map((e) => [e.place, `${e.rank ?? '–'}  ${e.label}`]), first, () => shown.replaceChildren(diffTable(place, Number(other.value))));
  if (other) shown.append(diffTable(place, Number(other.value)));
  const all = Object.entries(configOf(place)).sort(([a], [b]) => a.localeCompare(b, 'en'));
  return [h('h3', {}, 'Config'), other && h('div', { class: 'controls' }, other.node), other && shown,
    h('details', {}, h('summary', {}, `all ${all.length} options`), h('pre', {}, all.map(([k, v]) => `${k}=${v}`).join('\n')))];
}

function curvesPart(place) {
  if (!CURVES[place]) return [];
  const names = metricsOf([place]);
  const log = tick('entry-log', 'logarithmic', false, () => drawn.redraw());
  const metric = choice('entry-metric', 'metric', names.map((n) => [n, n]), names[0], () => drawn.redraw());
  const drawn = chart((width) => curveSpec([series(place, metric.value)].filter(Boolean), metric.value, width, { log: log.value, height: 240 }), 'Learning curves of this entry.', { height: 250 });
  return [h('h3', {}, 'Learning curves'), h('div', { class: 'controls' }, metric.node, log.node), drawn];
}

function runsPart(place) {
  const listed = BOARD.runs[place];
  const rows = listed.id.map((_, n) => Object.fromEntries(Object.entries(listed).map(([key, values]) => [key, values[n]])));
  const made = table({ caption: 'Runs of this entry', limit: 60, groups: [{ heading: null, rows }], columns: [
    { name: 'seed', num: true, value: (r) => r.seed, cell: (r) => String(r.seed ?? '') },
    { name: 'status', value: (r) => r.status, cell: (r) => h('span', { class: `badge ${r.status === 'ok' ? 'good' : 'bad'}` }, r.status) },
    { name: 'test', num: true, value: (r) => r.value, cell: (r) => short(r.value, 5) },
    { name: 'val', num: true, value: (r) => r.val, cell: (r) => short(r.val, 5) },
    { name: 'best step', num: true, value: (r) => r.best_step, cell: (r) => (known(r.best_step) ? r.best_step.toLocaleString('en') : '') },
    { name: 'train s', num: true, value: (r) => r.train_seconds, cell: (r) => short(r.train_seconds, 3) },
    { name: 'commit', value: (r) => r.commit, cell: (r) => h('code', { title: r.commit }, (r.commit || '').slice(0, 8)) },
    { name: 'run', value: (r) => r.id, cell: (r) => h('code', {}, r.id) },
    ...(rows.some((r) => r.reason) ? [{ name: 'reason', words: true, value: (r) => r.reason }] : []),
  ] });
  const left = ENTRIES[place].runs - rows.length;
  return [h('h3', {}, many(ENTRIES[place].runs, 'run')), made.node, left > 0 && h('p', { class: 'muted small' }, `${left.toLocaleString('en')} more are in the store.`)];
}

function openEntry(place) {
  const entry = ENTRIES[place];
  const dialog = document.getElementById('entry');
  if (!entry) return;
  const block = BOARD.blocks[entry.block];
  const command = BOARD.configs.commands[place];
  dialog.replaceChildren(
    h('div', { class: 'head' }, h('div', {}, h('h2', { id: 'entry-title' }, entry.label), h('p', { class: 'muted small' }, `${block.title} · ${block.heading} · ${block.terms}`)),
      h('button', { type: 'button', class: 'close noprint', onclick: () => dialog.close() }, 'Close')),
    facts([
      ['rank', entry.rank === null ? 'none' : `${entry.rank} of ${inBlock(entry.block).filter((e) => e.rank !== null).length}`], ['standing', standingWords(entry)],
      [`test ${block.heading}`, entry.result + (entry.mark ? ` (${entry.mark})` : '')], ['95% interval', interval(entry)], ['validation', entry.val], ['solved', entry.solved && `${entry.solved}: ${entry.solved_interval}`], ['score', known(entry.score) ? entry.score.toFixed(3) : ''],
      ['parameters', known(entry.params) ? entry.params.toLocaleString('en') : ''], ['with a gradient', known(entry.live_params) && entry.live_params !== entry.params ? entry.live_params.toLocaleString('en') : ''],
      ['training', entry.seconds_text && `${entry.seconds_text} s`], ['updates a second', entry.speed_text], ['on', [entry.device, entry.precision, entry.backend].filter(Boolean).join(' ')],
      ['settings', entry.settings], ['trained with', entry.training], ['runs', entry.coverage],
    ]),
    entry.failures && h('p', { class: 'bad' }, entry.failures), entry.notes && h('p', { class: 'muted' }, entry.notes),
    ...[curvesPart(place), runsPart(place), diffPart(place)].flat().filter(Boolean),
    h('h3', {}, 'Metrics'), table({ caption: 'Mean of every metric over the runs that ended ok', groups: [{ heading: null, rows: entry.metrics }], columns: [
      { name: 'metric', value: ([name]) => name, cell: ([name]) => h('code', {}, name) }, { name: 'mean over ok runs', num: true, cell: ([, text]) => text }] }).node,
    ...(command ? [h('h3', {}, 'Again'), h('pre', {}, command), h('p', { class: 'muted small' }, 'One run of it; the others differ in seed.')] : []),
  );
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  history.replaceState(null, '', `#entry=${entry.entry}.${place}`);
  WAITING.filter((job) => dialog.contains(job.node)).forEach(draw);
}

function entryDialog() {
  const dialog = document.getElementById('entry');
  dialog.addEventListener('close', () => {
    for (let n = WAITING.length - 1; n >= 0; n -= 1) if (dialog.contains(WAITING[n].node)) WAITING.splice(n, 1);
    dialog.replaceChildren();
    history.replaceState(null, '', location.pathname + location.search);
  });
  dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
  const asked = /^#entry=(\w+)\.(\d+)$/.exec(location.hash);
  if (asked) {
    const found = ENTRIES.find((e) => e.entry === asked[1] && e.place === Number(asked[2])) || ENTRIES.find((e) => e.entry === asked[1]);
    if (found) openEntry(found.place);
  }
}
