// SPDX-License-Identifier: Apache-2.0
// Draws the charts of a page, each from the JSON beside it, and moves the threshold.
"use strict";

const SETTINGS = { displayModeBar: false, responsive: true };

function drawCharts() {
  for (const data of document.querySelectorAll("script.plot-data")) {
    const figure = JSON.parse(data.textContent);
    Plotly.newPlot(data.previousElementSibling, figure.data, figure.layout, SETTINGS);
  }
}

function show(id, value, digits) {
  const text = Number.isFinite(value) ? value.toFixed(digits) : "–";
  document.getElementById(id).textContent = text;
}

function followThreshold() {
  const data = document.getElementById("threshold-counts");
  if (!data) return;
  const counts = JSON.parse(data.textContent);
  const slider = document.getElementById("threshold");
  const update = () => {
    const step = Number(slider.value);
    const [found, wrong, missed] = [counts.found[step], counts.wrong[step], counts.missed[step]];
    show("threshold-value", counts.thresholds[step], 3);
    show("threshold-found", found, 0);
    show("threshold-wrong", wrong, 0);
    show("threshold-missed", missed, 0);
    show("threshold-precision", found / (found + wrong), 3);
    show("threshold-recall", found / (found + missed), 3);
    show("threshold-f1", (2 * found) / (2 * found + wrong + missed), 3);
  };
  slider.addEventListener("input", update);
  update();
}

drawCharts();
followThreshold();
