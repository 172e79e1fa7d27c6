// Names in charts: measured, so that none lies on another, and broken into lines where there is little room.
const PEN = document.createElement('canvas').getContext('2d');
function textWidth(text, size = 11) {
  PEN.font = `${size}px ${CONFIG.font}`;
  return PEN.measureText(text).width;
}

// A text in lines of at most so many pixels, broken at spaces where that is possible; at most five of them.
function broken(text, limit, size = 11) {
  const lines = [''];
  for (const piece of String(text).split(/(?<=[ ,;])/)) {
    const grown = lines[lines.length - 1] + piece;
    if (textWidth(grown.trimEnd(), size) <= limit) { lines[lines.length - 1] = grown; continue; }
    if (lines[lines.length - 1]) lines.push('');
    for (const letter of piece) {
      if (textWidth(lines[lines.length - 1] + letter, size) > limit) lines.push('');
      lines[lines.length - 1] += letter;
    }
  }
  const kept = lines.map((line) => line.trim()).filter(Boolean);
  return kept.length > 5 ? [...kept.slice(0, 4), `${kept[4]}…`] : kept;
}

const AXIS_TITLE = 11.5;
const titled = (text, width) => broken(text, Math.max(120, width), AXIS_TITLE);

// Several lines of a label begin at its tick: so much higher they must be to have it in their middle.
const MIDDLE = { condition: [2, 3, 4, 5].map((lines) => ({ test: `length(split(datum.label, '\\n')) === ${lines}`, value: -6.25 * (lines - 1) })), value: 0 };

// Names of rows: whole, in several lines where the chart is narrow, as a name that is cut tells nobody which row it is.
function rowNames(names, width, step) {
  const room = Math.max(90, Math.min(290, 0.36 * width));
  const lines = new Map(unique(names).map((name) => [name, broken(name, room)]));
  const most = Math.max(1, ...[...lines.values()].map((some) => some.length));
  return {
    of: (name) => lines.get(name).join('\n'), height: Math.max(step, 12.5 * most + 6) * lines.size, plot: width - room - 30,
    axis: { labelExpr: "split(datum.label, '\\n')", labelLimit: room + 30, labelLineHeight: 12.5, labelOverlap: false, labelOffset: MIDDLE },
  };
}

// Where a name may stand about its mark; the first that is free is taken.
const SIDES = [
  { align: 'left', dx: 9, dy: -9 }, { align: 'left', dx: 9, dy: 11 }, { align: 'right', dx: -9, dy: -9 }, { align: 'right', dx: -9, dy: 11 },
  { align: 'center', dx: 0, dy: -16 }, { align: 'center', dx: 0, dy: 18 }, { align: 'left', dx: 10, dy: -22 }, { align: 'left', dx: 10, dy: 24 },
  { align: 'right', dx: -10, dy: -22 }, { align: 'right', dx: -10, dy: 24 },
];
const NAME_SIZE = 10.5;

function boxOf(mark, side, text) {
  const width = textWidth(text, NAME_SIZE);
  const left = mark.x + side.dx - { left: 0, center: width / 2, right: width }[side.align];
  return { left, right: left + width, top: mark.y + side.dy - 7, bottom: mark.y + side.dy + 7 };
}

function isFree(box, mark, marks, taken, area, clear) {
  if (box.left < 2 || box.right > area.width - 2 || box.top < 0 || box.bottom > area.height) return false;
  if (taken.some((other) => box.left < other.right + 3 && box.right + 3 > other.left && box.top < other.bottom && box.bottom > other.top)) return false;
  const inside = ({ x, y }) => box.left < x + 2 && box.right > x - 2 && box.top < y && box.bottom > y;
  if (clear && area.path.some(inside)) return false;
  return marks.every((other) => {
    const near = box.left < other.x + 8 && box.right > other.x - 8;
    if (other !== mark && near && box.top < other.y + 8 && box.bottom > other.y - 8) return false;
    const through = box.left < other.x + 1 && box.right > other.x - 1;
    return !(clear && through && box.top < other.bottom && box.bottom > other.top);
  });
}

// area: {width, height, path (points of lines)}; marks: {x, y, top, bottom (of the whisker), name, number}, all in pixels. Gives each {side, text}: its name, else its
// number, else nothing. names: whether names are tried at all; others: marks without a name, which are in the way.
function placeNames(marks, area, names, others) {
  const taken = [], all = [...marks, ...others];
  return marks.map((mark) => {
    for (const text of names ? [mark.name, mark.number] : [mark.number]) {
      for (const clear of [true, false]) { // first where no line runs through it
        const side = SIDES.findIndex((one) => isFree(boxOf(mark, one, text), mark, all, taken, area, clear));
        if (side >= 0) { taken.push(boxOf(mark, SIDES[side], text)); return { side, text }; }
      }
    }
    return { side: -1, text: '' };
  });
}
