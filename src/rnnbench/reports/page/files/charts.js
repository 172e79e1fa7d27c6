// Charts by Vega-Lite. Fields have fixed names and records only give values, so no text of a record is ever read as an
// expression. Neutral colours come from the page's style, so that dark mode and print need no second drawing.
const WAITING = [];
let drawing = false;

const CONFIG = {
  background: null, autosize: { type: 'fit-x', contains: 'padding' }, font: 'system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif', padding: { left: 4, right: 10, top: 4, bottom: 4 },
  view: { stroke: null },
  axis: { labelFontSize: 11, titleFontSize: 11.5, titleFontWeight: 500, labelLimit: 190, grid: true, tickSize: 4, labelOverlap: true },
  legend: { labelFontSize: 11.5, titleFontSize: 11.5, labelLimit: 260, orient: 'top', direction: 'horizontal', symbolStrokeWidth: 2.5, title: null },
  point: { size: 46, filled: true }, line: { strokeWidth: 1.8 }, text: { fontSize: 11 },
};

function tip(_, event, __, value) {
  const box = document.getElementById('tip');
  if (value === null || value === undefined || value === '') { box.hidden = true; return; }
  const rows = typeof value === 'object' ? Object.entries(value) : [['', value]];
  box.replaceChildren(...rows.filter(([, text]) => text !== '' && text !== null && text !== 'null')
    .map(([name, text]) => h('div', {}, h('span', {}, name), h('span', {}, String(text)))));
  box.hidden = false;
  const { clientX: x, clientY: y } = event;
  box.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - box.offsetWidth - 8))}px`;
  box.style.top = `${Math.max(4, Math.min(y + 14, innerHeight - box.offsetHeight - 8))}px`;
}

const tips = (...pairs) => pairs.map(([field, title]) => ({ field, title, type: 'nominal' }));

// A chart that is drawn when it comes near the window, or when the page has nothing else to do (so that print has all).
function chart(make, description, { slim = false, height = 260 } = {}) {
  const node = h('div', { class: slim ? 'chart slim' : 'chart', role: 'img', 'aria-label': description });
  node.style.minHeight = `${height}px`;
  const job = { node, make, done: false, view: null };
  node.redraw = () => { job.done = false; draw(job); };
  WAITING.push(job);
  if (NEAR) NEAR.observe(node);
  return node;
}

const NEAR = typeof IntersectionObserver === 'function' ? new IntersectionObserver((seen) => {
  for (const { target, isIntersecting } of seen) {
    if (isIntersecting) { NEAR.unobserve(target); draw(WAITING.find((job) => job.node === target)); }
  }
}, { rootMargin: '300px' }) : null;

async function draw(job) {
  if (!job || job.done || !job.node.isConnected) return;
  job.done = true;
  job.width = job.node.clientWidth;
  const spec = job.make(job.width);
  if (job.view) { job.view.finalize(); job.view = null; }
  if (!spec) { job.node.replaceChildren(h('p', { class: 'muted small' }, 'Nothing to draw.')); job.node.style.minHeight = '0'; return; }
  const full = { $schema: 'https://vega.github.io/schema/vega-lite/v6.json', width: 'container', ...spec, config: CONFIG };
  job.view = await vegaEmbed(job.node, full, { ast: true, renderer: 'svg', actions: false, defaultStyle: false, tooltip: tip, mode: 'vega-lite' });
  job.node.style.minHeight = '0';
}

// Names are placed for one width: where it changes (a phone that is turned), charts are made anew.
let resized = 0;
addEventListener('resize', () => {
  clearTimeout(resized);
  resized = setTimeout(() => WAITING.filter((job) => job.done && job.node.clientWidth > 0 && job.node.clientWidth !== job.width).forEach((job) => job.node.redraw()), 200);
});

async function drawRest() {
  if (drawing) return;
  drawing = true;
  for (const job of WAITING) {
    await new Promise((next) => { (window.requestIdleCallback || setTimeout)(next); });
    if (!job.done) await draw(job).catch((error) => console.error(error));
  }
  drawing = false;
  document.documentElement.dataset.drawn = 'yes';
}

const quantitative = (field, title, more = {}) => ({ field, type: 'quantitative', title, ...more });
const nominal = (field, title, more = {}) => ({ field, type: 'nominal', title, ...more });

// Colour and dash by name, in the order of the names: eight colours, then the same dashed. width: of the chart.
function styles(names, width) {
  const domain = unique(names);
  const colours = domain.map((_, n) => COLOURS[n % COLOURS.length]);
  const dashes = domain.map((_, n) => DASHES[Math.floor(n / COLOURS.length) % DASHES.length]);
  const columns = Math.max(1, Math.floor(width / (46 + 6.2 * Math.max(...domain.map((name) => Math.min(42, name.length))))));
  const legend = domain.length > 1 ? { columns, symbolType: 'stroke', symbolOpacity: 1, symbolStrokeWidth: 3 } : null;
  const one = { field: 'name', type: 'nominal', title: null, sort: null, legend };
  return { color: { ...one, scale: { domain, range: colours } }, strokeDash: { ...one, scale: { domain, range: dashes } } };
}

// Several runs on shared steps: a line a seed, their mean, and a band from the lowest to the highest.
function curveSpec(series, title, width, { log = false, seeds = true, height = 300 } = {}) {
  const middle = [], single = [];
  for (const { name, steps, rows, ids } of series) {
    steps.forEach((step, n) => {
      const values = rows.map((row) => row[n]).filter((v) => known(v) && (!log || v > 0));
      if (!values.length) return;
      const mean = values.reduce((a, b) => a + b, 0) / values.length;
      middle.push({ name, step, mean, low: Math.min(...values), high: Math.max(...values), n: values.length, text: short(mean, 5) });
    });
    if (seeds) rows.forEach((row, r) => row.forEach((value, n) => {
      if (known(value) && (!log || value > 0)) single.push({ name, step: steps[n], value, run: `${name} ${ids[r]}`, seed: ids[r] });
    }));
  }
  if (!middle.length) return null;
  const look = styles(series.map((one) => one.name), width);
  const { color } = look;
  const scale = log ? { type: 'log' } : { zero: false };
  const x = quantitative('step', 'update', { axis: { grid: false, format: ',d' }, scale: { nice: false } });
  const layer = [
    { data: { values: middle }, mark: { type: 'area', opacity: 0.16 }, encoding: { x, y: quantitative('low', title, { scale }), y2: { field: 'high' }, color } },
    { data: { values: middle }, mark: { type: 'line', strokeWidth: 2.2 }, encoding: { x, y: quantitative('mean', title, { scale }), ...look } },
    { data: { values: middle }, mark: { type: 'point', opacity: 0, size: 90 }, encoding: { x, y: quantitative('mean', title, { scale }), tooltip: tips(['name', 'entry'], ['step', 'update'], ['text', 'mean'], ['n', 'runs']) } },
  ];
  if (seeds) layer.splice(1, 0, { data: { values: single }, mark: { type: 'line', strokeWidth: 0.8, opacity: 0.55 }, encoding: { x, y: quantitative('value', title, { scale }), detail: { field: 'run' }, color } });
  return { height, layer };
}
