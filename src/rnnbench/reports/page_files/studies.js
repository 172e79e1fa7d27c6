// Searches, ablations, and what networks predict.
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

function importanceSpec(search) {
  const values = search.importance.filter((row) => known(row.importance)).map((row) => ({ label: row.label, key: row.key, share: row.importance, text: row.importance.toFixed(2) }));
  if (!values.length) return null;
  const x = nominal('key', null, { sort: null, axis: { labelAngle: -20, orient: 'bottom', domain: false, grid: false } });
  const y = nominal('label', null, { sort: null, axis: { domain: false, grid: false, labelLimit: room() } });
  return {
    height: 28 * unique(values.map((row) => row.label)).length, data: { values },
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
        h('div', {}, h('h4', {}, 'Share of the variance that an option explains (fANOVA)'), search.importance.some((row) => known(row.importance)) && chart(() => importanceSpec(search), `Importance of options in ${search.name}.`, { height: 120 }), remarks(notes))));
  });
  section('searches', 'Searches', 'Chosen by validation alone; test values are of what was chosen so.', parts, remarks(said));
}

const room = () => (innerWidth < 640 ? 110 : 290);
const VERDICTS = { helps: COLOURS[0], 'helps, perhaps by its size': COLOURS[4], hurts: COLOURS[5] };

function forestSpec(study) {
  const values = study.effects.filter((e) => known(e.difference)).map((e) => ({ ...e, colour: VERDICTS[e.verdict] || COLOURS[6], verdict: e.verdict || '' }));
  if (!values.length) return null;
  const x = quantitative('difference', `difference in ${study.metric} to ${study.baseline}, paired by seed (${study.goal === 'max' ? 'right' : 'left'} is better)`, { scale: { zero: true, nice: true }, axis: { tickCount: 7 } });
  const y = nominal('variant', null, { sort: null, axis: { grid: false, domain: false, ticks: false, labelLimit: room() } });
  const color = { field: 'colour', type: 'nominal', scale: null };
  return {
    height: 30 * values.length, data: { values },
    layer: [
      ...(known(study.margin) ? [{ data: { values: [{ low: -study.margin, high: study.margin }] }, name: 'margin', mark: { type: 'rect', opacity: 0.16 }, encoding: { x: { ...x, field: 'low' }, x2: { field: 'high' } } }] : []),
      { data: { values: [{ difference: 0 }] }, name: 'rule', mark: { type: 'rule', strokeWidth: 1.2 }, encoding: { x } },
      { mark: { type: 'rule', strokeWidth: 2.6 }, encoding: { x: { ...x, field: 'low' }, x2: { field: 'high' }, y, color } },
      { mark: { type: 'point', size: 90, opacity: 1 }, encoding: { x, y, color, shape: { condition: { test: 'datum.main', value: 'circle' }, value: 'diamond' }, tooltip: tips(['variant', 'variant'], ['text', 'difference [95%]'], ['n', 'pairs'], ['p', 'Holm p'], ['verdict', 'verdict']) } },
    ],
  };
}

function normsSpec(study) {
  const values = study.norms.map((row) => ({ ...row, kind: { median: 'median', p99: '99th percentile', max: 'largest' }[row.norm], text: short(row.value) }));
  if (!values.length) return null;
  const kinds = ['median', '99th percentile', 'largest'];
  return {
    height: 33 * unique(values.map((row) => row.variant)).length, data: { values }, mark: { type: 'point', opacity: 0.75, size: 34 },
    encoding: {
      x: quantitative('value', 'gradient norm before clipping, one mark a run', { scale: { type: 'log', nice: false, padding: 10 }, axis: { format: '~g' } }), y: nominal('variant', null, { sort: null, axis: { labelLimit: room() } }),
      yOffset: { field: 'kind', type: 'nominal', sort: kinds, scale: { domain: kinds } },
      color: nominal('kind', null, { scale: { domain: kinds, range: [COLOURS[0], COLOURS[1], COLOURS[5]] } }), shape: nominal('kind', null, { scale: { domain: kinds, range: ['circle', 'square', 'triangle-up'] } }), tooltip: tips(['variant', 'variant'], ['kind', 'norm'], ['text', 'value']),
    },
  };
}

function timeSpec(study, layer, width) {
  const values = study.time.filter((row) => row.layer === layer).flatMap((row) => row.values.map((value, n) => ({ name: row.variant, t: n + 1, value, text: short(value) })).filter((point) => known(point.value)));
  if (!values.length) return null;
  return { height: 220, data: { values }, mark: { type: 'line' }, encoding: { x: quantitative('t', 'time step t', { axis: { grid: false, tickMinStep: 1 }, scale: { zero: false, nice: false } }), y: quantitative('value', '|dLoss/dh| at t', { scale: { type: 'log', nice: false, padding: 6 }, axis: { format: '~g' } }), ...styles(study.time.map((row) => row.variant), width), tooltip: tips(['name', 'variant'], ['t', 't'], ['text', 'value']) } };
}

function saturationSpec(study) {
  const values = study.saturation.flatMap((row) => [['below .01', row.low], ['above .99', row.high]].map(([side, share]) => ({ label: `${row.variant} · ${row.gate}`, variant: row.variant, gate: row.gate, side, share, text: `${short(100 * share, 3)}%` })));
  if (!values.length) return null;
  return {
    height: 15 * study.saturation.length, data: { values }, mark: { type: 'bar', height: 10 },
    encoding: { y: nominal('label', null, { sort: null, axis: { labelLimit: room(), grid: false } }), x: quantitative('share', 'share of gate values', { stack: 'zero', axis: { format: '.0%' } }), color: nominal('side', null, { sort: null, scale: { domain: ['below .01', 'above .99'], range: [COLOURS[0], COLOURS[1]] } }), tooltip: tips(['variant', 'variant'], ['gate', 'gate'], ['side', 'values'], ['text', 'share']) },
  };
}

function effectsTable(study) {
  return table({ caption: `Effects: ${study.title}`, groups: [{ heading: null, rows: study.effects }], columns: [
    { name: 'variant', words: true, value: (e) => e.variant }, { name: 'pairs', num: true, value: (e) => e.n },
    { name: 'difference [95%]', num: true, value: (e) => e.difference, cell: (e) => e.text || 'no pairs' }, { name: 'Holm p', num: true, value: (e) => (e.p === '' ? null : Number(e.p.replace('<', ''))), cell: (e) => e.p },
    { name: 'verdict', words: true, value: (e) => e.verdict, cell: (e) => [h('span', { title: e.why, class: e.verdict === 'hurts' ? 'bad' : null }, e.verdict), e.diverged ? h('span', { class: 'bad' }, `, ${e.diverged} diverged`) : ''] },
    { name: 'gradient problem', words: true, value: (e) => e.gradient, cell: (e) => h('span', { title: e.gradient_why, class: e.gradient === 'problem' ? 'bad' : null }, e.gradient) },
  ] }).node;
}

function studyPart(study) {
  const layers = unique(study.time.map((row) => row.layer)).slice(0, 6);
  return h('div', {}, h('h4', {}, study.title),
    chart(() => forestSpec(study), `Forest plot of ${study.title}: each variant's difference to ${study.baseline} with its 95% interval.`, { slim: true, height: 30 * study.effects.length + 50 }),
    h('p', { class: 'muted small' }, known(study.margin) ? `Grey: too small to matter (±${short(study.margin, 3)}). Circles: against ${study.baseline}; diamonds: against a control of the same size.` : ''),
    effectsTable(study),
    study.answers.map(({ question, answer }) => h('p', {}, h('strong', {}, `${question} `), answer.map(([text, bold]) => (bold ? h('strong', {}, text) : text)))),
    remarks(study.notes),
    h('details', { open: true }, h('summary', {}, 'gradients and gates'), h('div', { class: 'grid' },
      study.norms.length > 0 && h('div', {}, h('h4', {}, 'Gradient norms over training'), chart(() => normsSpec(study), 'Gradient norms of every run.')),
      layers.map((layer) => h('div', {}, h('h4', {}, `Gradient over time · ${layer}`), chart((width) => timeSpec(study, layer, width), `Gradient with respect to h at t in ${layer}, median over seeds.`))),
      study.saturation.length > 0 && h('div', {}, h('h4', {}, 'Saturated gates'), chart(() => saturationSpec(study), 'Share of saturated gate values.')))));
}

function ablationsSection() {
  const { found, remarks: said } = DATA.ablations;
  if (!found.length && !said.length) return;
  section('ablations', 'Ablations', 'Every variant against its baseline, paired by seed. Verdicts follow stated rules; rnnbench ablation prints them.',
    found.map((ablation) => h('div', {}, h('h3', {}, ablation.name), ablation.studies.map(studyPart))), remarks(said));
}

function framesSection() {
  const { sheets, remarks: said } = DATA.frames;
  if (!sheets.length && !said.length) return;
  section('frames', 'Predictions', 'Test clips, evenly spread and chosen by nobody; one seed an entry. Pixels are drawn as they are.',
    sheets.map((sheet) => h('div', {}, h('h3', {}, sheet.dataset), remarks(sheet.terms), h('div', { class: 'scroll', tabindex: '0' }, h('img', { class: 'picture', src: sheet.png, alt: sheet.text, width: sheet.width, height: sheet.height })))), remarks(said));
}
