// Choosing a run, and reading it to its end: a long one comes in parts.
"use strict";
import {$, el, fill, get} from "/static/console.js";

export async function chooseRuns(...selects) {
  const runs = await get("/api/runs");
  const asked = new URLSearchParams(location.search);
  for (const {id, blank, at, only} of selects) {
    const offered = runs.filter(only || (() => true));
    fill($(id), ...(blank ? [el("option", {value: ""}, blank)] : []), ...offered.map(({run, episodes}) => el("option", {value: run}, `${run} (${episodes})`)));
    const named = asked.get(id), usual = blank ? "" : (offered[Math.min(at || 0, offered.length - 1)] || {}).run;
    $(id).value = offered.some(({run}) => run === named) ? named : usual || "";
  }
  return runs;
}
let newest = 0;
export async function whole(path, show) {
  const mine = ++newest;
  for (;;) {
    const told = await get(path);
    if (mine !== newest) return;
    if ($("reading")) $("reading").textContent = told.read < told.of ? `read ${told.read} of ${told.of} episodes ...` : `${told.of} episodes`;
    await show(told);
    if (told.read >= told.of) return;
  }
}
