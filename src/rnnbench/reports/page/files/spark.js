// Intervals beside the table: on one scale for each block, which stands above them.
// An error is never below 0 and an accuracy never above 1, however wide an interval over three seeds is: it is drawn up
// to there and marked as cut. Its numbers stay whole.
function ends(entry) {
  const [least, most] = BOARD.blocks[entry.block].bounds;
  if (!known(entry.low) || !known(entry.high)) return { low: null, high: null, below: false, above: false };
  const below = known(least) && entry.mean >= least && entry.low < least;
  const above = known(most) && entry.mean <= most && entry.high > most;
  return { low: below ? least : entry.low, high: above ? most : entry.high, below, above };
}

const SCALES = new Map();
function scaleOf(block) {
  if (!SCALES.has(block)) {
    const all = inBlock(block).flatMap((e) => [e.mean, ends(e).low, ends(e).high]).filter(known);
    SCALES.set(block, all.length ? [Math.min(...all), Math.max(...all)] : null);
  }
  return SCALES.get(block);
}

function sparkPlace(block, value) {
  const [low, high] = scaleOf(block);
  return Number((6 + 118 * (high > low ? (value - low) / (high - low) : 0.5)).toFixed(1));
}

function drawing130(...parts) {
  return svg('svg', { class: 'spark', viewBox: '0 0 130 18', 'aria-hidden': 'true' }, ...parts);
}

const sparkBase = () => svg('line', { class: 'base', x1: 6, x2: 124, y1: 9, y2: 9 });
const sparkFloor = (x) => svg('line', { class: 'floor', x1: x, x2: x, y1: 1, y2: 17 });
// Where an interval is cut: a point to the outside.
const sparkCut = (x, way) => svg('path', { class: 'cut', d: `M${x + 5 * way} 9 l${-6 * way} -4.5 v9 z` });

function floorPlace(block) {
  const { floor } = BOARD.blocks[block];
  const [low, high] = scaleOf(block);
  return known(floor) && floor >= low && floor <= high ? sparkPlace(block, floor) : null;
}

function interval(entry) {
  return known(entry.low) && known(entry.high) ? `${short(entry.low)} to ${short(entry.high)}` : '';
}

function spark(entry) {
  if (!known(entry.mean)) return '';
  const { low, high, below, above } = ends(entry);
  const x = (value) => sparkPlace(entry.block, value);
  const floor = floorPlace(entry.block);
  const node = drawing130(sparkBase(), ...(floor === null ? [] : [sparkFloor(floor)]));
  if (known(low)) node.append(svg('line', { class: 'range', x1: x(low), x2: x(high), y1: 9, y2: 9 }));
  if (below) node.append(sparkCut(x(low), -1));
  if (above) node.append(sparkCut(x(high), 1));
  node.append(svg('circle', { class: 'dot', cx: x(entry.mean), cy: 9, r: 3.4 }));
  const said = interval(entry) && `95% interval: ${interval(entry)}${below || above ? '; drawn as far as a value is possible' : ''}`;
  return h('span', { title: said || null }, node);
}

// A floor on the scale of the entries, which it does not move: beyond it, a point to where it lies.
function floorSpark({ block, mean }) {
  const range = scaleOf(block);
  if (!range || !known(mean)) return '';
  const [low, high] = range;
  const mark = mean < low ? sparkCut(12, -1) : mean > high ? sparkCut(118, 1) : svg('circle', { class: 'dot', cx: sparkPlace(block, mean), cy: 9, r: 3 });
  return drawing130(sparkBase(), mark);
}

// The scale of a block: its ends in numbers, and the floor where it lies between them.
function sparkScale(block) {
  const range = scaleOf(block);
  if (!range) return null;
  const floor = floorPlace(block);
  const tick = (x) => svg('line', { class: 'tick', x1: x, x2: x, y1: 4, y2: 14 });
  return h('div', { class: 'scale' }, drawing130(sparkBase(), tick(6), tick(124), ...(floor === null ? [] : [sparkFloor(floor)])),
    h('div', { class: 'ends' }, h('span', {}, short(range[0], 3)), h('span', {}, range[1] > range[0] ? short(range[1], 3) : '')));
}

function sparkKey() {
  const drawn = ENTRIES.filter((e) => known(e.mean));
  const small = (...parts) => svg('svg', { class: 'spark sign', viewBox: '50 0 30 18', 'aria-hidden': 'true' }, ...parts);
  const line = () => svg('line', { class: 'range', x1: 52, x2: 78, y1: 9, y2: 9 });
  const floors = unique(drawn.filter((e) => floorPlace(e.block) !== null).map((e) => e.block));
  return [
    drawn.some((e) => known(e.low)) && h('li', { class: 'wideonly' }, small(line(), svg('circle', { class: 'dot', cx: 65, cy: 9, r: 3.4 })), 'mean and 95% interval, on the scale above each dataset'),
    floors.length > 0 && h('li', { class: 'wideonly' }, small(sparkFloor(65)), 'the floor: what is reached without learning'),
    drawn.some((e) => ends(e).below || ends(e).above) && h('li', { class: 'wideonly' }, small(line(), sparkCut(58, -1)), 'cut: no value is possible beyond; the whole interval is in the entry'),
  ];
}
