// The page, from top to bottom.
let ready = false;
document.getElementById('title').textContent = DATA.title;
document.getElementById('summary').textContent = [many(DATA.runs, 'run'), many(ENTRIES.length, 'entry', 'entries'), unique(BOARD.blocks.map((b) => b.dataset)).join(', '), DATA.provenance.last && `last finished ${DATA.provenance.last}`].filter(Boolean).join(' · ');
for (const build of [boardSection, paretoSection, curvesSection, searchesSection, ablationsSection, framesSection, coverageSection, provenanceSection]) build();
document.getElementById('foot').textContent = `rnnbench ${DATA.version}. This file holds everything it shows and loads nothing.`;
ready = true;
entryDialog();
live();
if (typeof IntersectionObserver === 'function') {
  const links = new Map([...document.querySelectorAll('#nav a')].map((a) => [a.getAttribute('href').slice(1), a]));
  const seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) { links.forEach((a) => a.removeAttribute('aria-current')); links.get(target.id).setAttribute('aria-current', 'true'); }
    }
  }, { rootMargin: '-20% 0px -70% 0px' });
  document.querySelectorAll('main section').forEach((node) => seen.observe(node));
}
document.documentElement.dataset.ready = String(Math.round(performance.now()));
drawRest();
