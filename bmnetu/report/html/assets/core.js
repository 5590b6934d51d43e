'use strict';
const data = JSON.parse(document.getElementById('data').textContent);
const layers = data.layers;
const $ = (id) => document.getElementById(id);

/* Elements. Text from files goes in as text only, never as HTML. */
function make(tag, attributes = {}, ...children) {
  const isSvg = ['svg', 'g', 'rect', 'text', 'path', 'title', 'line'].includes(tag);
  const node = isSvg ? document.createElementNS('http://www.w3.org/2000/svg', tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/* Numbers for people: counts as they are, real numbers with three digits, as bmnetu/report/numbers.py. */
const whole = (x) => x === undefined || x === null ? '' : Math.round(x).toLocaleString('en');
function digits(x) {
  if (x === undefined) return '';
  if (x === null || !isFinite(x)) return x < 0 ? '-∞' : '∞';
  const text = x.toExponential(2), rounded = +text, size = Math.abs(rounded);
  if (!rounded) return '0';
  if (size < 1e-3 || size >= 1e6) return text;
  const decimals = Math.max(0, 2 - Math.floor(Math.log10(size)));
  return rounded.toLocaleString('en', { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}
const percent = (x) => x === undefined || x === null ? '' : `${digits(100 * x)} %`;
function cosine(x) { /* three digits of what is missing to 1, at most six */
  if (x === undefined || x === null) return '';
  const missing = 1 - x;
  return missing <= 0 ? '1' : x.toFixed(Math.min(6, Math.max(3, 2 - Math.floor(Math.log10(missing)))));
}
function bytes(x) {
  if (x === undefined || x === null) return '';
  for (const [unit, size] of [['GiB', 2 ** 30], ['MiB', 2 ** 20], ['KiB', 2 ** 10]])
    if (x >= size) return `${x % size === 0 ? whole(x / size) : digits(x / size)} ${unit}`;
  return `${x} B`;
}
const micro = (cycles) => {
  const us = cycles / data.time.mhz;
  return us >= 1000 ? `${digits(us / 1000)} ms` : `${digits(us)} µs`;
};
const cut = (text, most) => text.length > most ? `${text.slice(0, most - 1)}…` : text;

/* Colours that people with colour blindness can tell apart; each has text of its own beside it. */
function inkOn(hex) {
  const part = (at) => {
    const c = parseInt(hex.slice(at, at + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5) > 0.179 ? '#000000' : '#ffffff';
}
const WARM = ['#ffffd4', '#fed98e', '#fe9929', '#d95f0e', '#8c2d04'];
const KINDS = { float32: '#e69f00', int8: '#0072b2', uint8: '#56b4e9', int32: '#009e73', CPU: '#cc79a7' };
const LAYER_COLOURS = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#8c8c8c'];
const layerColour = (at) => at < 0 ? '#8c8c8c' : LAYER_COLOURS[at % LAYER_COLOURS.length];

const bins = (limits, colours, words, value) => ({
  of: (layer) => {
    const x = value(layer);
    if (x === undefined || x === '') return null;
    const at = limits.findIndex((limit) => x <= limit);
    return at < 0 ? limits.length : at;
  },
  colours, words,
});
/* The layer under whose name a layer's numbers were compared: a ReLU that it took in, or itself. */
const judged = (layer) => layer.compared_as === undefined ? layer : layers[layer.compared_as];
const tolerance = (own) => {
  const layer = judged(own);
  if (layer.isolated === undefined) return undefined;
  if (layer.verdict === 'none') return undefined;
  if (layer.verdict === 'differs') return 9;
  return layer.isolated === 0 ? 0 : Math.max(1e-9, layer.isolated / data.tolerance);
};
const sqnr = (layer) => layer.sqnr === undefined || layer.held === 'float' ? undefined
  : layer.sqnr === null ? -1e9 : -layer.sqnr;
const scales = {
  error: data.kind === 'compile' ? {
    label: 'Error', ...bins([0, 0.01, 0.1, 1], ['#56b4e9', '#cfe6f5', '#f7e3a1', '#f0a63c', '#b3340a'],
      ['equal', 'up to 1 % of the tolerance', 'up to 10 %', 'within tolerance', '✕ differs'], tolerance),
    none: 'not compared by itself',
  } : {
    label: 'Error', ...bins([-40, -30, -20, -10], ['#56b4e9', '#cfe6f5', '#f7e3a1', '#f0a63c', '#b3340a'],
      ['SQNR 40 dB or more', '30 to 40 dB', '20 to 30 dB', '10 to 20 dB', 'below 10 dB'], sqnr),
    none: 'float, or not measured',
  },
  time: {
    label: 'Time', ...bins([0.005, 0.01, 0.02, 0.05], WARM,
      ['up to 0.5 % of the time', 'up to 1 %', 'up to 2 %', 'up to 5 %', 'above 5 %'], (layer) => layer.share),
    none: 'no commands of its own',
  },
  type: {
    label: 'Data type', words: Object.keys(KINDS), colours: Object.values(KINDS),
    of: (layer) => {
      const at = Object.keys(KINDS).indexOf(layer.place === 'CPU' ? 'CPU' : layer.dtype);
      return at < 0 ? null : at;
    },
    none: 'none',
  },
};

/* One layer is selected; every part of the page hears of it. */
let selected = -1;
const hears = [];
function select(at, from) {
  if (at < 0 || at >= layers.length) return;
  selected = at;
  for (const hear of hears) hear(at, from);
  const layer = layers[at];
  $('live').textContent = `${layer.name}, ${layer.type}${layer.share === undefined ? ''
    : `, ${percent(layer.share)} of the time`}${layer.verdict ? `, ${layer.verdict}` : ''}`;
}

function tip(event, text) {
  const box = $('tip');
  box.hidden = !text;
  if (!text) return;
  box.textContent = text;
  const { width, height } = box.getBoundingClientRect();
  box.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 8))}px`;
  box.style.top = `${event.clientY + height + 24 > innerHeight ? event.clientY - height - 12 : event.clientY + 16}px`;
}

/* A table of plain rows. */
function plainTable(heads, rows, numeric = []) {
  return make('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': heads.join(', ') },
    make('table', { class: 'wrap' },
      make('thead', {}, make('tr', {}, ...heads.map((head, i) =>
        make('th', { scope: 'col', class: numeric.includes(i) ? 'num' : null }, head)))),
      make('tbody', {}, ...rows.map((row) => make('tr', {}, ...row.map((cell, i) =>
        make('td', { class: numeric.includes(i) ? 'num' : null }, cell)))))));
}
