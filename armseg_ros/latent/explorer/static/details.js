// SPDX-License-Identifier: Apache-2.0
// Everything about one picture, and its neighbours in latent space.
"use strict";

const PICTURE_WIDTH_PX = 224;
const NEIGHBOUR_WIDTH_PX = 62;

class Details {
  constructor(state, root) {
    [this.state, this.root] = [state, root];
    state.listen((changed) => (changed.has("focus") || changed.has("tags")) && this.show());
    this.show();
  }

  show() {
    const { state, root } = this;
    const row = state.focus;
    root.hidden = row < 0;
    if (row < 0) return;
    const { population } = state;
    const close = element("button", { type: "button", className: "close", textContent: "×", title: "close (Esc)" });
    close.addEventListener("click", () => state.setFocus(-1));
    const title = element("h2", { textContent: population.sampleIds[row] });
    const tags = state.tagsOf(row).map((name) => element("span", { className: "chip", textContent: name }));
    root.replaceChildren(
      element("header", {}, title, ...tags, close),
      element("div", { className: "about" }, this.picture(row), this.facts(row)),
      ...this.neighbours(row),
    );
  }

  picture(row) {
    const width = Math.min(PICTURE_WIDTH_PX, 2 * (this.state.population.thumbnails?.width ?? PICTURE_WIDTH_PX));
    return element("div", { className: "picture" }, this.state.population.thumbnail(row, width));
  }

  facts(row) {
    const table = element("table", { className: "facts" });
    for (const column of this.state.population.columns) {
      if (column.isUnknown(row)) continue;
      const name = element("th", { textContent: column.name, title: column.about ?? "" });
      table.append(element("tr", {}, name, element("td", { textContent: column.text(row) })));
    }
    return element("div", { className: "facts-frame", tabIndex: 0 }, table);
  }

  neighbours(row) {
    const { state } = this;
    const { population } = state;
    const near = population.neighboursOf(row);
    if (!near.length) return [];
    const select = element("button", { type: "button", className: "link", textContent: "select them (n)" });
    select.addEventListener("click", () => this.selectNeighbours());
    const head = element("h3", {}, "Nearest in latent space ", select);
    const strip = element("div", { className: "strip" });
    for (const [other, distance] of near) {
      const card = element("button", { type: "button", className: "card", title: population.sampleIds[other] });
      card.append(population.thumbnail(other, NEIGHBOUR_WIDTH_PX), element("span", { className: "caption", textContent: distance.toFixed(2) }));
      card.addEventListener("click", () => state.setFocus(other));
      strip.append(card);
    }
    return [head, strip];
  }

  selectNeighbours() {
    const { focus, population } = this.state;
    if (focus >= 0) this.state.select([focus, ...population.neighboursOf(focus).map(([row]) => row)]);
  }
}
