"use strict";
import {$, el, fill, get, say} from "/static/console.js";
import {chart} from "/static/chart.js";
import {chooseRuns, whole} from "/static/runs.js";

const COLOUR = {forward: "blue", backward: "orange"};
const MARK = {success: "✓", timeout: "✗", aborted: "–"};
const percent = r => r ? `${(100 * r.rate).toFixed(0)} % (${(100 * r.ci95[0]).toFixed(0)} to ${(100 * r.ci95[1]).toFixed(0)}, n = ${r.n})` : "-";
const runs = {};
let shown = null, timer = null;

function showCurve() {
  const series = [], lines = [], words = [];
  Object.values(runs).forEach((told, i) => {
    for (const [direction, points] of Object.entries(told.curves)) {
      series.push({points, className: direction, dash: i ? "3 4" : ""});
      words.push(`${told.run} ${direction}: ${COLOUR[direction]}, ${i ? "dotted" : "solid"}`);
      if (!i && told.start[direction]) lines.push({y: told.start[direction].rate, className: direction});
    }
  });
  const window = Object.values(runs)[0]?.window;
  fill($("curve"), series.length ? chart({label: "success rate over robot minutes, with 95 % Wilson intervals", series, lines, xLabel: "robot minutes"}) : "no finished episodes yet");
  $("legend").textContent = series.length ? `${words.join("; ")}. Rate of the last ${window} episodes of a direction as the learned reward saw it, band: 95 % Wilson interval; dashed: what the first policy reached.` : "";
}
function showCounts() {
  const all = Object.values(runs), n = (told, kind) => told.events[kind] || 0;
  const rows = [
    ["robot minutes", t => t.minutes], ["episodes", t => t.episodes.length], ["aborted", t => t.aborted],
    ["forward, all", t => percent(t.all.forward)], ["backward, all", t => percent(t.all.backward)],
    ["forward, first policy", t => percent(t.start.forward)], ["backward, first policy", t => percent(t.start.backward)],
    ["minutes to 80 % / 90 %", t => Object.entries(t.minutes_to).map(([d, m]) => `${d} ${m["80%"] ?? "-"} / ${m["90%"] ?? "-"}`).join(", ") || "not reached"],
    ["episodes with a person's hand", t => t.interventions], ["policies that acted", t => t.policies],
    ["offers", t => n(t, "offered")], ["accepted", t => n(t, "accepted")], ["reverted", t => n(t, "reverted")], ["refused", t => n(t, "refused")],
    ["resets of the scene", t => t.resets ?? "-"], ["questions to a person", t => n(t, "question")], ["stops", t => n(t, "stopped")], ["takeovers", t => n(t, "takeover")],
    ["reward's precision, audited", t => t.precision.says],
    ["false stops, of ends audited", t => t.false_stops.n ? `${t.false_stops.hits} of ${t.false_stops.n}: ${t.false_stops.says}` : "none was audited yet"],
  ];
  fill($("counts"), el("table", {}, el("thead", {}, el("tr", {}, el("th", {scope: "col"}, "what"), ...all.map(t => el("th", {scope: "col"}, t.run)))),
    el("tbody", {}, ...rows.map(([name, of]) => el("tr", {}, el("th", {scope: "row"}, name), ...all.map(t => el("td", {}, String(of(t)))))))));
}
function showStrip(told) {
  fill($("strip"), ...told.episodes.map(row => el("button", {type: "button", className: row.outcome, title: `${row.episode_id}: ${row.sentence}, ${row.outcome}, ${row.steps} steps`,
    "aria-label": `${row.episode_id}: ${row.sentence}, ${row.outcome}, ${row.steps} steps`, onclick: event => open(told.run, row.episode_id, event.target)}, MARK[row.outcome] || "?")));
}
async function load() {
  for (const name in runs) delete runs[name];
  for (const id of ["run", "other"]) {
    const name = $(id).value;
    if (!name || name in runs) continue;
    await whole(`/api/runs/${encodeURIComponent(name)}`, told => {
      runs[name] = told;
      if (id === "run") showStrip(told);
      showCurve();
      showCounts();
    });
  }
}
async function open(run, episode, button) {
  clearInterval(timer);
  timer = null;
  $("play").textContent = "Play";
  for (const one of $("strip").children) one.setAttribute("aria-pressed", one === button);
  shown = await get(`/api/runs/${encodeURIComponent(run)}/episodes/${encodeURIComponent(episode)}`);
  $("player").hidden = false;
  $("h-player").textContent = `${episode}: ${shown.sentence}, ${shown.outcome}${shown.reason ? ` (${shown.reason})` : ""}, policy ${shown.policy || "none"}`;
  fill($("films"), ...shown.cameras.map(name => el("figure", {}, el("img", {id: `film-${name}`, alt: `camera ${name} at the chosen step`}), el("figcaption"))));
  $("step").max = shown.steps - 1;
  $("download").href = `/download/${encodeURIComponent(run)}/${encodeURIComponent(episode)}`;
  seek(0);
  $("player").scrollIntoView({block: "nearest"});
}
function seek(step) {
  $("step").value = step;
  const p = shown.probabilities[step], said = shown.limited_by[step].join(", ") || shown.refused[step];
  $("at").textContent = `${step} of ${shown.steps - 1}: ${shown.verdicts[step]}${p === null ? "" : ` ${p.toFixed(2)}`}, ${shown.sources[step] || "nobody"}, ${shown.modes[step]}${said ? `, ${said}` : ""}`;
  for (const name of shown.cameras) {
    const image = $(`film-${name}`);
    if (shown.complete[step]) image.src = `/api/runs/${encodeURIComponent(shown.run)}/episodes/${encodeURIComponent(shown.episode)}/frames/${encodeURIComponent(name)}/${step}`;
    image.nextElementSibling.textContent = `${name}, step ${step}: success ${p === null ? "unknown" : p.toFixed(2)}, gate ${shown.modes[step]}`;
  }
  const series = values => values.map((v, i) => [i, v]), classes = ["forward", "backward", "RUN"];
  const moves = Object.entries(shown.actions).slice(0, 3).map(([name, values], i) => ({points: series(values.map(v => v === null ? null : 1000 * v)), className: classes[i], name}));
  const most = Math.max(1, ...moves.flatMap(m => m.points.map(p => Math.abs(p[1] || 0))));
  fill($("told"), chart({label: "probability of success by step", series: [{points: series(shown.probabilities), className: "forward"}], xLabel: "step: probability of success", height: 130, cursor: step}),
    chart({label: "commanded motion by step, millimetres", series: moves, low: -most, high: most, xLabel: `step: ${moves.map((m, i) => `${m.name} (${["blue", "orange", "green"][i]})`).join(", ")} [mm]`, height: 150, cursor: step}));
}
$("step").addEventListener("input", () => seek(Number($("step").value)));
$("play").addEventListener("click", () => {
  if (timer) { clearInterval(timer); timer = null; $("play").textContent = "Play"; return; }
  if (Number($("step").value) >= shown.steps - 1) seek(0);
  $("play").textContent = "Pause";
  timer = setInterval(() => {
    const next = Number($("step").value) + 1;
    if (next < shown.steps) seek(next);
    else { clearInterval(timer); timer = null; $("play").textContent = "Play"; }
  }, 1000 / shown.rate_hz);
});
for (const id of ["run", "other"]) $(id).addEventListener("change", () => load().catch(why => say(why.message, true)));
try {
  await chooseRuns({id: "run"}, {id: "other", blank: "no other"});
  await load();
  const asked = new URLSearchParams(location.search).get("episode"), told = runs[$("run").value];
  const at = told ? told.episodes.findIndex(row => row.episode_id === asked) : -1;
  if (at >= 0) await open(told.run, asked, $("strip").children[at]);
} catch (why) { say(why.message, true); }
