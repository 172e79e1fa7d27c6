// What became of all runs, and where they come from.
function coverageSection() {
  const data = DATA.coverage;
  const lost = data.failures.reduce((sum, row) => sum + row.runs, 0);
  const statuses = data.statuses.filter((status) => status === 'ok' || data.counts.some((row) => row[status]));
  const parts = [];
  if (data.sweeps.length) {
    parts.push(h('h3', {}, 'Sweeps'), table({ caption: 'Sweeps', kind: 'stack', groups: [{ heading: null, rows: data.sweeps }], columns: [
      { name: 'sweep', words: true, value: (s) => s.name },
      { name: 'recorded', best: 'high', value: (s) => (s.planned ? s.recorded / s.planned : s.recorded), cell: (s) => (s.planned === null ? s.recorded.toLocaleString('en') : [h('progress', { max: s.planned || 1, value: s.recorded, 'aria-label': `${s.recorded} of ${s.planned}` }), ` ${s.recorded.toLocaleString('en')} of ${s.planned.toLocaleString('en')}`]) },
      { name: 'ended ok', num: true, best: 'high', value: (s) => s.ok }, { name: 'command', words: true, cell: (s) => h('code', {}, s.command) },
    ] }).node);
  }
  parts.push(h('h3', {}, lost ? `${many(lost, 'run')} did not end ok` : 'Failures'));
  parts.push(lost ? table({ caption: 'Failures by reason', kind: 'stack', limit: 50, groups: [{ heading: null, rows: data.failures }], columns: [
    { name: 'status', value: (f) => f.status, cell: (f) => h('span', { class: 'badge bad' }, f.status) }, { name: 'runs', num: true, best: 'high', value: (f) => f.runs },
    { name: 'entry', words: true, value: (f) => f.label }, { name: 'dataset', value: (f) => f.dataset },
    { name: 'reason', words: true, value: (f) => f.reason }, { name: 'for example', cell: (f) => f.ids.map((id) => [h('code', {}, id), ' ']) },
  ] }).node : h('p', { class: 'good' }, 'Every recorded run ended ok.'));
  if (data.skipped.length) parts.push(h('h3', {}, 'Skipped'), table({ caption: 'Skipped cells', groups: [{ heading: null, rows: data.skipped }], columns: [{ name: 'sweep', value: (s) => s.sweep }, { name: 'cells', num: true, best: 'high', value: (s) => s.cells }, { name: 'reason', words: true, value: (s) => s.reason }] }).node);
  if (data.not_run.length) parts.push(h('h3', {}, 'Not run'), table({ caption: 'What was not run', groups: [{ heading: null, rows: data.not_run }], columns: [{ name: 'sweep', value: (s) => s.sweep }, { name: 'runs', value: (s) => s.runs }, { name: 'entry', words: true, value: (s) => s.entry }] }).node);
  if (data.damaged.length) parts.push(h('h3', {}, 'Records that cannot be read'), table({ caption: 'Damaged records', groups: [{ heading: null, rows: data.damaged }], columns: [{ name: 'run', value: (s) => s.record, cell: (s) => h('code', {}, s.record) }, { name: 'problem', words: true, value: (s) => s.problem }] }).node);
  parts.push(h('h3', {}, 'Runs by entry'), table({ caption: 'Runs by entry and status', limit: 25, groups: [{ heading: null, rows: data.counts }], columns: [
    { name: 'entry', words: true, value: (c) => c.label }, { name: 'dataset', value: (c) => c.dataset }, { name: 'budget', value: (c) => c.budget },
    ...statuses.map((status) => ({ name: status, num: true, best: 'high', value: (c) => c[status], cell: (c) => (c[status] ? String(c[status]) : '·') })), { name: 'all', num: true, best: 'high', value: (c) => c.total },
  ] }).node, remarks(data.left_out ? [`${many(data.left_out, 'row')} are left out.`] : []));
  section('coverage', 'Coverage', 'A run that failed is part of the result: how every run ended, and why.', parts);
}

function provenanceSection() {
  const data = DATA.provenance;
  const groups = table({ caption: 'Where runs were made', kind: 'stack', limit: 30, groups: [{ heading: null, rows: data.groups }], columns: [
    { name: 'runs', num: true, best: 'high', value: (g) => g.runs },
    { name: 'commit', value: (g) => g.commit, cell: (g) => [h('code', { title: g.commit }, (g.commit || 'no checkout').slice(0, 12)), g.dirty ? h('span', { class: 'bad' }, ' with uncommitted changes') : '', g.stale ? h('span', { class: 'bad' }, ' stale') : ''] },
    { name: 'source', value: (g) => g.source_hash, cell: (g) => h('code', {}, g.source_hash || '') }, { name: 'torch', value: (g) => g.torch },
    { name: 'device', value: (g) => g.device }, { name: 'precision', value: (g) => g.precision }, { name: 'backend', value: (g) => g.backend }, { name: 'threads', num: true, value: (g) => g.threads, cell: (g) => String(g.threads ?? '') },
    { name: 'machine', words: true, value: (g) => g.host },
  ] });
  const shared = Object.entries(BOARD.configs.shared).sort(([a], [b]) => a.localeCompare(b, 'en'));
  section('provenance', 'Provenance', 'On what, with what, from which source, and the commands that make it again.',
    facts([['first started', data.first], ['last finished', data.last], ['hours in all runs', short(data.hours, 3)], ['record schema', String(data.schema ?? '')]]), groups.node,
    DATA.coverage.sweeps.some((s) => s.command) && [h('h3', {}, 'Again'), h('pre', {}, DATA.coverage.sweeps.map((s) => s.command).filter(Boolean).join('\n'))],
    Object.keys(data.packages).length > 0 && [h('h3', {}, 'Versions'), h('p', { class: 'mono' }, Object.entries(data.packages).map(([name, version]) => `${name} ${version}`).join(' · '))],
    shared.length > 0 && h('details', {}, h('summary', {}, `${many(shared.length, 'option')} that all entries share`), h('pre', {}, shared.map(([k, v]) => `${k}=${v}`).join('\n'))));
}
