/* What INT8 loses, and the histograms behind the thresholds. */
const SHOWN_LOSSES = 5;
const WORDS = { joined: 'Scale too coarse for an operand', channels: 'Channels with few levels',
  saturated: 'Saturation', biases: 'Clipped biases', layer: 'A layer with a large error', output: 'A poor output' };
function buildCalibration() {
  if (data.kind !== 'calibrate') return;
  $('losses').hidden = false;
  const body = $('losses-body');
  const lines = data.losses.map((loss) => make('div', { class: 'loss' },
    make('p', {}, make('b', {}, `${WORDS[loss.kind] || loss.kind}: `), loss.said),
    make('p', {}, `What helps: ${loss.help}`)));
  body.append(...lines.slice(0, SHOWN_LOSSES));
  if (lines.length > SHOWN_LOSSES) body.append(make('details', {},
    make('summary', {}, `${lines.length - SHOWN_LOSSES} more`), ...lines.slice(SHOWN_LOSSES)));
  if (!data.losses.length) body.append(make('p', {}, 'Nothing looks lost: no blob saturates much, no channel has few levels, no output is poor.'));
  if (data.outputs.length) body.append(make('h3', {}, `Outputs against the float net, on ${data.samples} samples`),
    plainTable(['Output', 'SQNR, dB', 'Cosine'], data.outputs.map(([name, sqnr, similar]) =>
      [name, decibel(sqnr), cosine(similar)]), [1, 2]));
  if (data.costs.length) body.append(make('h3', {}, 'What each layer alone costs at the outputs, the worst first'),
    plainTable(['Layer', 'SQNR, dB', 'Cosine'], data.costs.map(([name, sqnr, similar]) =>
      [name, decibel(sqnr), cosine(similar)]), [1, 2]));
  if (!data.histograms.length) return;
  $('histograms').hidden = false;
  const FIRST = 12;
  let all = false;
  const word = make('input', { type: 'search', placeholder: 'Name', 'aria-label': 'Filter blobs by name', oninput: draw });
  const sorting = make('select', { 'aria-label': 'Order', onchange: draw },
    make('option', { value: 'worst' }, 'Lowest SQNR first'), make('option', { value: 'saturated' }, 'Most saturated first'),
    make('option', { value: 'net' }, 'In the order of the net'));
  const more = make('button', { onclick: () => { all = !all; draw(); } });
  $('histogram-bar').append(word, sorting, more);
  function draw() {
    const low = word.value.toLowerCase();
    const found = data.histograms.filter((each) => each.blob.toLowerCase().includes(low));
    const rank = (each) => sorting.value === 'worst' ? order(each.sqnr ?? null)
      : sorting.value === 'saturated' ? -each.beyond : 0;
    found.sort((a, b) => (rank(a) - rank(b)) || 0);
    const shown = all ? found : found.slice(0, FIRST);
    $('histogram-body').replaceChildren(...shown.map(histogram));
    more.hidden = found.length <= FIRST;
    more.textContent = all ? `Show ${FIRST}` : `Show all ${found.length}`;
  }
  draw();
}

function histogram(each) {
  const bins = each.counts, most = Math.log1p(Math.max(1, ...bins));
  const reach = Math.max(each.largest, each.threshold || 0), W = 240, H = 84;
  const wide = each.largest / reach * W / bins.length;
  const bars = bins.map((count, i) => {
    const h = Math.log1p(count) / most * H, middle = (i + 0.5) / bins.length * each.largest;
    return count ? make('rect', { x: i * wide, y: H - h, width: Math.max(0.6, wide * 0.92), height: h,
      class: each.threshold !== null && middle > each.threshold ? 'out' : 'in' }) : null;
  });
  const x = each.threshold === null ? null : Math.min(W - 1, each.threshold / reach * W);
  const said = `0 to ${digits(each.largest)}, threshold ${each.threshold === null ? 'none (float)' : digits(each.threshold)}, ${percent(each.beyond)} beyond it`;
  const box = make('div', { class: 'histogram' }, make('h3', {}, each.blob),
    make('svg', { viewBox: `0 0 ${W} ${H}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': `Histogram of ${each.blob}: ${said}` },
      ...bars, x === null ? null : make('line', { x1: x, x2: x, y1: 0, y2: H })),
    make('p', {}, said),
    make('p', {}, `${each.held}${each.sqnr === undefined ? '' : `, SQNR ${decibel(each.sqnr)} dB by itself`}`));
  if (each.layer >= 0) {
    const link = make('button', { onclick: () => { select(each.layer, 'histogram'); $('graph').scrollIntoView({ block: 'start' }); } }, 'Show the layer');
    box.append(link);
  }
  return box;
}
