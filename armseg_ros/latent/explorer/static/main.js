// SPDX-License-Identifier: Apache-2.0
// Puts the page together: toolbar, legend, counts, tags and keys.
"use strict";

const find = (selector) => document.querySelector(selector);

class Explorer {
  constructor() {
    this.population = new Population(POPULATION, NEIGHBOURS, BOXES);
    const { defaults } = POPULATION;
    this.state = new State(this.population, defaults);
    this.filters = new Filters(this.state, find("#filters"), defaults.open);
    this.pictures = new Pictures(this.state, find("#pictures"), defaults);
    this.details = new Details(this.state, find("#details"));
    try {
      this.map = new PopulationMap(this.state, find("#map"));
    } catch (error) {
      find("#no-map").hidden = false;
      find("#no-map small").textContent = error.message;
    }
    this.fillChoices();
    this.listenToButtons();
    document.addEventListener("keydown", (event) => this.key(event));
    this.state.listen((changed) => this.update(changed));
    this.update(new Set(["visible", "selected", "style", "tags"]));
    this.pictures.show();
    this.filters.draw();
    document.body.dataset.ready = "true";
  }

  fillChoices() {
    const { columns } = this.population;
    const known = columns.filter((column) => column.varies);
    const fill = (selector, some, value, empty) => {
      const select = find(selector);
      if (empty) select.append(element("option", { value: "", textContent: empty }));
      select.append(...some.map(({ name }) => element("option", { value: name, textContent: name })));
      select.value = value;
      return select;
    };
    const plain = known.filter((column) => column.kind !== "text");
    const numbers = plain.filter((column) => column.kind === "number");
    fill("#colour-by", plain, this.state.colourBy, "nothing").addEventListener("change", (event) => {
      this.state.setStyle({ colourBy: event.target.value });
    });
    fill("#size-by", numbers, this.state.sizeBy, "nothing").addEventListener("change", (event) => {
      this.state.setStyle({ sizeBy: event.target.value });
    });
    fill("#sort-by", known, this.pictures.sortBy, "order of the run").addEventListener("change", (event) => {
      this.pictures.sortBy = event.target.value;
      this.pictures.show();
    });
  }

  listenToButtons() {
    const { state } = this;
    const click = (selector, action) => find(selector).addEventListener("click", action);
    for (const button of document.querySelectorAll("[data-mode]")) {
      button.addEventListener("click", () => this.setMode(button.dataset.mode));
    }
    for (const button of document.querySelectorAll("[data-view]")) {
      button.addEventListener("click", () => this.setView(button.dataset.view));
    }
    click("#fit", () => this.map?.fit());
    click("#zoom-in", () => this.map?.zoom(1.4));
    click("#zoom-out", () => this.map?.zoom(1 / 1.4));
    click("#clear-filters", () => {
      find("#search").value = "";
      state.clearFilters();
    });
    click("#select-all", () => state.selectAllShown());
    click("#select-none", () => state.select([]));
    click("#invert", () => state.invert());
    click("#undo", () => state.undo());
    click("#download-ids", () => this.downloadIds());
    click("#download-selection", () => save("selection.json", selectionText(state, this.pictures.rows)));
    click("#download-tags", () => save("tags.json", tagsText(state)));
    click("#order", () => {
      this.pictures.descending = !this.pictures.descending;
      this.pictures.show();
      find("#order").textContent = this.pictures.descending ? "↓" : "↑";
    });
    click("#help-button", () => find("#help").showModal());
    find("#search").addEventListener("input", (event) => state.setSearch(event.target.value));
    find("#spread").addEventListener("input", (event) => {
      if (!this.map) return;
      this.map.spread = Number(event.target.value);
      this.map.restyle();
    });
    find("#tag-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const name = find("#tag-name").value.trim();
      if (name && state.selectedCount) state.tag(name, state.selectedRows);
      find("#tag-name").value = "";
    });
  }

  setMode(mode) {
    if (this.map) this.map.mode = mode;
    for (const button of document.querySelectorAll("[data-mode]")) {
      button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
    }
  }

  setView(view) {
    for (const button of document.querySelectorAll("[data-view]")) {
      button.setAttribute("aria-selected", String(button.dataset.view === view));
    }
    this.pictures.setView(view);
  }

  downloadIds() {
    save("ids.txt", idsText(this.population, this.pictures.rows));
  }

  update(changed) {
    const { state } = this;
    const some = state.selectedCount > 0;
    const number = (value) => value.toLocaleString("en");
    find("#counts").textContent = `${number(state.visibleCount)} of ${number(this.population.count)} shown`;
    find("#selected-count").textContent = some ? `${number(state.selectedCount)} selected` : "none selected";
    find("#list-title").textContent = some ? "Selected" : "All shown";
    for (const name of ["download-ids", "download-selection", "select-none"]) find(`#${name}`).disabled = !some;
    for (const input of document.querySelectorAll("#tag-form *")) input.disabled = !some;
    find("#undo").disabled = !state.history.length;
    find("#clear-filters").hidden = !state.filters.size && !state.search;
    if (changed.has("style")) this.showLegend();
    if (changed.has("tags")) this.showTags();
  }

  showLegend() {
    const column = this.population.column(this.state.colourBy);
    const legend = find("#legend");
    legend.replaceChildren();
    if (!column) return;
    legend.append(element("b", { textContent: column.name, title: column.about ?? "" }));
    if (column.kind === "number") {
      const ramp = element("i", { className: "ramp" });
      ramp.style.background = `linear-gradient(to right, ${PLASMA.join(", ")})`;
      legend.append(element("span", { textContent: formatNumber(column.low) }), ramp, element("span", { textContent: formatNumber(column.high) }));
    }
    const swatch = (colour, text) => {
      const dot = element("i", { className: "dot" });
      dot.style.background = colour;
      legend.append(element("span", { className: "swatch" }, dot, text));
    };
    if (column.kind === "category") {
      column.levels.slice(0, TEN.length).forEach((level, code) => swatch(levelColour(column, code), level));
      if (column.levels.length > TEN.length) swatch(UNKNOWN, `${column.levels.length - TEN.length} others`);
    }
    if (column.unknown) swatch(UNKNOWN, "not known");
  }

  showTags() {
    const { state } = this;
    const chips = [...state.tags].map(([name, rows]) => {
      const choose = element("button", { type: "button", textContent: `${name} ${rows.size}`, title: "select these" });
      choose.addEventListener("click", () => state.select(rows));
      const remove = element("button", { type: "button", textContent: "×", title: "remove this tag", ariaLabel: `remove the tag ${name}` });
      remove.addEventListener("click", () => state.removeTag(name));
      return element("span", { className: "chip" }, choose, remove);
    });
    find("#tags").replaceChildren(...chips);
    find("#download-tags").hidden = !chips.length;
  }

  key(event) {
    if (find("#help").open) return;
    const typing = event.target.matches("input:not([type=checkbox]):not([type=range]), select");
    if (event.key === "Escape") {
      if (typing) event.target.blur();
      else if (this.state.focus >= 0) this.state.setFocus(-1);
      else this.state.select([]);
      return;
    }
    if (typing || event.altKey) return;
    if (event.ctrlKey || event.metaKey) {
      if (event.key !== "z") return;
      this.state.undo();
    } else {
      const action = this.actions(event.target === this.map?.overlay)[event.key];
      if (!action) return;
      action();
    }
    event.preventDefault();
  }

  // Arrows move the map while it has the focus, and go through the pictures elsewhere.
  actions(onMap) {
    const { state, map, pictures } = this;
    const move = (dx, dy, steps) => () => (onMap ? map.pan(dx, dy) : pictures.step(steps));
    return {
      ArrowLeft: move(60, 0, -1),
      ArrowRight: move(-60, 0, 1),
      ArrowUp: move(0, 60, -pictures.cardsPerLine),
      ArrowDown: move(0, -60, pictures.cardsPerLine),
      "+": () => map?.zoom(1.4),
      "-": () => map?.zoom(1 / 1.4),
      0: () => map?.fit(),
      l: () => this.setMode("lasso"),
      b: () => this.setMode("box"),
      m: () => this.setMode("move"),
      v: () => map && state.select(map.rowsInView()),
      a: () => state.selectAllShown(),
      i: () => state.invert(),
      x: () => state.focus >= 0 && state.select([state.focus], state.selected[state.focus] ? "remove" : "add"),
      o: () => this.details.toggleBoxes(),
      n: () => this.details.selectNeighbours(),
      z: () => state.undo(),
      d: () => state.selectedCount && this.downloadIds(),
      t: () => find("#tag-name").focus(),
      "/": () => find("#search").focus(),
      1: () => this.setView("grid"),
      2: () => this.setView("table"),
      3: () => this.setView("figures"),
      "?": () => find("#help").showModal(),
    };
  }
}

const explorer = new Explorer();
