// SPDX-License-Identifier: Apache-2.0
// The pictures and what is known of them, decoded from data/population.js and data/neighbours.js.
"use strict";

function decode(base64, kind) {
  if (Uint8Array.fromBase64) return new kind(Uint8Array.fromBase64(base64).buffer);
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return new kind(bytes.buffer);
}

// Counts come in two bytes, with the lowest number for "not known".
function decodeNumbers({ bytes, values }) {
  if (bytes === 4) return decode(values, Float32Array);
  const short = decode(values, Int16Array);
  const out = new Float32Array(short.length);
  for (let i = 0; i < short.length; i++) out[i] = short[i] === -32768 ? NaN : short[i];
  return out;
}

function rangeOf(values) {
  let [low, high, unknown] = [Infinity, -Infinity, 0];
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (value < low) low = value;
    if (value > high) high = value;
    if (value !== value) unknown++; // NaN
  }
  return { low, high, unknown };
}

const plainNumber = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
const wholeNumber = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

function formatNumber(value) {
  if (Number.isNaN(value)) return "–";
  return (Math.abs(value) >= 1000 ? wholeNumber : plainNumber).format(value);
}

// A fact about every picture. kind: number (values Float32Array, NaN = not known), category (codes
// Int16Array into levels, -1 = not known) or text (values strings or null).
class Column {
  constructor(record) {
    Object.assign(this, record);
    if (this.kind === "number") {
      this.values = decodeNumbers(record);
      Object.assign(this, rangeOf(this.values));
    } else if (this.kind === "category") {
      this.codes = decode(record.codes, Int16Array);
      this.unknown = this.codes.reduce((sum, code) => sum + (code < 0), 0);
    }
  }

  // Whether there is anything to tell apart by it.
  get varies() {
    if (this.kind === "number") return this.low < this.high || (this.low === this.high && this.unknown > 0);
    if (this.kind === "category") return new Set(this.codes).size > 1;
    return true;
  }

  text(row) {
    if (this.kind === "number") return formatNumber(this.values[row]);
    if (this.kind === "category") return this.codes[row] < 0 ? "–" : this.levels[this.codes[row]];
    return this.values[row] ?? "–";
  }

  // What rows are sorted by; what is not known comes last either way.
  isUnknown(row) {
    if (this.kind === "number") return Number.isNaN(this.values[row]);
    return this.kind === "category" ? this.codes[row] < 0 : this.values[row] === null;
  }

  compare(a, b) {
    if (this.kind === "number") return this.values[a] - this.values[b];
    if (this.kind === "category") return this.codes[a] - this.codes[b];
    return this.values[a] < this.values[b] ? -1 : Number(this.values[a] > this.values[b]);
  }
}

class Population {
  constructor(record, neighbours, boxes) {
    this.count = record.sampleIds.length;
    this.fingerprint = record.fingerprint;
    this.sampleIds = record.sampleIds;
    this.imageIds = record.imageIds;
    this.inputs = record.inputs;
    this.runs = record.runs;
    this.runIndex = decode(record.runIndex, Int16Array);
    this.positions = decode(record.positions, Float32Array); // x0, y0, x1, y1, ... within -1..1
    this.columns = record.columns.map((column) => new Column(column));
    this.thumbnails = record.thumbnails && {
      ...record.thumbnails,
      slots: decode(record.thumbnails.slots, Int32Array),
    };
    this.neighbourCount = neighbours.count;
    this.neighbours = decode(neighbours.indices, Int32Array);
    this.distances = decode(neighbours.distances, Float32Array);
    this.boxKinds = boxes.names;
    this.boxes = {
      starts: decode(boxes.starts, Int32Array),
      edges: decode(boxes.edges, Uint8Array),
      kinds: decode(boxes.kinds, Uint8Array),
    };
  }

  column(name) {
    return this.columns.find((column) => column.name === name);
  }

  // [row, latent distance] of the nearest pictures, nearest first.
  neighboursOf(row) {
    const from = row * this.neighbourCount;
    return Array.from({ length: this.neighbourCount }, (_, k) => [
      this.neighbours[from + k],
      this.distances[from + k],
    ]);
  }

  // {kind, left, top, right, bottom} of the objects of a picture; edges are shares of it, 0..1.
  boxesOf(row) {
    const { starts, edges, kinds } = this.boxes;
    const out = [];
    for (let k = starts[row]; k < starts[row + 1]; k++) {
      const [left, top, right, bottom] = edges.subarray(4 * k, 4 * k + 4);
      out.push({ kind: kinds[k], left: left / 255, top: top / 255, right: right / 255, bottom: bottom / 255 });
    }
    return out;
  }

  // Where in its thumbnail a picture lies, as {x, y, width, height} of a thumbnail `width` wide.
  placeInThumbnail(row, width) {
    const { thumbnails } = this;
    const height = thumbnails ? (width * thumbnails.height) / thumbnails.width : 0.75 * width;
    const [w, h] = ["width", "height"].map((name) => this.column(name)?.values[row]);
    const scale = Math.min(width / w, height / h);
    if (!(scale > 0)) return { x: 0, y: 0, width, height };
    return { x: (width - w * scale) / 2, y: (height - h * scale) / 2, width: w * scale, height: h * scale };
  }

  // Rows sorted by a column; equal ones stay in the order of the run.
  sorted(rows, column, descending) {
    const sign = descending ? -1 : 1;
    return rows.sort((a, b) => {
      if (!column) return a - b;
      const unknown = Number(column.isUnknown(a)) - Number(column.isUnknown(b));
      if (unknown || column.isUnknown(a)) return unknown || a - b;
      return sign * column.compare(a, b) || a - b;
    });
  }

  // An element that shows a picture `width` pixels wide.
  thumbnail(row, width) {
    const box = document.createElement("span");
    box.className = "thumbnail";
    const sheets = this.thumbnails;
    const slot = sheets ? sheets.slots[row] : -1;
    const shape = sheets ? sheets.height / sheets.width : 0.75;
    box.style.width = `${width}px`;
    box.style.height = `${Math.round(width * shape)}px`;
    if (slot < 0) {
      box.classList.add("none");
      box.textContent = "no picture";
      return box;
    }
    const perSheet = sheets.perRow * sheets.perRow;
    const place = slot % perSheet;
    const [x, y] = [place % sheets.perRow, Math.floor(place / sheets.perRow)];
    const sheet = String(Math.floor(slot / perSheet)).padStart(4, "0");
    box.style.backgroundImage = `url(thumbnails/${sheet}.jpg)`;
    const rows = Math.min(sheets.perRow, Math.ceil((sheets.count - (slot - place)) / sheets.perRow));
    const columns = rows === 1 ? Math.min(sheets.perRow, sheets.count - (slot - place)) : sheets.perRow;
    box.style.backgroundSize = `${columns * 100}% ${rows * 100}%`;
    const share = (place, places) => (places > 1 ? (100 * place) / (places - 1) : 0);
    box.style.backgroundPosition = `${share(x, columns)}% ${share(y, rows)}%`;
    return box;
  }
}
