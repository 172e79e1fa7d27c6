// Searches: studies, trials, what mattered.
function textTable(rows, caption) {
  if (!rows.length) return '';
  const names = Object.keys(rows[0]);
  return table({ caption, groups: [{ heading: null, rows }], columns: names.map((name) => ({ name, words: rows.some((r) => String(r[name]).length > 28), value: (r) => (r[name] !== '' && !Number.isNaN(Number(r[name])) ? Number(r[name]) : r[name]), cell: (r) => r[name] })) }).node;
}

function parallelSpec(search, study, width) {
  const trials = search.trials.filter((t) => (study === '' || t.study === study) && known(t.val));
  if (!trials.length || !search.axes.length) return null;
  const end = search.axes.length;
  const vals = trials.map((t) => t.val);
  const low = Math.min(...vals), high = Math.max(...vals);
  const sorted = [...vals].sort((a, b) => a - b);
  // Colour by rank, so that a few failures far off do not make all others alike.
  const rank = new Map(sorted.map((v, n) => [v, n / Math.max(1, sorted.length - 1)]));
  const good = (v) => (search.goal === 'max' ? rank.get(v) : 1 - rank.get(v));
  const points = [], ticks = [];
  trials.forEach((t, n) => {
    const said = { trial: `${t.number}`, val: short(t.val, 5), values: t.values.map((v, k) => `${search.axes[k].key} ${v}`).join(', ') };
    t.places.forEach((place, axis) => { if (known(place)) points.push({ n, axis, place, good: good(t.val), ...said }); });
    points.push({ n, axis: end, place: high > low ? (t.val - low) / (high - low) : 0.5, good: good(t.val), ...said });
  });
  search.axes.forEach((axis, n) => {
    axis.ticks.forEach(([place, text]) => ticks.push({ axis: n, place, text }));
  });
  [[0, low], [0.5, (low + high) / 2], [1, high]].forEach(([place, value]) => ticks.push({ axis: end, place, text: short(value, 4) }));
  const heads = [...search.axes.map((axis, n) => ({ axis: n, text: axis.key })), { axis: end, text: `val/${search.metric}` }].map((head) => ({ ...head, place: 1, side: head.axis === 0 ? 'left' : head.axis === end ? 'right' : 'center' }));
  const x = quantitative('axis', null, { axis: null, scale: { domain: [-0.12, end + 0.22], nice: false, zero: false } });
  const y = quantitative('place', null, { axis: null, scale: { domain: [-0.04, 1.1], nice: false } });
  const headed = (side) => ({ data: { values: heads.filter((head) => head.side === side) }, name: `name_${side}`, mark: { type: 'text', align: side, dy: -14, fontWeight: 600, limit: Math.min(170, width / (end + 1.6)) }, encoding: { x, y, text: { field: 'text' } } });
  return {
    height: 320,
    layer: [
      { data: { values: points }, mark: { type: 'line', strokeWidth: 1.3 }, encoding: { x, y, detail: { field: 'n' }, order: { field: 'axis' }, color: quantitative('good', null, { scale: { range: ['#9db4c6', '#d55e00'], interpolate: 'rgb', domain: [0, 1] }, legend: null }), opacity: quantitative('good', null, { scale: { range: trials.length > 200 ? [0.12, 0.8] : [0.4, 0.95], domain: [0, 1], type: 'pow', exponent: 2 }, legend: null }) } },
      { data: { values: points }, mark: { type: 'point', opacity: 0, size: 80 }, encoding: { x, y, tooltip: tips(['trial', 'trial'], ['val', 'validation'], ['values', 'with']) } },
      { data: { values: heads }, name: 'rule', mark: { type: 'rule', strokeWidth: 1 }, encoding: { x, y: { ...y, field: undefined, datum: 0 }, y2: { datum: 1 } } },
      { data: { values: ticks }, name: 'note', mark: { type: 'text', align: 'left', dx: 5, fontSize: 10, limit: 120 }, encoding: { x, y, text: { field: 'text' } } },
      headed('left'), headed('center'), headed('right'),
    ],
  };
}

function bestSpec(search, width) {
  const labels = new Map(search.studies);
  const values = Object.entries(search.best).flatMap(([study, line]) => line.map(([trial, best]) => ({ name: labels.get(study) || study, trial, best, text: short(best, 5) })));
  if (!values.length) return null;
  const look = styles(search.studies.map(([, name]) => name), width);
  return {
    height: 240, data: { values }, mark: { type: 'line', interpolate: 'step-after', point: { size: 22 } },
    encoding: { x: quantitative('trial', 'trial', { axis: { grid: false, tickMinStep: 1 } }), y: quantitative('best', `best val/${search.metric} so far`, { scale: { zero: false } }), ...look, tooltip: tips(['name', 'study'], ['trial', 'trial'], ['text', 'best']) },
  };
}

function importanceSpec(search, width) {
  const drawn = search.importance.filter((row) => known(row.importance));
  if (!drawn.length) return null;
  const rows = rowNames(drawn.map((row) => row.label), width, 28);
  const values = drawn.map((row) => ({ label: row.label, row: rows.of(row.label), key: row.key, share: row.importance, text: row.importance.toFixed(2) }));
  const x = nominal('key', null, { sort: null, axis: { labelAngle: -20, labelOverlap: false, orient: 'bottom', domain: false, grid: false } });
  const y = nominal('row', null, { sort: null, axis: { domain: false, grid: false, ...rows.axis } });
  return {
    height: rows.height, data: { values },
    layer: [
      { mark: { type: 'rect' }, encoding: { x, y, color: quantitative('share', null, { scale: { scheme: 'blues', domain: [0, 1.15] }, legend: null }), tooltip: tips(['label', 'study'], ['key', 'option'], ['text', 'share']) } },
      { mark: { type: 'text', fontSize: 11 }, encoding: { x, y, text: { field: 'text' }, color: { condition: { test: 'datum.share > 0.6', value: '#fff' }, value: '#10202e' } } },
    ],
  };
}

function searchesSection() {
  const { found, remarks: said } = DATA.searches;
  if (!found.length && !said.length) return;
  const parts = found.map((search, n) => {
    const study = choice(`study-${n}`, 'study', [['', 'all'], ...search.studies], '', () => lines.redraw());
    const lines = chart((width) => parallelSpec(search, study.value, width), `Trials of ${search.name} on parallel axes.`, { height: 340 });
    const notes = unique(search.importance.filter((row) => row.note).map((row) => `${row.label}: ${row.note}`));
    return h('div', {}, h('h3', {}, search.name), textTable(search.table, `Studies of ${search.name}`), remarks(search.sentences),
      h('h4', {}, 'Trials over the space; grey to orange: worst to best on validation'), search.studies.length > 1 && h('div', { class: 'controls' }, study.node), lines,
      remarks(search.left_out ? [`The best ${search.trials.length.toLocaleString('en')} trials are drawn; ${search.left_out.toLocaleString('en')} are not.`] : []),
      h('div', { class: 'grid' },
        h('div', {}, h('h4', {}, 'Best so far'), chart((width) => bestSpec(search, width), `The best validation value so far of ${search.name}.`)),
        h('div', {}, h('h4', {}, 'Share of the variance that an option explains (fANOVA)'), search.importance.some((row) => known(row.importance)) && chart((width) => importanceSpec(search, width), `Importance of options in ${search.name}.`, { height: 120 }), remarks(notes))));
  });
  section('searches', 'Searches', 'Chosen by validation alone; test values are of what was chosen so.', parts, remarks(said));
}
