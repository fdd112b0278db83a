// SPDX-License-Identifier: Apache-2.0
// Everything about one picture, and its neighbours in latent space.
"use strict";

const PICTURE_WIDTH_PX = 224;
const NEIGHBOUR_WIDTH_PX = 62;

// By kind of box: found, false, split, merged, missed, predicted, maybe split, maybe merged.
const BOX_COLOURS = ["#22c55e", "#f59e0b", "#ec4899", "#a855f7", "#ef4444", "#38bdf8", "#ec4899", "#a855f7"];
const DASHED = new Set([4, 6, 7]); // what is not there, or not sure

class Details {
  constructor(state, root) {
    [this.state, this.root] = [state, root];
    this.showBoxes = true;
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
    const frame = element("div", { className: "picture" }, this.state.population.thumbnail(row, width));
    const boxes = this.state.population.boxesOf(row);
    if (!boxes.length) return frame;
    if (this.showBoxes) frame.append(this.drawing(row, boxes, frame.firstElementChild, width));
    frame.append(this.boxLegend(boxes));
    return frame;
  }

  drawing(row, boxes, picture, width) {
    const place = this.state.population.placeInThumbnail(row, width);
    const ratio = window.devicePixelRatio || 1;
    const height = parseInt(picture.style.height);
    const canvas = element("canvas", { width: width * ratio, height: height * ratio });
    Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.lineWidth = 1.5;
    for (const { kind, left, top, right, bottom } of boxes) {
      pen.strokeStyle = BOX_COLOURS[kind];
      pen.setLineDash(DASHED.has(kind) ? [4, 3] : []);
      pen.strokeRect(place.x + left * place.width, place.y + top * place.height, (right - left) * place.width, (bottom - top) * place.height);
    }
    return canvas;
  }

  boxLegend(boxes) {
    const { boxKinds } = this.state.population;
    const title = `${this.showBoxes ? "hide" : "show"} the boxes of objects at the operating threshold (o)`;
    const button = element("button", { type: "button", className: "box-legend", title });
    boxKinds.forEach((name, kind) => {
      const count = boxes.filter((box) => box.kind === kind).length;
      if (!count) return;
      const mark = element("i", { className: DASHED.has(kind) ? "box dashed" : "box" });
      mark.style.borderColor = BOX_COLOURS[kind];
      button.append(element("span", {}, mark, `${count} ${name}`));
    });
    button.addEventListener("click", () => this.toggleBoxes());
    return button;
  }

  toggleBoxes() {
    this.showBoxes = !this.showBoxes;
    this.show();
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
