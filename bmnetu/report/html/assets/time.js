/* Timeline and local memory: two canvases with one view of the time. */
const LEFT = 64, ROW = 34, AXIS = 24, CURVE = 90, MAP = 200;

function prepared(canvas, height) {
  const ratio = devicePixelRatio || 1, width = canvas.clientWidth;
  canvas.style.height = `${height}px`;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext('2d');
  pen.scale(ratio, ratio);
  pen.font = '12px system-ui, sans-serif';
  pen.textBaseline = 'middle';
  return { pen, width };
}

function buildTime() {
  if (!data.time) return null;
  $('time').hidden = false;
  $('memory').hidden = false;
  const { total, engines } = data.time, memory = data.memory;
  const names = Object.keys(engines);
  const timeCanvas = $('time-canvas'), memoryCanvas = $('memory-canvas');
  const view = { a: 0, b: Math.max(1, total) };
  const highest = Math.max(memory.peak, ...memory.blocks.map((block) => block[2] + block[3]));
  const shown = Math.max(1024, Math.min(memory.lane_bytes, Math.ceil(highest / 16384) * 16384));
  const at = (cycle, width) => LEFT + (cycle - view.a) / (view.b - view.a) * (width - LEFT - 8);
  const cycleAt = (x, width) => view.a + (x - LEFT) / (width - LEFT - 8) * (view.b - view.a);

  function axis(pen, width, y) {
    const span = (view.b - view.a) / data.time.mhz;
    const rough = span / Math.max(2, width / 130), power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
    pen.fillStyle = css('--dim');
    pen.textAlign = 'center';
    for (let i = Math.ceil(view.a / data.time.mhz / step); i * step <= view.b / data.time.mhz; i++) {
      const us = i * step, x = at(us * data.time.mhz, width);
      pen.fillRect(x, y, 1, 4);
      const places = Math.max(0, -Math.floor(Math.log10(step)));
      if (x < width - 24) pen.fillText(`${us.toLocaleString('en', { maximumFractionDigits: places })} µs`, x, y + 14);
    }
  }
  function drawTime() {
    const { pen, width } = prepared(timeCanvas, names.length * (ROW + 8) + AXIS + 8);
    names.forEach((name, row) => {
      const y = 8 + row * (ROW + 8);
      pen.fillStyle = css('--node');
      pen.fillRect(LEFT, y, width - LEFT - 8, ROW);
      pen.save();
      pen.beginPath();
      pen.rect(LEFT, y, width - LEFT - 8, ROW);
      pen.clip();
      for (const [start, length, layer] of engines[name]) {
        if (start + length < view.a || start > view.b) continue;
        const x = at(start, width), w = Math.max(1, at(start + length, width) - x);
        pen.fillStyle = layerColour(layer);
        pen.fillRect(x, y, w, ROW);
        if (layer === selected) {
          pen.fillStyle = css('--text');
          pen.fillRect(x, y, w, 4);
          pen.fillRect(x, y + ROW - 4, w, 4);
        }
        if (w > 46 && layer >= 0) {
          pen.fillStyle = inkOn(layerColour(layer));
          pen.textAlign = 'left';
          pen.fillText(cut(layers[layer].name, Math.floor((w - 6) / 7)), Math.max(x, LEFT) + 4, y + ROW / 2);
        }
      }
      pen.restore();
      pen.fillStyle = css('--text');
      pen.textAlign = 'right';
      pen.fillText(name.toUpperCase() === 'GDMA' ? 'DMA' : name.toUpperCase(), LEFT - 10, y + ROW / 2);
    });
    axis(pen, width, names.length * (ROW + 8) + 8);
  }
  function drawMemory() {
    const { pen, width } = prepared(memoryCanvas, CURVE + MAP + AXIS + 24);
    const lane = shown, top = 8, mapTop = top + CURVE + 8;
    pen.fillStyle = css('--node');
    pen.fillRect(LEFT, top, width - LEFT - 8, CURVE);
    pen.fillRect(LEFT, mapTop, width - LEFT - 8, MAP);
    pen.save();
    pen.beginPath();
    pen.rect(LEFT, top, width - LEFT - 8, CURVE + MAP + 8);
    pen.clip();
    pen.fillStyle = css('--accent');
    memory.curve.forEach(([cycle, used], i) => {
      const end = i + 1 < memory.curve.length ? memory.curve[i + 1][0] : total;
      if (end < view.a || cycle > view.b) return;
      const x = at(cycle, width), h = used / lane * CURVE;
      pen.fillRect(x, top + CURVE - h, Math.max(1, at(end, width) - x), h);
    });
    for (const [start, length, offset, size, layer] of memory.blocks) {
      if (start + length < view.a || start > view.b) continue;
      const x = at(start, width), w = Math.max(1, at(start + length, width) - x);
      const y = mapTop + offset / lane * MAP, h = Math.max(1, size / lane * MAP);
      pen.fillStyle = layerColour(layer);
      pen.globalAlpha = selected < 0 || selected === layer ? 1 : 0.45;
      pen.fillRect(x, y, w, h);
    }
    pen.globalAlpha = 1;
    const peak = at(memory.peak_at, width);
    pen.fillStyle = css('--focus');
    pen.fillRect(peak - 1, top, 2, CURVE + MAP + 8);
    pen.restore();
    pen.fillStyle = css('--text');
    pen.textAlign = 'right';
    pen.fillText(bytes(lane), LEFT - 8, top + 6);
    pen.fillText('0', LEFT - 8, top + CURVE - 6);
    pen.fillText('0', LEFT - 8, mapTop + 6);
    pen.fillText(bytes(lane), LEFT - 8, mapTop + MAP - 6);
    axis(pen, width, mapTop + MAP + 2);
  }
  function draw() { drawTime(); drawMemory(); }
  function set(a, b) {
    const length = Math.max(Math.min(50, total), Math.min(total, b - a));
    view.a = Math.max(0, Math.min(total - length, a));
    view.b = view.a + length;
    draw();
  }
  function zoom(factor, middle = (view.a + view.b) / 2) {
    set(middle - (middle - view.a) / factor, middle + (view.b - middle) / factor);
  }
  const all = () => set(0, total);
  function toLayer() {
    const bars = names.flatMap((name) => engines[name]).filter((bar) => bar[2] === selected);
    if (!bars.length) return;
    const a = Math.min(...bars.map((bar) => bar[0])), b = Math.max(...bars.map((bar) => bar[0] + bar[1]));
    set(a - (b - a) * 0.1, b + (b - a) * 0.1);
  }
  $('time-bar').append(make('span', { class: 'group', role: 'group', 'aria-label': 'Zoom of the time' },
    make('button', { onclick: () => zoom(1.6), 'aria-label': 'Zoom in' }, '+'),
    make('button', { onclick: () => zoom(1 / 1.6), 'aria-label': 'Zoom out' }, '−'),
    make('button', { onclick: all }, 'Show all'),
    make('button', { onclick: toLayer }, 'Zoom to the selected layer')));

  function found(canvas, event) {
    const place = canvas.getBoundingClientRect(), x = event.clientX - place.left, y = event.clientY - place.top;
    const width = canvas.clientWidth, cycle = cycleAt(x, width), slack = (view.b - view.a) / width;
    if (x < LEFT) return null;
    if (canvas === timeCanvas) {
      const name = names[Math.floor((y - 8) / (ROW + 8))];
      const bar = (engines[name] || []).find(([start, length]) => cycle >= start - slack && cycle <= start + length + slack);
      return bar && { layer: bar[2], text: `${name === 'gdma' ? 'DMA' : name.toUpperCase()}: ${micro(bar[1])} from ${micro(bar[0])} on\n${whole(bar[4])} commands, ${whole(bar[3])} cycles at work` };
    }
    const offset = (y - 16 - CURVE) / MAP * shown;
    if (offset < 0) {
      const step = memory.curve.findLast(([start]) => start <= cycle);
      return step && { layer: -1, text: `${bytes(step[1])} of each lane in use at ${micro(Math.max(0, cycle))}` };
    }
    const block = memory.blocks.findLast(([start, length, low, size]) =>
      cycle >= start && cycle <= start + length && offset >= low && offset < low + size);
    return block && { layer: block[4], text: `${bytes(block[3])} of each lane from offset ${bytes(block[2])} on\nfrom ${micro(block[0])} to ${micro(block[0] + block[1])}` };
  }
  for (const canvas of [timeCanvas, memoryCanvas]) {
    let grip = null, moved = false;
    canvas.addEventListener('pointerdown', (event) => {
      grip = { x: event.clientX, a: view.a, b: view.b };
      moved = false;
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener('pointermove', (event) => {
      if (grip && Math.abs(event.clientX - grip.x) > 3) {
        moved = true;
        const shift = (grip.x - event.clientX) / (canvas.clientWidth - LEFT) * (grip.b - grip.a);
        set(grip.a + shift, grip.b + shift);
      }
      const hit = found(canvas, event);
      tip(event, hit ? (hit.layer >= 0 ? `${layers[hit.layer].name || '(added by the compiler)'} (${layers[hit.layer].type})\n` : '') + hit.text : '');
    });
    canvas.addEventListener('pointerup', (event) => {
      const hit = moved ? null : found(canvas, event);
      if (hit && hit.layer >= 0) select(hit.layer, 'time');
      grip = null;
    });
    canvas.addEventListener('pointercancel', () => { grip = null; });
    canvas.addEventListener('pointerleave', (event) => tip(event, ''));
    canvas.addEventListener('wheel', (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoom(Math.exp(-event.deltaY / 300), cycleAt(event.clientX - canvas.getBoundingClientRect().left, canvas.clientWidth));
    }, { passive: false });
    canvas.addEventListener('keydown', (event) => {
      const step = (view.b - view.a) / 8;
      const bars = engines[names[0]], now = bars.findIndex((bar) => bar[2] === selected);
      const next = (sign) => {
        let i = now;
        do i += sign; while (bars[i] && bars[i][2] === selected);
        const bar = bars[i] || (now < 0 && bars[0]);
        if (!bar) return;
        select(bar[2], 'time');
        if (bar[0] < view.a || bar[0] + bar[1] > view.b) set(bar[0] - step * 4, bar[0] + step * 4);
      };
      const actions = {
        ArrowLeft: () => set(view.a - step, view.b - step), ArrowRight: () => set(view.a + step, view.b + step),
        ArrowUp: () => next(-1), ArrowDown: () => next(1), '+': () => zoom(1.6), '=': () => zoom(1.6),
        '-': () => zoom(1 / 1.6), 0: all, Enter: () => focusRow(),
      };
      if (!actions[event.key]) return;
      actions[event.key]();
      event.preventDefault();
    });
  }
  hears.push(draw);

  const unknown = Object.entries(data.time.unknown).map(([kind, count]) => `${kind} (${count})`);
  $('time-note').textContent = 'An estimate by the vendor\'s cost model, no measurement.'
    + (unknown.length ? ` Commands of unknown cost, counted as 0 cycles: ${unknown.join(', ')}.` : '');
  timeCanvas.setAttribute('aria-label', `Timeline of ${whole(total)} cycles, ${micro(total)}; the table of layers has its numbers.`);
  describeMemory(memory);
  memoryCanvas.setAttribute('aria-label', $('memory-text').textContent);
  draw();
  return { repaint: draw };
}

function describeMemory(memory) {
  const sets = memory.peak_layer < 0 ? '' : ` Layer "${layers[memory.peak_layer].name}" sets it, ${micro(memory.peak_at)} after the start.`;
  $('memory-text').textContent = `The peak is ${bytes(memory.peak)} of ${bytes(memory.lane_bytes)} in each of ${memory.lanes} lanes (${percent(memory.peak / memory.lane_bytes)}).${sets}`
    + (memory.left_out ? ` ${whole(memory.left_out)} small blocks are not drawn.` : '');
  if (memory.holders.length) $('memory-peak').append(make('h3', {}, 'What lies there at the peak'),
    plainTable(['Written by layer', 'Bytes of each lane'], memory.holders.map(([layer, size]) =>
      [layer < 0 ? '' : layers[layer].name || '(added by the compiler)', bytes(size)]), [1]));
  const { sizes, rows, total } = memory.ddr;
  const colours = ['#0072b2', '#e69f00', '#009e73', '#cc79a7'];
  const parts = Object.entries(sizes);
  $('ddr-body').append(
    make('p', {}, `The network takes ${bytes(total)} of DDR. Intermediates share memory when they do not live together.`),
    make('div', { class: 'stack', role: 'img', 'aria-label': parts.map(([name, size]) => `${name} ${bytes(size)}`).join(', ') },
      ...parts.map(([, size], i) => {
        const bar = make('i');
        bar.style.width = `${100 * size / total}%`;
        bar.style.background = colours[i];
        return bar;
      })),
    make('ul', { class: 'legend' }, ...parts.map(([name, size], i) => {
      const mark = make('span', { class: 'chip' });
      mark.style.background = colours[i];
      return make('li', {}, mark, `${name} ${bytes(size)}`);
    })), make('p', {}),
    plainTable(['Kind', 'Layer or tensor', 'Address', 'Size'], rows.map(([kind, name, address, size]) =>
      [kind, name, `0x${address.toString(16)}`, bytes(size)]), [2, 3]));
}
