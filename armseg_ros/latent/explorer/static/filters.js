// SPDX-License-Identifier: Apache-2.0
// The left side: a histogram of each column, which is its filter too.
"use strict";

const BINS = 30;
const LEVELS_SHOWN = 12;
const HISTOGRAM_HEIGHT_PX = 44;

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

class Filters {
  constructor(state, root, opened) {
    this.state = state;
    this.cards = [];
    for (const column of state.population.columns) {
      if (column.kind === "text" || !column.varies) continue;
      const card = element("details", { className: "filter", open: opened.includes(column.name) });
      const mark = element("i", { className: "mark", title: "filtered" });
      card.append(element("summary", { title: column.about ?? "" }, column.name, mark));
      const body = element("div", { className: "filter-body" });
      card.append(body);
      const filter = column.kind === "number" ? new RangeFilter(state, column, body) : new LevelFilter(state, column, body);
      this.cards.push({ card, filter, column });
      card.addEventListener("toggle", () => card.open && filter.draw());
      root.append(card);
    }
    state.listen((changed) => {
      if (changed.has("visible") || changed.has("selected")) this.draw();
    });
    new ResizeObserver(() => this.draw()).observe(root);
  }

  draw() {
    for (const { card, filter, column } of this.cards) {
      card.classList.toggle("active", this.state.filters.has(column.name));
      if (card.open) filter.draw();
    }
  }
}

// Drag over the histogram for a range; the two fields do the same from the keyboard.
class RangeFilter {
  constructor(state, column, root) {
    [this.state, this.column] = [state, column];
    this.canvas = element("canvas", { className: "histogram" });
    this.low = this.field("from", column.low);
    this.high = this.field("to", column.high);
    const reset = element("button", { type: "button", textContent: "all", title: "take the filter off" });
    reset.addEventListener("click", () => state.setFilter(column.name, null));
    root.append(this.canvas, element("div", { className: "range" }, this.low, "–", this.high, reset));
    if (column.unknown) {
      root.append(element("p", { className: "small", textContent: `${column.unknown.toLocaleString("en")} not known` }));
    }
    const canvas = this.canvas;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.from = this.valueAt(event.offsetX);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (this.from === undefined) return;
      this.brush = [this.from, this.valueAt(event.offsetX)].sort((a, b) => a - b);
      this.draw();
    });
    canvas.addEventListener("pointerup", () => {
      const brush = this.brush;
      this.from = this.brush = undefined;
      if (brush) this.apply(...brush);
    });
  }

  field(label, value) {
    const field = element("input", { type: "number", step: "any", ariaLabel: `${this.column.name} ${label}` });
    field.placeholder = formatNumber(value);
    field.addEventListener("change", () => {
      const read = (input, otherwise) => (input.value === "" ? otherwise : Number(input.value));
      this.apply(read(this.low, this.column.low), read(this.high, this.column.high));
    });
    return field;
  }

  valueAt(px) {
    const share = Math.min(Math.max(px / this.canvas.clientWidth, 0), 1);
    return this.column.low + share * (this.column.high - this.column.low);
  }

  apply(low, high) {
    this.state.setFilter(this.column.name, { low, high });
  }

  counts(flags) {
    const { values, low, high } = this.column;
    const counts = new Uint32Array(BINS);
    const factor = BINS / (high - low || 1);
    for (let row = 0; row < values.length; row++) {
      if (!flags[row] || Number.isNaN(values[row])) continue;
      counts[Math.min(Math.floor((values[row] - low) * factor), BINS - 1)]++;
    }
    return counts;
  }

  draw() {
    const { canvas, column, state } = this;
    const ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth;
    if (!width) return;
    canvas.width = width * ratio;
    canvas.height = HISTOGRAM_HEIGHT_PX * ratio;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const shown = this.counts(state.visible);
    const chosen = state.selectedCount ? this.counts(state.selected) : null;
    const most = Math.max(1, ...shown);
    const bar = (counts, colour, bin) => {
      const height = counts[bin] ? Math.max(1.5, (counts[bin] / most) * (HISTOGRAM_HEIGHT_PX - 2)) : 0;
      pen.fillStyle = colour;
      pen.fillRect((bin * width) / BINS, HISTOGRAM_HEIGHT_PX - height, width / BINS - 1, height);
    };
    for (let bin = 0; bin < BINS; bin++) {
      bar(shown, chosen ? "#dfe3ea" : "#9db4d3", bin);
      if (chosen) bar(chosen, "#f2844b", bin);
    }
    const filter = state.filters.get(column.name);
    this.low.value = filter ? Number(filter.low.toPrecision(4)) : "";
    this.high.value = filter ? Number(filter.high.toPrecision(4)) : "";
    const range = this.brush ?? (filter && [filter.low, filter.high]);
    if (range) {
      const [left, right] = range.map((v) => ((v - column.low) / (column.high - column.low || 1)) * width);
      pen.fillStyle = "rgba(37, 99, 235, 0.12)";
      pen.fillRect(left, 0, Math.max(right - left, 2), HISTOGRAM_HEIGHT_PX);
      pen.fillStyle = "#2563eb";
      pen.fillRect(left - 0.5, 0, 1.5, HISTOGRAM_HEIGHT_PX);
      pen.fillRect(right - 1, 0, 1.5, HISTOGRAM_HEIGHT_PX);
    }
  }
}

// A line a level with its count; the ticks say which to show.
class LevelFilter {
  constructor(state, column, root) {
    [this.state, this.column, this.lines] = [state, column, []];
    const codes = column.levels.map((_, code) => code);
    if (column.unknown) codes.push(-1);
    this.codes = codes;
    codes.forEach((code, place) => {
      const tick = element("input", { type: "checkbox", checked: true });
      tick.addEventListener("change", () => this.apply());
      const bar = element("i", { className: "bar" });
      const chosen = element("i", { className: "bar chosen" });
      const count = element("span", { className: "count" });
      const text = code < 0 ? "not known" : column.levels[code];
      const name = element("span", { className: "level", textContent: text, title: text });
      const line = element("label", { className: "level-line", hidden: place >= LEVELS_SHOWN }, tick, name, count, bar, chosen);
      this.lines.push({ code, tick, bar, chosen, count });
      root.append(line);
    });
    if (codes.length > LEVELS_SHOWN) {
      const more = element("button", { type: "button", className: "link", textContent: `${codes.length - LEVELS_SHOWN} more` });
      more.addEventListener("click", () => {
        root.querySelectorAll("label").forEach((line) => (line.hidden = false));
        more.remove();
      });
      root.append(more);
    }
  }

  apply() {
    const codes = new Set(this.lines.filter(({ tick }) => tick.checked).map(({ code }) => code));
    this.state.setFilter(this.column.name, codes.size === this.codes.length ? null : { codes });
  }

  counts(flags) {
    const { codes, levels } = this.column;
    const counts = new Uint32Array(levels.length + 1); // the last is of -1, not known
    for (let row = 0; row < codes.length; row++) {
      if (flags[row]) counts[codes[row] < 0 ? levels.length : codes[row]]++;
    }
    return new Map(this.codes.map((code) => [code, counts[code < 0 ? levels.length : code]]));
  }

  draw() {
    const shown = this.counts(this.state.visible);
    const chosen = this.counts(this.state.selected);
    const most = Math.max(1, ...shown.values());
    const filter = this.state.filters.get(this.column.name);
    for (const line of this.lines) {
      line.tick.checked = !filter || filter.codes.has(line.code);
      line.count.textContent = shown.get(line.code).toLocaleString("en");
      line.bar.style.width = `${(100 * shown.get(line.code)) / most}%`;
      line.chosen.style.width = `${(100 * chosen.get(line.code)) / most}%`;
    }
  }
}
