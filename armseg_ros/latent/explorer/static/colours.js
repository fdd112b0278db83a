// SPDX-License-Identifier: Apache-2.0
// Colours of points: plasma without its palest end for numbers, Tableau's ten for categories.
"use strict";

const PLASMA = ["#0d0887", "#41049d", "#6a00a8", "#8f0da4", "#b12a90", "#cc4778", "#e16462", "#f2844b", "#fca636"];
const TEN = ["#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2", "#b07aa1", "#edc948", "#9c755f", "#ff9da7", "#86bcb6"];
const UNKNOWN = "#a3a9b5";
const NAMED = { yellow: "#e3b505", blue: "#3a7bd5", green: "#59a14f", red: "#e15759", grey: "#8b93a1", black: "#2b2f38", brown: "#9c755f" };
const PLAIN = "#4e79a7";

function channels(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

const plasmaSteps = PLASMA.map(channels);

// share: 0..1
function plasma(share) {
  const place = Math.min(Math.max(share, 0), 1) * (plasmaSteps.length - 1);
  const step = Math.min(Math.floor(place), plasmaSteps.length - 2);
  const part = place - step;
  return plasmaSteps[step].map((low, k) => low + part * (plasmaSteps[step + 1][k] - low));
}

// Levels that are names of colours have these colours.
function levelColour(column, code) {
  if (code < 0 || code >= TEN.length) return UNKNOWN;
  const named = column.levels.every((level) => level in NAMED || ["other", "unknown", "none"].includes(level));
  return named ? (NAMED[column.levels[code]] ?? UNKNOWN) : TEN[code];
}

// (N, 4) bytes: a colour for every picture.
function colourRows(population, column) {
  const out = new Uint8Array(4 * population.count).fill(255);
  const paint = (row, rgb) => out.set(rgb, 4 * row);
  const unknown = channels(UNKNOWN);
  if (!column || column.kind === "text") {
    for (let row = 0; row < population.count; row++) paint(row, channels(PLAIN));
  } else if (column.kind === "number") {
    const range = column.high - column.low || 1;
    column.values.forEach((value, row) => {
      paint(row, Number.isNaN(value) ? unknown : plasma((value - column.low) / range));
    });
  } else {
    const colours = column.levels.map((_, code) => channels(levelColour(column, code)));
    column.codes.forEach((code, row) => paint(row, code < 0 ? unknown : colours[code]));
  }
  return out;
}

// (N,) diameters in pixels, 0.5 to 2.5 of the plain one along the column.
function sizeRows(population, column, plain) {
  const out = new Float32Array(population.count).fill(plain);
  if (!column || column.kind !== "number") return out;
  const range = column.high - column.low || 1;
  column.values.forEach((value, row) => {
    if (!Number.isNaN(value)) out[row] = plain * (0.5 + (2 * (value - column.low)) / range);
  });
  return out;
}
