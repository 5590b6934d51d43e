/* The table of layers, and the details of the selected one. */
const compared = data.kind === 'compile';
function shapeOf(tensors) {
  const shapes = (tensors || []).map(([, shape]) => shape);
  return shapes.length > 1 && new Set(shapes).size === 1 ? `${shapes.length} of ${shapes[0]}` : shapes.join(', ');
}
const typeOf = (layer) => layer.held && compared ? layer.held : layer.dtype || '';
function part(layer) { return layer.part_of === undefined ? '' : `with ${layers[layer.part_of].name}`; }
function verdictText(layer) {
  const { verdict, name } = judged(layer);
  const word = { differs: '✕ differs', none: 'all undefined' }[verdict] || verdict || part(layer);
  return verdict && layer.compared_as !== undefined ? `${word} as ${name}` : word;
}
const decibel = (x) => x === undefined ? '' : x === null ? 'exact' : digits(x);
const order = (x) => x === null ? Infinity : x;
const SHAPES = [
  { head: 'Type', get: (l) => l.type },
  { head: 'Input', get: (l) => shapeOf(l.in) },
  { head: 'Output', get: (l) => shapeOf(l.out) },
  { head: 'Data type', get: typeOf },
];
const COLUMNS = [
  { head: 'Layer', get: (l) => l.name },
  ...(compared ? [
    { head: 'Verdict', get: verdictText },
    { head: 'Isolated error', num: true, get: (l) => order(l.isolated), show: (l) => digits(l.isolated) },
    { head: 'Accumulated', num: true, get: (l) => order(l.accumulated), show: (l) => digits(l.accumulated) },
  ] : []),
  ...(compared ? [
    ...SHAPES,
    { head: 'Where', get: (l) => l.type === 'Input' ? '' : l.place },
    ...(data.time ? [
      { head: 'Cycles', num: true, get: (l) => l.cycles, show: (l) => whole(l.cycles) },
      { head: 'Share', num: true, get: (l) => l.share, show: (l) => percent(l.share), meter: (l) => l.share },
      { head: 'Multipliers', num: true, get: (l) => l.macs ? l.use : undefined, show: (l) => l.macs ? percent(l.use) : '' },
      { head: 'DDR', num: true, get: (l) => l.read === undefined ? undefined : l.read + l.written,
        show: (l) => l.read === undefined ? '' : bytes(l.read + l.written) },
      { head: 'Bound by', get: (l) => l.bound || '' },
    ] : []),
  ] : [
    { head: 'Held as', get: (l) => l.held || part(l) },
    { head: 'Threshold', num: true, get: (l) => l.threshold ?? undefined, show: (l) => l.threshold == null ? '' : digits(l.threshold) },
    { head: 'Range used', num: true, get: (l) => l.used ?? undefined, show: (l) => percent(l.used) },
    { head: 'Saturated', num: true, get: (l) => l.saturated ?? undefined, show: (l) => percent(l.saturated) },
    { head: 'Isolated SQNR, dB', num: true, get: (l) => order(l.sqnr), show: (l) => decibel(l.sqnr) },
    { head: 'Cosine', num: true, get: (l) => l.cosine ?? undefined, show: (l) => cosine(l.cosine) },
    { head: 'Accumulated SQNR, dB', num: true, get: (l) => order(l.sqnr_all), show: (l) => decibel(l.sqnr_all) },
    { head: 'Cosine', num: true, get: (l) => l.cosine_all ?? undefined, show: (l) => cosine(l.cosine_all) },
    ...SHAPES,
  ]),
];
let focusRow = () => {};

function buildTable() {
  let sorted = -1, falling = false;
  const rows = layers.map((layer, at) => {
    const row = make('tr', { tabindex: '-1', 'aria-selected': 'false' }, ...COLUMNS.map((column, i) => {
      const text = String(column.show ? column.show(layer) : column.get(layer) ?? '');
      const bad = text.startsWith('✕ differs') ? ' bad' : '';
      const cell = make(i ? 'td' : 'th', {
        class: (column.num ? 'num' : '') + bad, scope: i ? null : 'row', title: text.length > 20 ? text : null,
      }, cut(text, 28));
      if (column.meter && column.meter(layer) !== undefined) {
        const fill = make('i');
        fill.style.width = `${Math.min(100, 100 * column.meter(layer) / most)}%`;
        cell.append(make('span', { class: 'meter', 'aria-hidden': 'true' }, fill));
      }
      return cell;
    }));
    row.addEventListener('click', () => { select(at, 'table'); row.focus({ preventScroll: true }); });
    return row;
  });
  const body = make('tbody', {}, ...rows);
  const heads = COLUMNS.map((column, i) => make('th', {
    scope: 'col', class: column.num ? 'num' : null, 'aria-sort': 'none',
  }, make('button', { onclick: () => sort(i) }, column.head)));
  $('table-box').append(make('table', {},
    make('caption', { class: 'hidden' }, 'Layers of the network'),
    make('thead', {}, make('tr', {}, ...heads)), body));
  const count = make('span', { 'aria-live': 'polite' });
  const text = make('input', { type: 'search', placeholder: 'Name or type', 'aria-label': 'Filter by name or type', oninput: filter });
  const choice = (label, get) => {
    const values = [...new Set(layers.map(get).filter(Boolean))].sort();
    const box = make('select', { 'aria-label': label, onchange: filter },
      make('option', { value: '' }, `${label}: all`),
      ...values.map((value, i) => make('option', { value: String(i + 1) }, cut(value, 30))));
    return { box, fits: (layer) => !box.value || get(layer) === values[box.value - 1] };
  };
  const choices = [choice('Type', (l) => l.type), choice('Data type', typeOf),
    ...(compared ? [choice('Where', (l) => l.type === 'Input' ? '' : l.place),
      choice('Verdict', (l) => judged(l).verdict || '')] : [choice('Held as', (l) => l.held || '')])];
  $('table-bar').append(text, ...choices.map((each) => each.box), count);
  let shown = layers.map((_, at) => at);

  function sort(column) {
    falling = sorted === column ? !falling : Boolean(COLUMNS[column].num);
    sorted = column;
    heads.forEach((head, i) => head.setAttribute('aria-sort',
      i !== column ? 'none' : falling ? 'descending' : 'ascending'));
    filter();
  }
  function compare(a, b) {
    const x = COLUMNS[sorted].get(layers[a]), y = COLUMNS[sorted].get(layers[b]);
    const empty = (v) => v === undefined || v === '' || v === null;
    if (empty(x) || empty(y)) return empty(x) - empty(y) || a - b;
    const found = typeof x === 'number' ? (x < y ? -1 : x > y ? 1 : 0)
      : String(x).localeCompare(String(y), 'en', { numeric: true });
    return (falling ? -found : found) || a - b;
  }
  function filter() {
    const word = text.value.toLowerCase();
    shown = layers.map((_, at) => at).filter((at) => {
      const layer = layers[at];
      return `${layer.name}\n${layer.type}`.toLowerCase().includes(word)
        && choices.every((each) => each.fits(layer));
    });
    if (sorted >= 0) shown.sort(compare);
    body.replaceChildren(...shown.map((at) => rows[at]));
    count.textContent = `${shown.length} of ${layers.length} rows`;
    reachable();
  }
  function reachable() {
    const inside = shown.includes(selected) ? selected : shown[0];
    rows.forEach((row, at) => row.setAttribute('tabindex', at === inside ? '0' : '-1'));
  }
  body.addEventListener('keydown', (event) => {
    const now = shown.indexOf(rows.indexOf(event.target)), last = shown.length - 1;
    const to = { ArrowDown: Math.min(last, now + 1), ArrowUp: Math.max(0, now - 1), Home: 0, End: last }[event.key];
    if (event.key === 'Enter' && now >= 0) {
      select(shown[now], 'keys');
      $('graph-box').focus();
      $('graph').scrollIntoView({ block: 'start' });
    } else if (to !== undefined && now >= 0) {
      select(shown[to], 'table');
      rows[shown[to]].focus();
    } else return;
    event.preventDefault();
  });
  hears.push((at, from) => {
    rows.forEach((row, i) => row.setAttribute('aria-selected', String(i === at)));
    reachable();
    if (from !== 'table') {
      const box = $('table-box'), top = rows[at].offsetTop;
      box.scrollTop = top - box.clientHeight / 2;
    }
  });
  focusRow = () => {
    const at = shown.includes(selected) ? selected : shown[0];
    if (at === undefined) return;
    $('layers').scrollIntoView({ block: 'start' });
    rows[at].focus();
  };
  filter();
}
const most = Math.max(1e-9, ...layers.map((layer) => layer.share || 0));

function buildDetails() {
  const box = $('details');
  const worst = layers.map((layer, at) => ({ layer, at }))
    .filter(({ layer }) => data.time ? layer.share : layer.sqnr != null && layer.held !== 'float')
    .sort((a, b) => data.time ? b.layer.share - a.layer.share : a.layer.sqnr - b.layer.sqnr).slice(0, 10);
  box.append(make('p', {}, 'Select a layer in the graph, the table or the timeline: its tensors, its time and its error are shown here.'));
  if (worst.length) box.append(make('h3', {}, data.time ? 'The slowest layers' : 'The layers with the largest errors'),
    make('ul', { class: 'list' }, ...worst.map(({ layer, at }) => make('li', {},
      make('button', { onclick: () => select(at, 'list') }, make('span', {}, layer.name),
        make('span', {}, data.time ? percent(layer.share) : `${decibel(layer.sqnr)} dB`))))));
  hears.push((at) => {
    const l = layers[at];
    const pairs = [
      ['Type', l.type], ['In the file', l.where], ['Runs', l.type === 'Input' ? '' : `on the ${l.place}`],
      ['Computed', part(l)],
      ...(l.in || []).map(([name, shape, type]) => ['Input', `${name}: ${shape} ${type}`]),
      ...(l.out || []).map(([name, shape, type]) => ['Output', `${name}: ${shape} ${type}`]),
      ['Verdict', judged(l).verdict && verdictText(l)],
      ...(l.cycles === undefined ? [] : [
        ['Time', `${whole(l.cycles)} cycles, ${micro(l.cycles)}, ${percent(l.share)}`],
        ['Tensor unit', `${whole(l.tiu)} cycles at work`], ['DMA', `${whole(l.gdma)} cycles at work`],
        ['Bound by', l.bound], ['Products', l.macs ? `${whole(l.macs)}, ${percent(l.use)} of the multipliers` : ''],
        ['DDR read', bytes(l.read)], ['DDR written', bytes(l.written)]]),
      ...(l.tensors || []).flatMap(([name, shape, type, isolated, accumulated, unequal, size]) => [
        ['Compared', `${name}: ${shape} ${type}, isolated ${digits(isolated)}, accumulated ${digits(accumulated)}; ${whole(unequal)} of ${whole(size)} elements differ`]]),
      ...(compared ? [] : [
        ['Held as', l.held], ['Threshold', l.threshold == null ? '' : digits(l.threshold)],
        ['Range used', percent(l.used)], ['Saturated', percent(l.saturated)],
        ['SQNR', l.sqnr === undefined ? '' : `${decibel(l.sqnr)} dB isolated, ${decibel(l.sqnr_all)} dB accumulated`],
        ['Right shift', l.shift === undefined ? '' : String(l.shift)],
        ['Alone at the outputs', l.cost === undefined ? '' : `SQNR ${decibel(l.cost)} dB`]]),
    ].filter(([, value]) => value);
    box.replaceChildren(...[make('h3', {}, l.name),
      l.sentence ? make('p', { class: 'bad' }, l.sentence) : null,
      make('dl', {}, ...pairs.flatMap(([name, value]) => [make('dt', {}, name), make('dd', {}, value)])),
      l.settings ? make('pre', { tabindex: '0', 'aria-label': 'Settings' }, l.settings) : null].filter(Boolean));
    box.scrollTop = 0;
  });
}
