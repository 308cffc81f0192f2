"use strict";
import {$, el, fill, get, isOperator, post, say} from "/static/console.js";
import {chooseRuns, whole} from "/static/runs.js";

const WORDS = {y: "yes", n: "no", u: "unsure"};
const AT_ONCE = 2;  // pictures: a browser has few connections to one host, and other requests want some
let answered = 0, loading = 0, unseen = [];

function item(run, due) {
  const {episode, step, said, sentence, probability} = due;
  const image = el("img", {alt: `step ${step} of ${episode}`});
  const camera = cameras => { unseen.push([image, `/api/runs/${encodeURIComponent(run)}/episodes/${encodeURIComponent(episode)}/frames/${encodeURIComponent(cameras[0])}/${step}`]); more(); };
  image.addEventListener("load", loaded);
  image.addEventListener("error", loaded);
  const told = el("span", {}, `“${sentence}”: done?`);
  const button = el("button", {type: "button", "aria-keyshortcuts": "y n u"}, image, told);
  button.addEventListener("focus", () => button.scrollIntoView({block: "nearest"}));
  button.addEventListener("keydown", async event => {
    const move = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1}[event.key];
    if (move) { event.preventDefault(); go(button, move); return; }
    const truth = WORDS[event.key];
    if (!truth) return;
    event.preventDefault();
    if (!isOperator()) { say("only an operator may answer", true); return; }
    go(button, 1);  // at once: who answers fast does not wait for the disk
    try {
      await post(`/api/runs/${encodeURIComponent(run)}/audit`, {episode, step, truth});
      told.textContent = `you: ${truth}; the reward: ${said}${probability === null ? "" : ` ${probability.toFixed(2)}`}`;
      button.classList.add("done");
      button.dataset.answered = truth;
      say(`kept: ${episode}, step ${step}, ${truth}; ${++answered} answered now`);
      await rates(run);
    } catch (why) { say(why.message, true); }
  });
  return [el("li", {}, button), camera, episode];
}
function more() {
  while (loading < AT_ONCE && unseen.length) { const [image, src] = unseen.shift(); ++loading; image.src = src; }
}
function loaded() { --loading; more(); }
function go(button, move) {
  const all = [...$("sheet").querySelectorAll("button")], next = all[all.indexOf(button) + move];
  if (next) next.focus();
}
function showRates(told) {
  $("rates").textContent = `precision ${told.precision.says}; recall ${told.recall.says}; ${told.reviewed} reviewed, ${told.due_in_all} due`;
  $("alarms").textContent = told.alarms.join(" ");
}
const path = run => `/api/runs/${encodeURIComponent(run)}/audit?share=${$("share").value}`;
async function rates(run) { showRates(await get(path(run))); }
async function load() {
  const run = $("run").value;
  if (!run) { $("rates").textContent = "no run here yet"; return; }
  await whole(path(run), async told => {
    showRates(told);
    if (told.read < told.of) return;
    unseen = [];
    const items = told.due.map(due => item(run, due)), cameras = {};
    fill($("sheet"), ...items.map(([li]) => li));
    if (!items.length) fill($("sheet"), el("li", {}, "nothing is due"));
    for (const [, camera, episode] of items) {
      cameras[episode] = cameras[episode] || get(`/api/runs/${encodeURIComponent(run)}/episodes/${encodeURIComponent(episode)}`).then(told => told.cameras);
      camera(await cameras[episode]);
    }
  });
}
for (const id of ["run", "share"]) $(id).addEventListener("change", () => load().catch(why => say(why.message, true)));
try {
  await chooseRuns({id: "run"});
  await load();
} catch (why) { say(why.message, true); }
