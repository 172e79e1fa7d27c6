// Tables: sorted by their headings, filtered from outside, long ones opened on request.
const ROWS = 100;

// What is wider than its place scrolls in a frame that shows on which side there is more, and that keys can scroll.
function sideways(content, name) {
  const inner = h('div', { class: 'scroll' }, content);
  const node = h('div', { class: 'sideways' }, inner);
  node.told = () => {
    const more = inner.scrollWidth - inner.clientWidth;
    node.classList.toggle('before', more > 2 && inner.scrollLeft > 2);
    node.classList.toggle('after', more > 2 && inner.scrollLeft < more - 2);
    for (const [key, value] of [['tabindex', '0'], ['role', 'region'], ['aria-label', name]]) {
      if (more > 2) inner.setAttribute(key, value); else inner.removeAttribute(key);
    }
  };
  inner.addEventListener('scroll', node.told, { passive: true });
  if (typeof ResizeObserver === 'function') { const sizes = new ResizeObserver(node.told); sizes.observe(inner); sizes.observe(content); }
  return node;
}

// columns: {name, value(row): what it sorts by, cell(row): a node or text, num, words, best: 'low' | 'high', title}.
// groups: [{heading: nodes or null, rows, under(column): what a row below the heading shows}]: rows are sorted within
// their group. beside: rows that are shown and sorted with these, at the end where nothing is sorted, as long as any of
// these is shown; they are not filtered, counted or opened. open(row): what a click on a row does.
function table({ columns, groups, caption, kind = '', open = null, look = null, sort = null, limit = ROWS }) {
  const state = { sort: sort === null ? null : { column: columns.findIndex((c) => c.name === sort), down: false }, pass: () => true, all: new Set() };
  const heads = columns.map((column, n) => h('th', { scope: 'col', class: [column.num && 'num', column.wideonly && 'wideonly'].filter(Boolean).join(' ') || null, title: column.title },
    column.value ? h('button', { type: 'button', onclick: () => turn(n) }, column.name, h('span', { 'aria-hidden': 'true' }, '')) : column.name));
  const body = h('table', { class: kind }, h('caption', { class: 'skip' }, caption), h('thead', {}, h('tr', {}, heads)));
  const node = sideways(body, caption);
  const api = { node, shown: 0, filter(pass) { state.pass = pass; fill(); } };

  function turn(n) {
    const same = state.sort && state.sort.column === n;
    state.sort = { column: n, down: same ? !state.sort.down : columns[n].best === 'high' };
    fill();
  }

  function ordered(rows) {
    if (!state.sort) return rows;
    const { value } = columns[state.sort.column];
    const sign = state.sort.down ? -1 : 1;
    const missing = (v) => v === null || v === undefined || v === '' || Number.isNaN(v);
    return rows.map((row, n) => [value(row), n, row]).sort(([a, i], [b, j]) => {
      if (missing(a) || missing(b)) return missing(a) - missing(b) || i - j;
      const way = typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b), 'en', { numeric: true });
      return sign * way || i - j;
    }).map(([, , row]) => row);
  }

  function line(row, isBeside) {
    const tr = h('tr', { class: isBeside ? 'beside' : [open && 'open', look && look(row)].filter(Boolean).join(' ') || null },
      columns.map((column) => h('td', { 'data-name': column.name, class: [column.num && 'num', column.words && 'words', column.wideonly && 'wideonly', column.tight && 'tight'].filter(Boolean).join(' ') || null }, column.cell ? column.cell(row) : String(column.value(row) ?? ''))));
    if (open && !isBeside) tr.addEventListener('click', (event) => { if (!String(getSelection())) open(row, event); });
    return tr;
  }

  function fill() {
    heads.forEach((th, n) => {
      const mine = state.sort && state.sort.column === n;
      if (mine) th.setAttribute('aria-sort', state.sort.down ? 'descending' : 'ascending'); else th.removeAttribute('aria-sort');
      const arrow = th.querySelector('span');
      if (arrow) arrow.textContent = mine ? (state.sort.down ? ' ▼' : ' ▲') : '';
    });
    body.querySelectorAll('tbody').forEach((old) => old.remove());
    api.shown = 0;
    groups.forEach((group, n) => {
      const rows = ordered(group.rows.filter(state.pass));
      if (!rows.length) return;
      api.shown += rows.length;
      const part = state.all.has(n) ? rows : rows.slice(0, limit);
      const rest = rows.length - part.length;
      const beside = new Set(group.beside);
      body.append(h('tbody', {},
        group.heading && h('tr', {}, h('th', { class: 'group', scope: 'rowgroup', colspan: columns.length }, group.heading)),
        group.under && h('tr', { class: 'under' }, columns.map((column) => h('td', { class: column.wideonly ? 'wideonly' : null }, group.under(column)))),
        ordered([...part, ...beside]).map((row) => line(row, beside.has(row))),
        rest > 0 && h('tr', {}, h('td', { colspan: columns.length }, h('button', { type: 'button', class: 'more', onclick: () => { state.all.add(n); fill(); } }, `Show ${rest.toLocaleString('en')} more`)))));
    });
    if (!api.shown) body.append(h('tbody', {}, h('tr', {}, h('td', { colspan: columns.length, class: 'muted' }, 'Nothing fits.'))));
  }

  // Up and down go from row to row, as in any list.
  node.addEventListener('keydown', (event) => {
    if (!open || !['ArrowDown', 'ArrowUp'].includes(event.key) || !event.target.classList.contains('name')) return;
    const names = [...node.querySelectorAll('.name')];
    const next = names[names.indexOf(event.target) + (event.key === 'ArrowDown' ? 1 : -1)];
    if (next) { event.preventDefault(); next.focus(); }
  });
  fill();
  return api;
}
