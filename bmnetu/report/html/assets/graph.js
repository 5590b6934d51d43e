/* The graph: nodes are buttons in an SVG that can be moved and zoomed. */
function buildGraph() {
  const HALF_W = 84, HALF_H = 20;
  const { nodes, edges, width, height } = data.graph;
  const box = $('graph-box'), map = $('minimap');
  const root = make('g');
  const svg = make('svg', { 'aria-hidden': 'true' }, root);
  box.append(svg);
  const view = { x: 0, y: 0, k: 1 };
  let scale = data.first_bad !== null && data.first_bad !== undefined ? 'error'
    : data.time ? 'time' : 'error';
  const before = nodes.map(() => []), after = nodes.map(() => []);
  const lines = edges.map(([a, b, points]) => {
    after[a].push(b);
    before[b].push(a);
    const path = [[nodes[a][0], nodes[a][1] + HALF_H]];
    for (let i = 0; i < points.length; i += 2) path.push([points[i], points[i + 1]]);
    path.push([nodes[b][0], nodes[b][1] - HALF_H]);
    let d = `M${path[0]}`;
    for (let i = 1; i < path.length; i++) {
      const [x0, y0] = path[i - 1], [x1, y1] = path[i], middle = (y0 + y1) / 2;
      d += x0 === x1 ? `L${x1},${y1}` : `C${x0},${middle} ${x1},${middle} ${x1},${y1}`;
    }
    const line = make('path', { class: 'edge', d });
    root.append(line);
    return { a, b, line };
  });
  const drawn = nodes.map(([x, y], at) => {
    const layer = layers[at];
    const rect = make('rect', { x: -HALF_W, y: -HALF_H, width: 2 * HALF_W, height: 2 * HALF_H, rx: 6 });
    const name = make('text', { x: 0, y: -3, 'text-anchor': 'middle' }, cut(layer.name, 24));
    const sub = make('text', { x: 0, y: 12, 'text-anchor': 'middle', class: 'sub' });
    const group = make('g', { class: 'node', transform: `translate(${x},${y})` },
      make('title', {}, `${layer.name}\n${layer.type}`), rect, name, sub);
    group.addEventListener('click', () => { if (!dragged) select(at, 'graph'); });
    root.append(group);
    return { group, rect, name, sub };
  });

  function metric(layer) {
    if (scale === 'time') return layer.share === undefined ? '' : percent(layer.share);
    if (scale === 'type') return layer.place === 'CPU' ? 'CPU' : layer.dtype || '';
    if (data.kind === 'compile') return judged(layer).verdict || '';
    return layer.sqnr === undefined ? '' : layer.sqnr === null ? 'exact' : `${digits(layer.sqnr)} dB`;
  }
  function paint() {
    const chosen = scales[scale];
    drawn.forEach(({ group, rect, name, sub }, at) => {
      const layer = layers[at], bin = chosen.of(layer);
      const fill = bin === null ? css('--node') : chosen.colours[bin];
      const ink = bin === null ? css('--text') : inkOn(fill);
      rect.setAttribute('fill', fill);
      name.setAttribute('fill', ink);
      sub.setAttribute('fill', ink);
      const wrong = judged(layer).verdict === 'differs';
      sub.textContent = cut([layer.type, metric(layer)].filter(Boolean).join(' · '), 28);
      name.textContent = (wrong ? '✕ ' : '') + cut(layer.name, wrong ? 22 : 24);
      group.classList.toggle('wrong', wrong);
    });
    const used = new Set(layers.map(chosen.of));
    legend.replaceChildren(...chosen.words.map((word, i) =>
      scale !== 'type' || used.has(i) ? make('li', {}, chip(chosen.colours[i]), word) : '').filter(Boolean),
    ...(used.has(null) ? [make('li', {}, chip(css('--node')), chosen.none)] : []));
    drawMap();
  }
  function chip(colour) {
    const mark = make('span', { class: 'chip' });
    mark.style.background = colour;
    return mark;
  }
  function move() {
    const w = box.clientWidth, h = box.clientHeight, k = view.k;
    const low = (size, full) => Math.min(40, size - full * k - 40);
    view.x = width * k < w ? (w - width * k) / 2 : Math.max(low(w, width), Math.min(40, view.x));
    view.y = height * k < h ? (h - height * k) / 2 : Math.max(low(h, height), Math.min(40, view.y));
    root.setAttribute('transform', `translate(${view.x},${view.y}) scale(${k})`);
    svg.classList.toggle('far', k < 0.45);
    drawMap();
  }
  function zoom(factor, cx = box.clientWidth / 2, cy = box.clientHeight / 2) {
    const least = Math.min(1, box.clientWidth / (width + 80), box.clientHeight / (height + 80));
    const k = Math.max(Math.min(least, 0.1), Math.min(3, view.k * factor));
    view.x = cx - (cx - view.x) * k / view.k;
    view.y = cy - (cy - view.y) * k / view.k;
    view.k = k;
    move();
  }
  function fit() {
    view.k = Math.min(1, box.clientWidth / (width + 40), box.clientHeight / (height + 40));
    view.x = view.y = 0;
    move();
  }
  function begin() {
    view.k = Math.max(0.6, Math.min(1, box.clientWidth / (width + 40)));
    centre(0);
  }
  function centre(at) {
    view.x = box.clientWidth / 2 - nodes[at][0] * view.k;
    view.y = box.clientHeight / 2 - nodes[at][1] * view.k;
    move();
  }
  function reveal(at) {
    if (at >= nodes.length) return;
    const x = nodes[at][0] * view.k + view.x, y = nodes[at][1] * view.k + view.y;
    if (view.k < 0.5) view.k = 0.8;
    else if (x > 90 && x < box.clientWidth - 90 && y > 40 && y < box.clientHeight - 40) return;
    centre(at);
  }
  function drawMap() {
    const ratio = devicePixelRatio || 1, w = map.clientWidth, h = map.clientHeight;
    if (!w || !h) return;
    map.width = w * ratio;
    map.height = h * ratio;
    const pen = map.getContext('2d');
    pen.scale(ratio, ratio);
    const fx = (w - 12) / width, fy = (h - 12) / height;
    nodes.forEach(([x, y], at) => {
      const bin = scales[scale].of(layers[at]);
      pen.fillStyle = bin === null ? css('--node') : scales[scale].colours[bin];
      const tall = Math.max(1.5, Math.min(8, 40 * fy));
      const wide = Math.max(3, Math.min(w - 12, 2 * HALF_W * fx));
      pen.fillRect(6 + x * fx - wide / 2, 6 + y * fy - tall / 2, wide, tall);
    });
    pen.strokeStyle = css('--focus');
    pen.lineWidth = 2;
    const left = Math.max(1, 6 - view.x / view.k * fx), top = Math.max(1, 6 - view.y / view.k * fy);
    pen.strokeRect(left, top, Math.min(w - 1 - left, box.clientWidth / view.k * fx),
      Math.min(h - 1 - top, box.clientHeight / view.k * fy));
  }

  /* Pointers: one moves, two zoom. */
  const pointers = new Map();
  let dragged = false, spread = 0;
  box.addEventListener('pointerdown', (event) => {
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    dragged = false;
  });
  addEventListener('pointermove', (event) => {
    const old = pointers.get(event.pointerId);
    if (!old) return;
    const dx = event.clientX - old[0], dy = event.clientY - old[1];
    if (!dragged && Math.hypot(dx, dy) < 4) return;
    dragged = true;
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (pointers.size === 1) {
      view.x += dx;
      view.y += dy;
      move();
      return;
    }
    const [p, q] = [...pointers.values()], now = Math.hypot(p[0] - q[0], p[1] - q[1]);
    const place = box.getBoundingClientRect();
    if (spread) zoom(now / spread, (p[0] + q[0]) / 2 - place.left, (p[1] + q[1]) / 2 - place.top);
    spread = now;
  });
  const release = (event) => { pointers.delete(event.pointerId); spread = 0; };
  addEventListener('pointerup', release);
  addEventListener('pointercancel', release);
  box.addEventListener('wheel', (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const place = box.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY / 300), event.clientX - place.left, event.clientY - place.top);
  }, { passive: false });
  map.addEventListener('pointerdown', (event) => {
    const place = map.getBoundingClientRect();
    view.x = box.clientWidth / 2 - (event.clientX - place.left - 6) / (place.width - 12) * width * view.k;
    view.y = box.clientHeight / 2 - (event.clientY - place.top - 6) / (place.height - 12) * height * view.k;
    move();
  });

  /* Keys: up to a layer that is read, down to one that reads, left and right within the row. */
  function step(key) {
    if (selected < 0 || selected >= nodes.length) return 0;
    if (key === 'ArrowUp') return before[selected][0] ?? selected;
    if (key === 'ArrowDown') return after[selected][0] ?? selected;
    const [x, y] = nodes[selected], sign = key === 'ArrowLeft' ? -1 : 1;
    const beside = nodes.map((_, at) => at)
      .filter((at) => nodes[at][1] === y && sign * (nodes[at][0] - x) > 0)
      .sort((a, b) => sign * (nodes[a][0] - nodes[b][0]));
    return beside[0] ?? selected;
  }
  box.addEventListener('keydown', (event) => {
    const { key } = event;
    if (key.startsWith('Arrow')) { select(step(key), 'graph'); reveal(selected); }
    else if (key === '+' || key === '=') zoom(1.25);
    else if (key === '-') zoom(0.8);
    else if (key === '0') fit();
    else if (key === 'Enter') focusRow();
    else return;
    event.preventDefault();
  });
  hears.push((at, from) => {
    drawn.forEach(({ group }, i) => group.classList.toggle('selected', i === at));
    for (const { a, b, line } of lines) line.classList.toggle('near', a === at || b === at);
    if (from !== 'graph') reveal(at);
  });

  const legend = make('ul', { class: 'legend', 'aria-label': 'Colours' });
  const offered = Object.keys(scales).filter((name) => name !== 'time' || data.time);
  const buttons = offered.map((name) => make('button', {
    'aria-pressed': String(name === scale),
    onclick: () => {
      scale = name;
      buttons.forEach((button, i) => button.setAttribute('aria-pressed', String(offered[i] === name)));
      paint();
    },
  }, scales[name].label));
  $('graph-bar').append(
    make('span', { class: 'group', role: 'group', 'aria-label': 'Colour by' }, 'Colour by', ...buttons),
    make('span', { class: 'group', role: 'group', 'aria-label': 'Zoom' },
      make('button', { onclick: () => zoom(1.4), 'aria-label': 'Zoom in' }, '+'),
      make('button', { onclick: () => zoom(1 / 1.4), 'aria-label': 'Zoom out' }, '−'),
      make('button', { onclick: fit }, 'Show all')), legend);
  begin();
  paint();
  let size = box.clientWidth;
  return {
    repaint: () => {
      paint();
      if (box.clientWidth === size) return move();
      size = box.clientWidth;
      if (selected >= 0 && selected < nodes.length) centre(selected);
      else begin();
    },
  };
}
