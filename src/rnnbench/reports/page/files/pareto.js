// Speed and accuracy: what a result costs. Names stand where they are free; where they are not, marks have numbers and
// the names stand below.
const COSTS = { train_seconds: 'training time, s', params: 'parameters' };

function paretoSection() {
  const blocks = BOARD.blocks.map((_, n) => n).filter((n) => inBlock(n).some((e) => known(e.mean) && (known(e.params) || known(e.train_seconds))));
  if (!blocks.length) return;
  const redraw = () => drawn.redraw();
  const names = h('ol', { class: 'marks' });
  const block = choice('pareto-block', 'dataset and budget', blocks.map((n) => [n, blockName(n)]), largest(blocks), redraw);
  const cost = choice('pareto-cost', 'cost', [['train_seconds', 'training time'], ['params', 'parameters']], 'train_seconds', redraw);
  const log = tick('pareto-log', 'logarithmic result', false, redraw);
  const drawn = chart((width) => paretoSpec(Number(block.value), cost.value, { width, log: log.value, names }), 'Result over cost, one mark an entry; entries that no other beats in both are joined by a line.', { height: 380 });
  section('pareto', 'Speed and accuracy', 'What a result costs. Ringed and joined: entries that no other beats in both; upright: the 95% interval, as far as a value is possible. Times are joined only under one device, precision and backend, and are missing where an entry ran on several machines.',
    h('div', { class: 'controls' }, block.node, cost.node, log.node), drawn, names);
}

function paretoValues(place, cost, log) {
  const positive = (value) => !log || value > 0;
  return inBlock(place).filter((e) => known(e.mean) && positive(e.mean) && known(e[cost]) && e[cost] > 0).map((e) => ({
    label: e.label, cost: e[cost], mean: e.mean, low: ends(e).low, high: ends(e).high, on: [e.device, e.precision, e.backend].filter(Boolean).join(' '), interval: interval(e),
    result: e.result, price: cost === 'params' ? e.params_text : `${e.seconds_text} s`, front: e.front.includes(cost), family: e.cell || 'other', place: e.place, rank: e.rank,
  }));
}

// The ends of an axis with some room, and the place of a value between them, 0 to 1. low, high: the smallest and largest.
function axisOf(low, high, log, room) {
  const to = log ? Math.log : Number, from = log ? Math.exp : Number;
  const least = to(low), most = to(high);
  const more = (most - least || Math.abs(most) * 0.1 || 1) * room;
  const [a, b] = [least - more, most + more];
  return { domain: [from(a), from(b)], place: (value) => (to(value) - a) / (b - a), from: from(a) };
}

// The axis of results. A logarithm has no 0: a whisker that goes there ends at a tenth of the smallest mean.
function resultAxis(values, log) {
  const means = values.map((v) => v.mean);
  const shown = values.flatMap((v) => [v.low, v.high, v.mean]).filter(known);
  const least = log ? Math.max(Math.min(...means) / 10, Math.min(...shown.filter((v) => v > 0))) : Math.min(...shown);
  if (log) values.forEach((v) => { if (known(v.low)) v.low = Math.max(v.low, least); });
  return axisOf(least, Math.max(...shown), log, 0.05);
}

// Points of the line that joins the front, near enough to each other for no name to slip between.
function frontPath(marks) {
  const ordered = marks.slice().sort((a, b) => a.x - b.x);
  return ordered.slice(1).flatMap((mark, n) => Array.from({ length: 60 }, (_, k) => {
    const share = (k + 0.5) / 60, before = ordered[n];
    return { x: before.x + share * (mark.x - before.x), y: before.y + share * (mark.y - before.y) };
  }));
}

// Round numbers on a logarithmic axis, about so many; where too few of them lie on it, Vega chooses.
function roundTicks([low, high], most) {
  for (const digits of [[1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 3, 5, 7], [1, 2, 5], [1, 3], [1]]) {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) found.push(...digits.map((d) => Number(`${d}e${power}`)).filter((v) => v >= low && v <= high));
    if (found.length >= 3 && found.length <= most) return { values: found, tickCount: 30 }; // or some lose their label
  }
  return { tickCount: Math.round(most / 2) };
}

function namedMarks(values, across, up, area, names) {
  const order = values.filter((v) => v.front || values.length <= 14).sort((a, b) => b.front - a.front || a.cost - b.cost);
  const at = (value) => area.height * (1 - up.place(value));
  const marks = values.map((v) => ({ x: area.width * across.place(v.cost), y: at(v.mean), top: at(v.high ?? v.mean), bottom: at(v.low ?? v.mean), name: v.label, number: String(v.rank), value: v }));
  const wanted = order.map((v) => marks.find((mark) => mark.value === v));
  const rest = marks.filter((mark) => !wanted.includes(mark));
  area.path = frontPath(marks.filter((mark) => mark.value.front));
  let placed = placeNames(wanted, area, true, rest);
  const whole = placed.every((found, n) => found.text === wanted[n].name);
  if (!whole && area.width < 560) placed = placeNames(wanted, area, false, rest);
  names.replaceChildren(...(whole && !rest.length ? [] : values.slice(0, 40).map((v) => h('li', {}, h('span', { class: 'rank' }, String(v.rank)), h('button', { type: 'button', class: 'link', onclick: () => openEntry(v.place) }, v.label)))));
  return placed.map((found, n) => ({ ...wanted[n].value, ...found })).filter((found) => found.side >= 0);
}

function paretoSpec(place, cost, { width, log, names }) {
  const block = BOARD.blocks[place];
  const values = paretoValues(place, cost, log);
  if (!values.length) { names.replaceChildren(); return null; }
  const best = values.filter((v) => v.front).map((v) => ({ ...v, group: cost === 'params' ? '' : v.on }));
  const costs = values.map((v) => v.cost);
  const across = axisOf(Math.min(...costs), Math.max(...costs), true, 0.07), up = resultAxis(values, log);
  // The axis on the left has a fixed width, so that it is known here where every mark will be.
  const area = { width: width - 14 - 48 - 22, height: 360 };
  const text = namedMarks(values, across, up, area, names);
  const x = quantitative('cost', COSTS[cost], { scale: { type: 'log', nice: false, domain: across.domain }, axis: { format: '.3~s', ...roundTicks(across.domain, area.width / 45) } });
  const y = quantitative('mean', block.heading, { scale: { type: log ? 'log' : 'linear', nice: false, domain: up.domain, ...(log ? {} : { zero: false }) }, axis: { minExtent: 48, maxExtent: 48, ...(log ? { format: '~g', ...roundTicks(up.domain, 14) } : {}) } });
  const families = unique(values.map((v) => v.family));
  const few = families.length <= COLOURS.length && families.length > 1;
  const legend = { columns: Math.max(1, Math.floor(area.width / (34 + Math.max(...families.map((name) => textWidth(name, 11.5)))))) };
  const color = few ? nominal('family', null, { sort: null, legend, scale: { domain: families, range: COLOURS.slice(0, families.length) } }) : { value: COLOURS[0] };
  const tooltip = tips(['label', 'entry'], ['result', block.heading], ['interval', '95% interval'], ['price', cost === 'params' ? 'parameters' : 'training'], ['on', 'on']);
  const named = SIDES.map((side, n) => ({ data: { values: text.filter((v) => v.side === n) }, name: `name_${n}`, mark: { type: 'text', ...side, fontSize: NAME_SIZE, baseline: 'middle' }, encoding: { x, y, text: { field: 'text' } } })).filter((one) => one.data.values.length);
  return {
    height: area.height, data: { values },
    layer: [
      { data: { values: best }, name: 'rule', mark: { type: 'line', strokeWidth: 1.2, strokeDash: [4, 3], color: '#8C8C8C' }, encoding: { x, y, detail: { field: 'group' }, order: { field: 'cost' } } },
      { mark: { type: 'rule', strokeWidth: 1.4, opacity: values.length > 40 ? 0.15 : 0.55 }, encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' }, color } },
      { mark: { type: 'point', size: 64, opacity: 0.95 }, encoding: { x, y, color, shape: few ? nominal('family', null, { sort: null, legend, scale: { domain: families } }) : undefined, tooltip } },
      { data: { values: best }, mark: { type: 'point', filled: false, size: 190, strokeWidth: 1.6, color: '#8C8C8C' }, encoding: { x, y, tooltip } },
      ...named,
    ],
  };
}
