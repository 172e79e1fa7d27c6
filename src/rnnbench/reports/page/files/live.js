// A page that is served asks now and then whether there are new records, and shows them.
function live() {
  if (!DATA.live) return;
  const said = h('span', { class: 'livedot' }, '● live');
  document.getElementById('summary').append(' · ', said);
  if (known(KEPT.scroll)) { scrollTo({ top: KEPT.scroll, behavior: 'instant' }); keep('scroll', null); }
  setInterval(async () => {
    try {
      const answer = await fetch('state', { cache: 'no-store' });
      const { state } = await answer.json();
      said.textContent = '● live';
      if (state !== DATA.live && !document.hidden) { keep('scroll', scrollY); location.reload(); }
    } catch { said.textContent = '○ not connected'; }
  }, 4000);
}
