// SPDX-License-Identifier: Apache-2.0
// The right side: selected pictures (or all that are shown) as a grid, as a table, and in figures.
"use strict";

const GRID_PORTION = 120; // how many more come with each scroll to the end
const TABLE_PORTION = 150;
const STANDING_OUT = 14;
const FEWEST_TO_COMPARE = 3;

// Appends rows in portions while the reader scrolls.
class LongList {
  constructor(root, frame, portion, make) {
    [this.root, this.frame, this.portion, this.make] = [root, frame, portion, make];
    this.rows = [];
    frame.addEventListener("scroll", () => this.fill());
  }

  show(rows) {
    this.rows = rows;
    this.root.replaceChildren();
    this.frame.scrollTop = 0;
    this.append();
  }

  get shown() {
    return this.root.children.length;
  }

  append() {
    this.root.append(...this.rows.slice(this.shown, this.shown + this.portion).map(this.make));
  }

  fill() {
    const { scrollTop, clientHeight, scrollHeight } = this.frame;
    if (this.shown < this.rows.length && scrollTop + 2 * clientHeight > scrollHeight) this.append();
  }

  reveal(row) {
    const place = this.rows.indexOf(row);
    if (place < 0) return;
    while (this.shown <= place && this.shown < this.rows.length) this.append();
    this.root.children[place].scrollIntoView({ block: "nearest" });
  }
}

class Pictures {
  constructor(state, root, defaults) {
    this.state = state;
    this.root = root;
    this.sortBy = defaults.sort;
    this.descending = true;
    this.tableColumns = defaults.table;
    this.width = state.population.thumbnails ? Math.min(state.population.thumbnails.width, 96) : 96;
    this.view = "grid";
    const list = (inner, view, portion, make) => {
      return new LongList(root.querySelector(inner), root.querySelector(`#${view}-frame`), portion, make);
    };
    this.grid = list("#grid", "grid", GRID_PORTION, (row) => this.card(row));
    this.table = list("#table tbody", "table", TABLE_PORTION, (row) => this.line(row));
    state.listen((changed) => {
      if (changed.has("visible") || changed.has("selected")) this.show();
      else if (changed.has("style")) this.show();
      else if (changed.has("focus")) this.mark();
      if (changed.has("tags") && this.view === "table") this.show();
    });
  }

  setView(view) {
    this.view = view;
    this.show();
  }

  sort(name) {
    if (this.sortBy === name) this.descending = !this.descending;
    else [this.sortBy, this.descending] = [name, true];
    this.show();
  }

  show() {
    const { population } = this.state;
    this.rows = population.sorted(this.state.rows, population.column(this.sortBy), this.descending);
    for (const view of ["grid", "table", "figures"]) this.root.querySelector(`#${view}-frame`).hidden = view !== this.view;
    if (this.view === "grid") this.grid.show(this.rows);
    else if (this.view === "table") this.showTable();
    else this.showFigures();
    this.mark();
  }

  get chosenColumns() {
    const { population, colourBy, sizeBy } = this.state;
    const names = new Set([...this.tableColumns, colourBy, sizeBy, this.sortBy]);
    return population.columns.filter((column) => names.has(column.name));
  }

  showTable() {
    const head = this.root.querySelector("#table thead");
    const cells = [element("th", { textContent: "sample" })];
    for (const column of this.chosenColumns) {
      const arrow = column.name === this.sortBy ? (this.descending ? " ↓" : " ↑") : "";
      const button = element("button", { type: "button", textContent: column.name + arrow, title: column.about ?? "" });
      button.addEventListener("click", () => this.sort(column.name));
      cells.push(element("th", {}, button));
    }
    head.replaceChildren(element("tr", {}, ...cells));
    this.columns = this.chosenColumns;
    this.table.show(this.rows);
  }

  card(row) {
    const { population } = this.state;
    const column = population.column(this.sortBy);
    const card = element("button", { type: "button", className: "card", title: population.sampleIds[row] });
    card.dataset.row = row;
    card.append(population.thumbnail(row, this.width));
    card.append(element("span", { className: "caption", textContent: column ? column.text(row) : population.sampleIds[row] }));
    card.addEventListener("click", (event) => this.choose(row, event));
    return card;
  }

  line(row) {
    const { population } = this.state;
    const name = element("td", { textContent: population.sampleIds[row], title: population.sampleIds[row] });
    const line = element("tr", { tabIndex: 0 }, name, ...this.columns.map((column) => element("td", { textContent: column.text(row), className: column.kind })));
    line.dataset.row = row;
    line.addEventListener("click", (event) => this.choose(row, event));
    line.addEventListener("keydown", (event) => event.key === "Enter" && this.choose(row, event));
    return line;
  }

  choose(row, event) {
    const how = howOf(event);
    if (how !== "replace") this.state.select([row], how);
    this.state.setFocus(row);
  }

  mark() {
    this.root.querySelectorAll("[data-row].focus").forEach((item) => item.classList.remove("focus"));
    if (this.state.focus < 0 || this.view === "figures") return;
    const list = this.view === "grid" ? this.grid : this.table;
    list.reveal(this.state.focus);
    this.root.querySelector(`#${this.view}-frame [data-row="${this.state.focus}"]`)?.classList.add("focus");
  }

  // Goes on to the picture `steps` further in the list.
  step(steps) {
    if (!this.rows.length) return;
    const place = this.rows.indexOf(this.state.focus);
    const next = place < 0 ? 0 : Math.min(Math.max(place + steps, 0), this.rows.length - 1);
    this.state.setFocus(this.rows[next]);
  }

  get cardsPerLine() {
    const grid = this.root.querySelector("#grid");
    if (this.view !== "grid" || !grid.children.length) return 1;
    const top = grid.children[0].offsetTop;
    const line = [...grid.children].findIndex((card) => card.offsetTop > top);
    return line < 1 ? grid.children.length : line;
  }

  showFigures() {
    const frame = this.root.querySelector("#figures-frame");
    const { selectedCount, visibleCount } = this.state;
    if (selectedCount < FEWEST_TO_COMPARE || selectedCount === visibleCount) {
      const text = `Select at least ${FEWEST_TO_COMPARE} pictures, and not all, to see what sets them apart from the others that are shown.`;
      frame.replaceChildren(element("p", { className: "hint", textContent: text }));
      return;
    }
    const lines = standingOut(this.state).slice(0, STANDING_OUT).map(({ name, inside, outside, strength }) => {
      const bar = element("i", { className: "bar" });
      bar.style.width = `${Math.min(100, 40 * strength)}%`;
      const cells = [name, inside, outside].map((text) => element("td", { textContent: text }));
      return element("tr", {}, ...cells, element("td", { className: "strength" }, bar));
    });
    const head = element("tr", {}, ...["", "selected", "others", "difference"].map((textContent) => element("th", { textContent })));
    const note = "Mean of numbers, share of categories; the bar is the difference in standard deviations. A description, not a test: a lasso around points of one colour finds that colour.";
    frame.replaceChildren(element("table", { className: "figures" }, head, ...lines), element("p", { className: "small", textContent: note }));
  }
}

// What sets the selected pictures apart from the others that are shown, strongest first.
function standingOut(state) {
  const { population, visible, selected } = state;
  const out = [];
  const compare = (name, value, format) => {
    const sums = [0, 1].map(() => ({ n: 0, sum: 0, squares: 0 }));
    for (let row = 0; row < population.count; row++) {
      const number = value(row);
      if (!visible[row] || Number.isNaN(number)) continue;
      const side = sums[selected[row]];
      side.n++;
      side.sum += number;
      side.squares += number * number;
    }
    const [others, inside] = sums;
    if (inside.n < FEWEST_TO_COMPARE || others.n < FEWEST_TO_COMPARE) return;
    const means = [inside.sum / inside.n, others.sum / others.n];
    const n = inside.n + others.n;
    const variance = (inside.squares + others.squares) / n - ((inside.sum + others.sum) / n) ** 2;
    const strength = Math.abs(means[0] - means[1]) / Math.sqrt(Math.max(variance, 1e-12));
    if (variance > 1e-12) out.push({ name, inside: format(means[0]), outside: format(means[1]), strength });
  };
  const percent = (share) => `${(100 * share).toFixed(0)} %`;
  for (const column of population.columns) {
    if (column.kind === "number") compare(column.name, (row) => column.values[row], formatNumber);
    else if (column.kind === "category") {
      column.levels.slice(0, 30).forEach((level, code) => {
        compare(`${column.name} = ${level}`, (row) => Number(column.codes[row] === code), percent);
      });
    }
  }
  return out.sort((a, b) => b.strength - a.strength);
}
