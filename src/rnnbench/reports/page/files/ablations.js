// Ablations: effects, gradients, gates.
// A verdict has a colour and, where nothing is known, an empty mark; diamonds have no verdict of their own.
const UNSURE = { colour: '#8C8C8C', hollow: true };
const VERDICTS = { helps: { colour: COLOURS[0] }, 'helps, perhaps by its size': { colour: COLOURS[4] }, hurts: { colour: COLOURS[5] }, 'does not matter': { colour: '#8C8C8C' }, 'not enough evidence': UNSURE };
const CONTROL = { colour: '#7A5FD3' };
const lookOf = (effect) => (effect.main ? VERDICTS[effect.verdict] || UNSURE : CONTROL);

function forestSpec(study, width) {
  const shown = study.effects.filter((e) => known(e.difference));
  if (!shown.length) return null;
  const rows = rowNames(shown.map((e) => e.variant), width, 30);
  const values = shown.map((e) => ({ ...e, ...lookOf(e), row: rows.of(e.variant), verdict: e.verdict || '' }));
  const title = titled(`difference in ${study.metric} to ${study.baseline}, paired by seed (${study.goal === 'max' ? 'right' : 'left'} is better)`, rows.plot);
  const x = quantitative('difference', title, { scale: { zero: true, nice: true }, axis: { tickCount: width < 560 ? 4 : 7 } });
  const y = nominal('row', null, { sort: null, axis: { grid: false, domain: false, ticks: false, ...rows.axis } });
  const color = { field: 'colour', type: 'nominal', scale: null };
  const points = (hollow) => ({ data: { values: values.filter((v) => Boolean(v.hollow) === hollow) }, mark: { type: 'point', size: 90, opacity: 1, filled: !hollow, strokeWidth: 2.2 }, encoding: { x, y, color, shape: { condition: { test: 'datum.main', value: 'circle' }, value: 'diamond' }, tooltip: tips(['variant', 'variant'], ['text', 'difference [95%]'], ['n', 'pairs'], ['p', 'Holm p'], ['verdict', 'verdict']) } });
  return {
    height: rows.height, data: { values },
    layer: [
      ...(known(study.margin) ? [{ data: { values: [{ low: -study.margin, high: study.margin }] }, name: 'margin', mark: { type: 'rect', opacity: 0.16 }, encoding: { x: { ...x, field: 'low' }, x2: { field: 'high' } } }] : []),
      { data: { values: [{ difference: 0 }] }, name: 'rule', mark: { type: 'rule', strokeWidth: 1.2 }, encoding: { x } },
      { mark: { type: 'rule', strokeWidth: 2.6 }, encoding: { x: { ...x, field: 'low' }, x2: { field: 'high' }, y, color } },
      ...[points(false), points(true)].filter((layer) => layer.data.values.length),
    ],
  };
}

// What colours, marks and the band of a forest plot mean, of those that are in it.
function forestKey(study) {
  const drawn = study.effects.filter((e) => known(e.difference));
  const sign = (...parts) => svg('svg', { class: 'sign', viewBox: '0 0 26 14', 'aria-hidden': 'true' }, ...parts);
  const mark = ({ colour, hollow }) => [svg('line', { x1: 2, x2: 24, y1: 7, y2: 7, stroke: colour, 'stroke-width': 2.4 }), svg('circle', { class: hollow ? 'hollow' : '', cx: 13, cy: 7, r: 4.2, fill: colour, stroke: colour, 'stroke-width': 2 })];
  const verdicts = Object.keys(VERDICTS).filter((word) => drawn.some((e) => e.main && e.verdict === word));
  return h('ul', { class: 'key' },
    verdicts.map((word) => h('li', {}, sign(...mark(VERDICTS[word])), word)),
    drawn.some((e) => !e.main) && h('li', {}, sign(svg('line', { x1: 2, x2: 24, y1: 7, y2: 7, stroke: CONTROL.colour, 'stroke-width': 2.4 }), svg('path', { d: 'M13 1.5 l4.5 5.5 -4.5 5.5 -4.5 -5.5 z', fill: CONTROL.colour })), 'diamond: against a control of the same size, no verdict of its own'),
    known(study.margin) && h('li', {}, sign(svg('rect', { class: 'band', x: 4, y: 0, width: 18, height: 14 })), `grey band: too small to matter (±${short(study.margin, 3)})`));
}

function normsSpec(study, width) {
  const rows = rowNames(study.norms.map((row) => row.variant), width, 33);
  const values = study.norms.map((row) => ({ ...row, row: rows.of(row.variant), kind: { median: 'median', p99: '99th percentile', max: 'largest' }[row.norm], text: short(row.value) }));
  if (!values.length) return null;
  const kinds = ['median', '99th percentile', 'largest'];
  const legend = { columns: rows.plot < 280 ? 2 : 3 };
  return {
    height: rows.height, data: { values }, mark: { type: 'point', opacity: 0.75, size: 34 },
    encoding: {
      x: quantitative('value', titled('gradient norm before clipping, one mark a run', rows.plot), { scale: { type: 'log', nice: false, padding: 10 }, axis: { format: '~g' } }), y: nominal('row', null, { sort: null, axis: rows.axis }),
      yOffset: { field: 'kind', type: 'nominal', sort: kinds, scale: { domain: kinds } },
      color: nominal('kind', null, { legend, scale: { domain: kinds, range: [COLOURS[0], COLOURS[1], COLOURS[5]] } }), shape: nominal('kind', null, { legend, scale: { domain: kinds, range: ['circle', 'square', 'triangle-up'] } }), tooltip: tips(['variant', 'variant'], ['kind', 'norm'], ['text', 'value']),
    },
  };
}

function timeSpec(study, layer, width) {
  const values = study.time.filter((row) => row.layer === layer).flatMap((row) => row.values.map((value, n) => ({ name: row.variant, t: n + 1, value, text: short(value) })).filter((point) => known(point.value)));
  if (!values.length) return null;
  return { height: 220, data: { values }, mark: { type: 'line' }, encoding: { x: quantitative('t', 'time step t', { axis: { grid: false, tickMinStep: 1 }, scale: { zero: false, nice: false } }), y: quantitative('value', '|dLoss/dh| at t', { scale: { type: 'log', nice: false, padding: 6 }, axis: { format: '~g' } }), ...styles(study.time.map((row) => row.variant), width), tooltip: tips(['name', 'variant'], ['t', 't'], ['text', 'value']) } };
}

function saturationSpec(study, width) {
  const named = (row) => `${row.variant} ·\u00a0${row.gate}`;
  const rows = rowNames(study.saturation.map(named), width, 15);
  const values = study.saturation.flatMap((row) => [['below .01', row.low], ['above .99', row.high]].map(([side, share]) => ({ row: rows.of(named(row)), variant: row.variant, gate: row.gate, side, share, text: `${short(100 * share, 3)}%` })));
  if (!values.length) return null;
  return {
    height: rows.height, data: { values }, mark: { type: 'bar', height: 10 },
    encoding: { y: nominal('row', null, { sort: null, axis: { grid: false, ...rows.axis } }), x: quantitative('share', 'share of gate values', { stack: 'zero', axis: { format: '.0%' } }), color: nominal('side', null, { sort: null, scale: { domain: ['below .01', 'above .99'], range: [COLOURS[0], COLOURS[1]] } }), tooltip: tips(['variant', 'variant'], ['gate', 'gate'], ['side', 'values'], ['text', 'share']) },
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
    chart((width) => forestSpec(study, width), `Forest plot of ${study.title}: each variant's difference to ${study.baseline} with its 95% interval.`, { slim: true, height: 30 * study.effects.length + 50 }),
    forestKey(study),
    effectsTable(study),
    study.answers.map(({ question, answer }) => h('p', {}, h('strong', {}, `${question} `), answer.map(([text, bold]) => (bold ? h('strong', {}, text) : text)))),
    remarks(study.notes),
    h('details', { open: true }, h('summary', {}, 'gradients and gates'), h('div', { class: 'grid' },
      study.norms.length > 0 && h('div', {}, h('h4', {}, 'Gradient norms over training'), chart((width) => normsSpec(study, width), 'Gradient norms of every run.')),
      layers.map((layer) => h('div', {}, h('h4', {}, `Gradient over time · ${layer}`), chart((width) => timeSpec(study, layer, width), `Gradient with respect to h at t in ${layer}, median over seeds.`))),
      study.saturation.length > 0 && h('div', {}, h('h4', {}, 'Saturated gates'), chart((width) => saturationSpec(study, width), 'Share of saturated gate values.')))));
}

function ablationsSection() {
  const { found, remarks: said } = DATA.ablations;
  if (!found.length && !said.length) return;
  section('ablations', 'Ablations', 'Every variant against its baseline, paired by seed. Verdicts follow stated rules; rnnbench ablation prints them.',
    found.map((ablation) => h('div', {}, h('h3', {}, ablation.name), ablation.studies.map(studyPart))), remarks(said));
}
