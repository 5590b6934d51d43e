/* Options, versions and files; then everything is put together. */
function buildOrigin() {
  const block = (title, table) => make('div', {}, make('h3', {}, title), table);
  const hashes = plainTable(['File', 'Name', 'SHA-256'], data.hashes.map((row) => row));
  for (const row of hashes.querySelectorAll('tbody tr')) row.lastChild.className = 'hash';
  const body = $('origin-body');
  body.append(block('Options', plainTable(['Flag', 'Value', 'Set by'], data.options)),
    make('div', {}, block('Versions', plainTable(['Package', 'Version'], data.versions)),
      make('p', {}), block('Files', hashes)));
  if (data.notes.length) body.append(block('Notes', make('ul', {}, ...data.notes.map((note) => make('li', {}, note)))));
}

const graphView = buildGraph();
buildTable();
buildDetails();
const timeView = buildTime();
buildCalibration();
buildOrigin();
for (const section of document.querySelectorAll('main > section:not([hidden])')) {
  const title = section.querySelector('h2').textContent;
  const words = { verdict: 'Verdict', losses: 'Losses', time: 'Timeline', memory: 'Memory', histograms: 'Histograms', origin: 'Files' };
  $('sections').append(make('a', { href: `#${section.id}` }, words[section.id] || title));
}
if (data.first_bad !== null && data.first_bad !== undefined) {
  const link = make('button', { onclick: () => { select(data.first_bad, 'verdict'); $('graph').scrollIntoView({ block: 'start' }); } }, 'Show the first bad layer');
  document.querySelector('.verdict').append(link);
  select(data.first_bad, 'verdict');
}
function repaint() {
  graphView.repaint();
  if (timeView) timeView.repaint();
}
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', repaint);
let pending = 0;
addEventListener('resize', () => {
  cancelAnimationFrame(pending);
  pending = requestAnimationFrame(repaint);
});
