// SPDX-License-Identifier: Apache-2.0
// The selection as files: plain ids, and a selection file that 'armseg apply' takes.
"use strict";

function save(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  const link = element("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

// One sample id a line, in the order of the list.
function idsText(population, rows) {
  return rows.map((row) => `${population.sampleIds[row]}\n`).join("");
}

function selectionText(state, rows) {
  const { population } = state;
  const picks = rows.map((row) => ({
    sample_id: population.sampleIds[row],
    image_id: population.imageIds[row],
    run: population.runIndex[row],
    reason: ["picked by hand in the explorer", ...state.tagsOf(row)].join("; "),
    score: null,
  }));
  const document = {
    format: 1,
    kind: "select",
    recipe: { name: "explorer" },
    seed: 0,
    input_sha256: population.fingerprint,
    inputs: population.inputs,
    summary: { picks: picks.length },
    picks,
    dropped: [],
  };
  return `${JSON.stringify(document, null, 1)}\n`;
}

function tagsText(state) {
  const { population } = state;
  const record = (row) => ({ run: population.runs[population.runIndex[row]], sample_id: population.sampleIds[row] });
  return `${JSON.stringify(Object.fromEntries([...state.tags].map(([name, rows]) => [name, [...rows].sort((a, b) => a - b).map(record)])), null, 1)}\n`;
}
