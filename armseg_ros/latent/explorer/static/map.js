// SPDX-License-Identifier: Apache-2.0
// The map: drawing, moving and zooming, lasso and box, what is under the pointer.
"use strict";

const CLICK_PX = 4; // a drag that is shorter is a click
const REACH_PX = 14; // how far from the pointer a point is still meant
const HOVER_WIDTH_PX = 160;

// Whether (x, y) lies in a polygon with corners (x0, y0, x1, y1, ...); even-odd rule.
function insidePolygon(corners, x, y) {
  let inside = false;
  let [fromX, fromY] = [corners[corners.length - 2], corners[corners.length - 1]];
  for (let i = 0; i < corners.length; i += 2) {
    const toX = corners[i];
    const toY = corners[i + 1];
    if (toY > y !== fromY > y && x < ((fromX - toX) * (y - toY)) / (fromY - toY) + toX) inside = !inside;
    fromX = toX;
    fromY = toY;
  }
  return inside;
}

class PopulationMap {
  constructor(state, root) {
    this.state = state;
    this.root = root;
    this.canvas = root.querySelector("#points");
    this.overlay = root.querySelector("#overlay");
    this.tip = root.querySelector("#tip");
    this.mode = "lasso";
    this.hovered = -1;
    this.path = null;
    this.drag = null;
    this.spread = 1; // of the point size, by the reader
    this.points = new Points(this.canvas, state.population.positions);
    this.canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    this.canvas.addEventListener("webglcontextrestored", () => {
      this.points.start();
      this.restyle();
    });
    this.listenToPointer();
    new ResizeObserver(() => this.resize()).observe(root);
    state.listen((changed) => this.update(changed));
    this.resize();
    this.fit();
    this.restyle();
  }

  get plainSize() {
    const size = 130 / Math.sqrt(this.state.population.count);
    return Math.min(Math.max(size, 3), 11) * this.spread;
  }

  update(changed) {
    if (changed.has("style")) this.restyle();
    else if (changed.has("visible") || changed.has("selected")) this.arrange();
    this.redraw();
  }

  restyle() {
    const { population, colourBy, sizeBy } = this.state;
    this.points.fill("colour", colourRows(population, population.column(colourBy)));
    this.sizes = sizeRows(population, population.column(sizeBy), this.plainSize);
    this.points.fill("size", this.sizes);
    this.arrange();
    this.redraw();
  }

  // Selected points lie on top with a rim; while there are any, the others fade.
  arrange() {
    const { population, visible, selected, selectedCount } = this.state;
    const [below, above] = [[], []];
    for (let row = 0; row < population.count; row++) {
      if (visible[row]) (selected[row] ? above : below).push(row);
    }
    this.points.arrange([
      { rows: below, alpha: selectedCount ? 0.3 : 0.85, rim: 0 },
      { rows: above, alpha: 1, rim: population.count < 20000 ? 1 : 0.4 },
    ]);
  }

  resize() {
    const { clientWidth, clientHeight } = this.root;
    const ratio = window.devicePixelRatio || 1;
    for (const canvas of [this.canvas, this.overlay]) {
      canvas.width = Math.max(1, Math.round(clientWidth * ratio));
      canvas.height = Math.max(1, Math.round(clientHeight * ratio));
    }
    const before = Math.min(this.width ?? 0, this.height ?? 0);
    [this.width, this.height, this.ratio] = [clientWidth, clientHeight, ratio];
    if (this.view && before) this.view.scale *= Math.min(clientWidth, clientHeight) / before || 1;
    if (this.view) this.redraw();
  }

  fit() {
    this.view = { x: 0, y: 0, scale: 0.46 * Math.min(this.width, this.height) };
    this.redraw();
  }

  zoom(factor, px = this.width / 2, py = this.height / 2) {
    const [x, y] = this.toMap(px, py);
    const least = 0.2 * Math.min(this.width, this.height);
    this.view.scale = Math.min(Math.max(this.view.scale * factor, least), least * 2000);
    this.view.x = x - (px - this.width / 2) / this.view.scale;
    this.view.y = y + (py - this.height / 2) / this.view.scale;
    this.redraw();
  }

  pan(dx, dy) {
    this.view.x -= dx / this.view.scale;
    this.view.y += dy / this.view.scale;
    this.redraw();
  }

  toMap(px, py) {
    const { x, y, scale } = this.view;
    return [x + (px - this.width / 2) / scale, y - (py - this.height / 2) / scale];
  }

  toPixels(row) {
    const { x, y, scale } = this.view;
    const { positions } = this.state.population;
    return [
      this.width / 2 + (positions[2 * row] - x) * scale,
      this.height / 2 - (positions[2 * row + 1] - y) * scale,
    ];
  }

  rowsWhere(test) {
    const { population, visible } = this.state;
    const rows = [];
    for (let row = 0; row < population.count; row++) {
      if (visible[row] && test(population.positions[2 * row], population.positions[2 * row + 1])) rows.push(row);
    }
    return rows;
  }

  rowsInPolygon(pixels) {
    const corners = new Float64Array(pixels.flatMap(([px, py]) => this.toMap(px, py)));
    const xs = corners.filter((_, k) => k % 2 === 0);
    const ys = corners.filter((_, k) => k % 2 === 1);
    const [left, right] = [Math.min(...xs), Math.max(...xs)];
    const [low, high] = [Math.min(...ys), Math.max(...ys)];
    return this.rowsWhere(
      (x, y) => x >= left && x <= right && y >= low && y <= high && insidePolygon(corners, x, y),
    );
  }

  rowsInView() {
    const [left, high] = this.toMap(0, 0);
    const [right, low] = this.toMap(this.width, this.height);
    return this.rowsWhere((x, y) => x >= left && x <= right && y >= low && y <= high);
  }

  nearest(px, py) {
    const { population, visible } = this.state;
    const [x, y] = this.toMap(px, py);
    let found = -1;
    let least = (REACH_PX / this.view.scale) ** 2;
    for (let row = 0; row < population.count; row++) {
      if (!visible[row]) continue;
      const distance = (population.positions[2 * row] - x) ** 2 + (population.positions[2 * row + 1] - y) ** 2;
      if (distance < least) [least, found] = [distance, row];
    }
    return found;
  }

  listenToPointer() {
    const { overlay } = this;
    overlay.addEventListener("pointerdown", (event) => this.press(event));
    overlay.addEventListener("pointermove", (event) => this.move(event));
    overlay.addEventListener("pointerup", (event) => this.release(event));
    overlay.addEventListener("pointercancel", () => this.cancel());
    overlay.addEventListener("pointerleave", () => this.hover(-1));
    overlay.addEventListener("contextmenu", (event) => event.preventDefault());
    overlay.addEventListener("dblclick", () => this.fit());
    overlay.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        const pixels = event.deltaY * (event.deltaMode === 1 ? 16 : 1);
        this.zoom(Math.exp(-pixels / 400), event.offsetX, event.offsetY);
      },
      { passive: false },
    );
  }

  press(event) {
    this.overlay.setPointerCapture(event.pointerId);
    this.overlay.focus();
    const start = [event.offsetX, event.offsetY];
    const moves = this.mode === "move" || event.button !== 0;
    this.drag = { start, last: start, moves, far: false, how: howOf(event) };
    if (!moves) this.path = [start];
    this.hover(-1);
  }

  move(event) {
    const at = [event.offsetX, event.offsetY];
    if (!this.drag) {
      this.hover(this.nearest(...at), at);
      return;
    }
    const { start, last, moves } = this.drag;
    if (Math.hypot(at[0] - start[0], at[1] - start[1]) > CLICK_PX) this.drag.far = true;
    if (moves) this.pan(at[0] - last[0], at[1] - last[1]);
    else if (this.mode === "box") this.path = [start, [at[0], start[1]], at, [start[0], at[1]]];
    else if (Math.hypot(at[0] - last[0], at[1] - last[1]) > 1.5) this.path.push(at);
    else return;
    this.drag.last = at;
    this.redraw();
  }

  release(event) {
    const { drag, path } = this;
    this.cancel();
    if (!drag) return;
    if (!drag.far) {
      const row = this.nearest(event.offsetX, event.offsetY);
      if (row >= 0 && drag.how !== "replace") this.state.select([row], drag.how);
      this.state.setFocus(row);
    } else if (!drag.moves) {
      this.state.select(this.rowsInPolygon(path), drag.how);
    }
  }

  cancel() {
    this.drag = null;
    this.path = null;
    this.redraw();
  }

  hover(row, at) {
    this.tip.hidden = row < 0;
    this.overlay.style.cursor = row < 0 ? "" : "pointer";
    if (row >= 0 && row !== this.hovered) {
      const { population, colourBy } = this.state;
      const name = document.createElement("b");
      name.textContent = population.sampleIds[row];
      const fact = document.createElement("span");
      const column = population.column(colourBy);
      fact.textContent = column ? `${column.name} ${column.text(row)}` : "";
      this.tip.replaceChildren(population.thumbnail(row, HOVER_WIDTH_PX), name, fact);
    }
    if (row >= 0) {
      const { offsetWidth, offsetHeight } = this.tip;
      const left = at[0] + 16 + offsetWidth > this.width ? at[0] - offsetWidth - 12 : at[0] + 16;
      const top = Math.min(Math.max(at[1] - offsetHeight / 2, 4), this.height - offsetHeight - 4);
      this.tip.style.transform = `translate(${left}px, ${top}px)`;
    }
    if (row !== this.hovered) {
      this.hovered = row;
      this.redraw();
    }
  }

  redraw() {
    if (this.waiting || !this.view) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.points.draw(this.view, this.width, this.height, this.ratio);
      this.drawOverlay();
    });
  }

  drawOverlay() {
    const pen = this.overlay.getContext("2d");
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    const { focus, population, visible } = this.state;
    if (focus >= 0) {
      const from = this.toPixels(focus);
      pen.strokeStyle = "rgba(31, 41, 55, 0.55)";
      pen.lineWidth = 1;
      for (const [row] of population.neighboursOf(focus)) {
        if (!visible[row]) continue;
        pen.beginPath();
        pen.moveTo(...from);
        pen.lineTo(...this.toPixels(row));
        pen.stroke();
      }
      this.ring(pen, focus, "#111827");
    }
    if (this.hovered >= 0) this.ring(pen, this.hovered, "#2563eb");
    if (this.path && this.path.length > 1) {
      pen.beginPath();
      this.path.forEach(([x, y]) => pen.lineTo(x, y));
      pen.closePath();
      pen.fillStyle = "rgba(37, 99, 235, 0.10)";
      pen.fill();
      pen.strokeStyle = "#2563eb";
      pen.lineWidth = 1.5;
      pen.setLineDash([5, 4]);
      pen.stroke();
      pen.setLineDash([]);
    }
  }

  ring(pen, row, colour) {
    pen.beginPath();
    pen.arc(...this.toPixels(row), this.sizes[row] / 2 + 4, 0, 2 * Math.PI);
    pen.strokeStyle = colour;
    pen.lineWidth = 2;
    pen.stroke();
  }
}

function howOf(event) {
  if (event.shiftKey) return "add";
  return event.altKey ? "remove" : "replace";
}
