// SPDX-License-Identifier: Apache-2.0
// Filters the cards of the gallery and goes through them, by mouse and by keys.
"use strict";

const cards = [...document.querySelectorAll(".failure")];
const viewer = document.getElementById("viewer");
const search = document.getElementById("search");
let kind = "";
let current = -1; // among the cards that are shown

const shown = () => cards.filter((card) => !card.hidden);

function filter() {
  const wanted = search.value.trim().toLowerCase();
  for (const card of cards) {
    const isKind = !kind || card.dataset.kind === kind;
    card.hidden = !isKind || !card.dataset.sample.toLowerCase().includes(wanted);
  }
  document.getElementById("shown").textContent = shown().length;
  document.getElementById("nothing").hidden = shown().length > 0;
}

function choose(button) {
  kind = button.dataset.kind;
  for (const other of document.querySelectorAll(".chip")) {
    other.setAttribute("aria-pressed", String(other === button));
  }
  filter();
}

function toggle(layer) {
  const hidden = document.body.classList.toggle(`hide-${layer}`);
  document.querySelector(`.layer[data-layer="${layer}"]`).setAttribute("aria-pressed", String(!hidden));
}

function open(place) {
  const list = shown();
  if (!list.length) return;
  current = (place + list.length) % list.length;
  const card = list[current];
  for (const panel of viewer.querySelectorAll(".panels div")) {
    panel.replaceChildren(card.firstElementChild.cloneNode(true));
  }
  const left = viewer.querySelector(".panel-truth figcaption");
  left.textContent = card.querySelector(".truth") ? "ground truth" : "picture";
  const text = card.querySelector(".failure-text").cloneNode(true);
  document.getElementById("viewer-text").replaceChildren(...text.childNodes);
  document.getElementById("position").textContent = `${current + 1} of ${list.length}`;
  if (!viewer.open) viewer.showModal();
}

async function copySample() {
  const sample = shown()[current].dataset.sample;
  const button = document.getElementById("copy");
  try {
    await navigator.clipboard.writeText(sample);
    button.textContent = "copied";
  } catch {
    button.textContent = "not allowed here";
  }
  setTimeout(() => (button.textContent = "copy sample id"), 1200);
}

const KEYS = {
  ArrowRight: () => open(current + 1),
  j: () => open(current + 1),
  ArrowLeft: () => open(current - 1),
  k: () => open(current - 1),
  g: () => toggle("truth"),
  p: () => toggle("prediction"),
};

function press(event) {
  if (event.target === search || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Enter" && event.target.classList.contains("failure")) {
    open(shown().indexOf(event.target));
  } else if (KEYS[event.key]) {
    KEYS[event.key]();
    event.preventDefault();
  }
}

if (cards.length) {
  for (const chip of document.querySelectorAll(".chip")) chip.addEventListener("click", () => choose(chip));
  for (const button of document.querySelectorAll(".layer")) {
    button.addEventListener("click", () => toggle(button.dataset.layer));
  }
  for (const card of cards) card.addEventListener("click", () => open(shown().indexOf(card)));
  search.addEventListener("input", filter);
  document.getElementById("next").addEventListener("click", () => open(current + 1));
  document.getElementById("previous").addEventListener("click", () => open(current - 1));
  document.getElementById("copy").addEventListener("click", copySample);
  document.getElementById("close").addEventListener("click", () => viewer.close());
  viewer.addEventListener("click", (event) => event.target === viewer && viewer.close());
  document.addEventListener("keydown", press);
}
