// Learning curves: entries of one block that the reader picks.
const CURVES = DATA.curves.entries;

function series(place, metric) {
  const mine = CURVES[place];
  if (!mine || !mine.metrics[metric]) return null;
  return { name: ENTRIES[place].label, steps: mine.steps, rows: mine.metrics[metric], ids: mine.seeds.map((seed, n) => `seed ${seed ?? mine.runs[n]}`) };
}

function metricsOf(places) {
  return unique(places.flatMap((place) => Object.keys(CURVES[place].metrics)));
}

function curvesSection() {
  const withCurves = ENTRIES.filter((e) => CURVES[e.place]);
  const left = DATA.curves.left_out ? [`Curves of ${many(DATA.curves.left_out, 'entry', 'entries')} further down the ranks are left out.`] : [];
  if (!withCurves.length) {
    section('curves', 'Learning curves', null, remarks([DATA.curves.why]));
    return;
  }
  const blocks = unique(withCurves.map((e) => e.block));
  const body = h('div', {});
  const block = choice('curves-block', 'dataset and budget', blocks.map((n) => [n, blockName(n)]), largest(blocks), fill);
  section('curves', 'Learning curves', 'Thick: mean over seeds; band: from the lowest to the highest seed; thin: single seeds. A run that diverged ends where it did.',
    h('div', { class: 'controls' }, block.node), body, remarks(left));

  function fill() {
    const mine = withCurves.filter((e) => e.block === Number(block.value));
    const picked = new Set(mine.slice(0, 4).map((e) => e.place));
    const names = metricsOf(mine.map((e) => e.place));
    const redraw = () => drawn.redraw();
    const metric = choice('curves-metric', 'metric', names.map((n) => [n, n]), names[0], redraw);
    const log = tick('curves-log', 'logarithmic', false, redraw);
    const seeds = tick('curves-seeds', 'single seeds', mine.slice(0, 4).reduce((n, e) => n + CURVES[e.place].runs.length, 0) <= 20, redraw);
    const boxes = mine.slice(0, 24).map((e) => {
      const box = h('input', { type: 'checkbox', onchange: () => { if (box.checked) picked.add(e.place); else picked.delete(e.place); redraw(); } });
      box.checked = picked.has(e.place);
      return h('label', {}, box, e.label);
    });
    const drawn = chart((width) => curveSpec([...picked].sort((a, b) => a - b).map((place) => series(place, metric.value)).filter(Boolean), metric.value, width, { log: log.value, seeds: seeds.value }),
      'Learning curves of the picked entries.', { height: 340 });
    body.replaceChildren(h('div', { class: 'controls' }, metric.node, log.node, seeds.node), h('fieldset', { class: 'picks' }, h('legend', {}, 'entries'), boxes), drawn);
    if (ready) drawn.redraw();
  }
  fill();
}
