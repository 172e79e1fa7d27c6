// What the search finds: words of an entry, and axis=value or option=value.
const AXES = ['dataset', 'budget', 'metric', 'cell', 'operator', 'peephole', 'direction', 'depth', 'hidden_size', 'device', 'precision', 'backend', 'settings'];
const SHORT_FOR = { h: 'hidden_size', hidden: 'hidden_size', layers: 'depth' };

function axis(entry, name) {
  const block = BOARD.blocks[entry.block];
  const value = ['dataset', 'budget', 'metric'].includes(name) ? block[name] : entry[name];
  return value === null || value === undefined ? undefined : String(value).toLowerCase();
}

function wordsOf(entry) {
  const block = BOARD.blocks[entry.block];
  const said = Object.values(entry).filter((value) => typeof value === 'string');
  return [...said, block.title, block.metric, ...AXES.map((name) => `${name}=${axis(entry, name) ?? ''}`)].join(' ').toLowerCase();
}

// Options of configs by name, in small letters: whole, and without the groups before the last dot.
const OPTIONS = new Map();
for (const own of [BOARD.configs.shared, ...Object.values(BOARD.configs.own)]) {
  for (const key of Object.keys(own)) {
    for (const name of unique([key, key.slice(key.lastIndexOf('.') + 1)])) {
      const known = OPTIONS.get(name.toLowerCase()) || new Set();
      OPTIONS.set(name.toLowerCase(), known.add(key));
    }
  }
}

// The values that an entry has under a name of an axis or an option.
function held(entry, name) {
  const whole = SHORT_FOR[name] || name;
  if (AXES.includes(whole)) return [axis(entry, whole)].filter((value) => value !== undefined);
  const own = BOARD.configs.own[entry.place];
  if (!own) return [];
  return [...OPTIONS.get(whole) || []].map((key) => own[key] ?? BOARD.configs.shared[key]).filter((value) => value !== undefined).map((value) => String(value).toLowerCase());
}

const alike = (value, wanted) => value === wanted || (wanted !== '' && Number(value) === Number(wanted));

// depth=2 is not depth=20; but while no entry has exactly what is typed, a beginning will do.
function wordTest(word) {
  const cut = word.indexOf('=');
  const anywhere = (entry) => entry.words.includes(word);
  if (cut < 1) return anywhere;
  const name = word.slice(0, cut), wanted = word.slice(cut + 1);
  const exact = (entry) => held(entry, name).some((value) => alike(value, wanted));
  if (ENTRIES.some(exact)) return exact;
  const numeric = wanted !== '' && !Number.isNaN(Number(wanted));
  return (entry) => anywhere(entry) || (!numeric && held(entry, name).some((value) => value.startsWith(wanted)));
}
