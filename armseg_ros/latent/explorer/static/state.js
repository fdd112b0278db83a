// SPDX-License-Identifier: Apache-2.0
// What the reader has chosen: filters, selection, tags, colours. Every view listens to it.
"use strict";

const LONGEST_HISTORY = 50;

class State {
  constructor(population, defaults) {
    this.population = population;
    this.visible = new Uint8Array(population.count).fill(1);
    this.selected = new Uint8Array(population.count);
    this.focus = -1; // the picture whose details are shown
    this.colourBy = defaults.colour;
    this.sizeBy = "";
    this.search = "";
    this.filters = new Map(); // column name -> {low, high} or {codes: Set}
    this.tags = new Map(); // tag -> Set of rows
    this.history = [];
    this.listeners = [];
    this.loadTags();
  }

  listen(listener) {
    this.listeners.push(listener);
  }

  // what: visible, selected, focus, style or tags
  tell(...what) {
    const changed = new Set(what);
    for (const listener of this.listeners) listener(changed);
  }

  // Rows that are shown and, if any are selected, selected.
  get rows() {
    const rows = [];
    const some = this.selectedCount > 0;
    for (let row = 0; row < this.population.count; row++) {
      if (this.visible[row] && (!some || this.selected[row])) rows.push(row);
    }
    return rows;
  }

  get visibleCount() {
    return this.visible.reduce((sum, flag) => sum + flag, 0);
  }

  get selectedRows() {
    const rows = [];
    this.selected.forEach((flag, row) => flag && rows.push(row));
    return rows;
  }

  // how: replace, add or remove. Only rows that are shown can be selected.
  select(rows, how = "replace") {
    const before = this.selected;
    const after = how === "replace" ? new Uint8Array(before.length) : before.slice();
    for (const row of rows) {
      if (how === "remove") after[row] = 0;
      else if (this.visible[row]) after[row] = 1;
    }
    this.replaceSelection(after);
  }

  replaceSelection(after) {
    this.history.push(this.selected);
    if (this.history.length > LONGEST_HISTORY) this.history.shift();
    this.setSelection(after);
    this.tell("selected");
  }

  undo() {
    if (!this.history.length) return;
    this.setSelection(this.history.pop());
    this.tell("selected");
  }

  setSelection(flags) {
    this.selected = flags;
    this.selectedCount = flags.reduce((sum, flag) => sum + flag, 0);
  }

  selectAllShown() {
    this.replaceSelection(this.visible.slice());
  }

  invert() {
    this.replaceSelection(this.selected.map((flag, row) => (flag ? 0 : this.visible[row])));
  }

  setFocus(row) {
    this.focus = row;
    this.tell("focus");
  }

  setStyle(values) {
    Object.assign(this, values);
    this.tell("style");
  }

  // filter: {low, high}, {codes} or null. A range leaves out what is not known.
  setFilter(name, filter) {
    if (filter) this.filters.set(name, filter);
    else this.filters.delete(name);
    this.applyFilters();
  }

  setSearch(text) {
    this.search = text.trim().toLowerCase();
    this.applyFilters();
  }

  clearFilters() {
    this.filters.clear();
    this.search = "";
    this.applyFilters();
  }

  // A picture that a filter takes away is no longer selected: what is counted is what is seen.
  applyFilters() {
    const { sampleIds, count } = this.population;
    const visible = new Uint8Array(count).fill(1);
    for (const [name, filter] of this.filters) {
      const column = this.population.column(name);
      if (filter.codes) {
        column.codes.forEach((code, row) => filter.codes.has(code) || (visible[row] = 0));
      } else {
        column.values.forEach((value, row) => {
          if (!(value >= filter.low && value <= filter.high)) visible[row] = 0;
        });
      }
    }
    if (this.search) {
      for (let row = 0; row < count; row++) {
        if (!sampleIds[row].toLowerCase().includes(this.search)) visible[row] = 0;
      }
    }
    this.visible = visible;
    this.setSelection(this.selected.map((flag, row) => flag & visible[row]));
    this.history = [];
    this.tell("visible", "selected");
  }

  tag(name, rows) {
    const tagged = this.tags.get(name) ?? new Set();
    for (const row of rows) tagged.add(row);
    this.tags.set(name, tagged);
    this.keepTags();
  }

  removeTag(name) {
    this.tags.delete(name);
    this.keepTags();
  }

  tagsOf(row) {
    return [...this.tags].filter(([, rows]) => rows.has(row)).map(([name]) => name);
  }

  get storageKey() {
    return `armseg-tags-${this.population.fingerprint}`;
  }

  // Tags stay in this browser; where it keeps nothing for files, they last as long as the page.
  keepTags() {
    const record = [...this.tags].map(([name, rows]) => [name, [...rows]]);
    try {
      localStorage.setItem(this.storageKey, JSON.stringify(record));
    } catch {
      // nothing to do: the download has them
    }
    this.tell("tags");
  }

  loadTags() {
    this.setSelection(this.selected);
    try {
      const record = JSON.parse(localStorage.getItem(this.storageKey) ?? "[]");
      for (const [name, rows] of record) this.tags.set(name, new Set(rows));
    } catch {
      this.tags.clear();
    }
  }
}
