"use strict";
import {$, el, fill, get, say} from "/static/console.js";
import {chooseRuns, whole} from "/static/runs.js";

const cells = (...values) => el("tr", {}, ...values.map(value => el("td", {}, value instanceof Node ? value : String(value ?? "-"))));
const hasConfig = run => run.has_config;
const there = name => encodeURIComponent(name);

async function showEpisodes() {
  const run = $("run").value;
  if (run) await whole(`/api/runs/${there(run)}`, told => fill($("episodes"), ...told.episodes.map(row => cells(row.episode_id, row.sentence, row.outcome, row.steps, row.policy_version,
    el("a", {href: `/download/${there(run)}/${there(row.episode_id)}`, "aria-label": `MCAP file of ${row.episode_id}`}, "MCAP")))));
}
async function showDifference() {
  const [a, b] = [$("a").value, $("b").value];
  if (!a || !b) return;
  const told = await get(`/api/configs?a=${there(a)}&b=${there(b)}`);
  $("same").textContent = `${told.difference.length} of ${told.keys} keys differ`;
  fill($("difference"), ...told.difference.map(row => cells(row.key, JSON.stringify(row.a), JSON.stringify(row.b))));
}
const folded = (title, text) => el("details", {}, el("summary", {}, title), el("pre", {tabIndex: 0}, text));
async function showModels() {
  const models = await get("/api/models");
  fill($("models"), ...models.map(model => folded(`${model.of}/${model.folder}: ${model.trouble || `${model.kind} ${model.name}, ${model.licence}`}`, JSON.stringify(model, null, 2))));
  if (!models.length) $("models").textContent = "no model here";
}
async function showDatasets() {
  const sets = await get("/api/datasets");
  fill($("datasets"), ...sets.map(one => folded(`${one.dataset}: ${one.trouble || `${one.episodes} episodes, ${one.steps} steps at ${one.rate_hz} a second, LeRobot ${one.format}`}`,
    [one.card, one.keys && one.keys.join("\n")].filter(Boolean).join("\n"))));
  if (!sets.length) $("datasets").textContent = "none beside the folder of runs; armtune data export RUN datasets/NAME makes one";
}
try {
  const runs = await chooseRuns({id: "run"}, {id: "a", only: hasConfig}, {id: "b", only: hasConfig, at: 1});
  fill($("runs"), ...runs.map(row => cells(el("a", {href: `/progress?run=${there(row.run)}`}, row.run), row.episodes, new Date(row.newest_ns / 1e6).toLocaleString())));
} catch (why) { say(why.message, true); }
for (const [ids, show] of [[["run"], showEpisodes], [["a", "b"], showDifference]]) for (const id of ids) $(id).addEventListener("change", () => show().catch(why => say(why.message, true)));
for (const show of [showEpisodes, showDifference, showModels, showDatasets]) show().catch(why => say(why.message, true));
get("/api/safety").then(text => { $("safety").textContent = text; }).catch(why => { $("safety").textContent = why.message; });
