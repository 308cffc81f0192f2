// The live page: what the graph says of itself, and what an operator may ask of it.
"use strict";
import {$, act, el, fill, isOperator, onState, state} from "/static/console.js";
import {views} from "/static/views.js";

const put = (id, text) => { const shown = text === undefined || text === null || text === "" ? "-" : String(text); if ($(id).textContent !== shown) $(id).textContent = shown; };
const fixed = (value, digits, unit = "") => value === null || value === undefined ? "-" : `${value.toFixed(digits)}${unit}`;
let latches = null;

function showGate(gate, decision) {
  put("gate-mode", gate.mode);
  $("gate-mode").className = `pill ${gate.mode}`;
  put("why", gate.reasons.join("; ") || "nothing is wrong");
  put("holder", gate.holder || "nobody");
  put("limited", decision && decision.limited_by.join(", "));
  put("refused", decision && decision.refused);
  $("arm").disabled = gate.armed || gate.latches.length > 0 || !isOperator();
  const names = JSON.stringify(gate.latches);
  if (names !== latches) {
    latches = names;
    fill($("latches"), ...gate.latches.map(name => el("div", {className: "row"}, el("button", {type: "button", className: "main", disabled: !isOperator(), onclick: () => act("clear", {name})}, `Clear “${name}”`))));
  }
}
function showReward(said, reward) {
  const meter = $("meter"), [bar, band, line] = meter.children, p = reward ? reward.probability : null;
  bar.style.width = `${100 * (p || 0)}%`;
  meter.setAttribute("aria-valuenow", p === null ? 0 : p.toFixed(2));
  meter.setAttribute("aria-valuetext", p === null ? "unknown" : p.toFixed(2));
  const low = said.unsure_above ?? said.threshold;
  line.hidden = band.hidden = said.threshold === null || said.threshold === undefined;
  if (!line.hidden) {
    line.style.left = `${100 * said.threshold}%`;
    band.style.left = `${100 * low}%`;
    band.style.width = `${100 * Math.max(said.threshold - low, 0)}%`;
  }
  put("threshold", said.threshold === null ? "no model" : `${fixed(said.threshold, 3)}${said.unsure_above === null ? "" : `, unsure above ${fixed(said.unsure_above, 3)}`}`);
  put("probability", fixed(p, 3));
  put("verdict", reward && reward.verdict);
  put("r-latency", reward && fixed(reward.latency_ms, 1, " ms"));
}
function bounds({threshold, unsure_above}) {
  if (threshold === null || threshold === undefined) return "";
  return ` (yes above ${threshold.toFixed(2)}${unsure_above === null || unsure_above === undefined ? "" : `, unsure above ${unsure_above.toFixed(2)}`})`;
}
await views($("views"), (name, said) => {
  const {gate, episode, reward} = said, why = gate && gate.reasons.length ? ` (${gate.reasons.join("; ")})` : "";
  const p = reward && reward.probability !== null ? `, success ${reward.probability.toFixed(2)}${bounds(said)}` : "";
  return `${name}: ${episode ? episode.phase : "-"}${episode && episode.sentence ? `, “${episode.sentence}”` : ""}${p}, gate ${gate ? gate.mode : "-"}${why}, ${gate && gate.holder ? gate.holder : "nobody"} commands`;
});
onState(said => {
  const {gate, episode, reward, policy, learner, decision, step, joints, machine} = said;
  if (gate) showGate(gate, decision);
  showReward(said, reward);
  if (episode) {
    put("p-phase", episode.phase);
    put("p-sentence", episode.sentence);
    put("p-index", `${episode.episode_id || "-"}, step ${step && step.episode_id === episode.episode_id ? step.step : "-"}`);
    // What the gate waits for changes while practice waits for the gate.
    const reason = episode.waits_for === "gate" && gate && gate.reasons.length ? `waits for the gate: ${gate.reasons.join("; ")}` : episode.reason;
    put("p-reason", [episode.outcome, reason].filter(Boolean).join(": "));
    const waits = episode.phase === "paused", live = ["acting", "showing"].includes(episode.phase), idle = ["idle", "finished"].includes(episode.phase);
    $("question").hidden = !episode.asks;
    if (episode.asks) put("asked", episode.reason || "Practice waits. Look at the scene, then go on.");
    for (const [id, may] of [["practise", idle], ["pause", !idle && !waits], ["reset", !idle], ["finish", !idle], ["mark_success", live], ["mark_failure", live], ["mark_discard", live], ["mark_again", !idle]]) $(id).disabled = !may || !isOperator();
  }
  if (policy) { put("version", policy.version); put("waiting", policy.waiting); put("inference", `${fixed(policy.inference_ms, 1, " ms")} ${policy.provider.replace("ExecutionProvider", "")}`); put("offer-refused", policy.refused && `${policy.refused}: ${policy.refused_reason}`); }
  put("age", `${said.policy_age_s} s`);
  put("learner", learner && [learner.state, learner.reason].filter(Boolean).join(": "));
  put("updates", learner && `${learner.updates_done}, ${said.updates_hz} a second, ${learner.waiting_episodes} episodes wait`);
  put("step-hz", `${fixed(said.step_hz, 2)} a second`);
  if (step) put("tool", `x ${fixed(step.tool[0], 3)} y ${fixed(step.tool[1], 3)} z ${fixed(step.tool[2], 3)} m, opening ${fixed(step.tool[6], 2)}`);
  if (joints) put("joints", joints.names.map((name, i) => `${name} ${fixed(joints.positions[i], 2)}`).join(", "));
  put("ages", ["joints", "tick", "decision", "reward"].filter(kind => kind in said.ages_s).map(kind => `${kind} ${said.ages_s[kind]} s ago`).join(", "));
  put("run", said.run);
  if (machine) {
    put("disk", `${(machine.disk.free_mb / 1000).toFixed(1)} of ${(machine.disk.total_mb / 1000).toFixed(0)} GB free`);
    put("load", machine.load);
    const motors = Object.entries(said.nodes).filter(([, node]) => node.values.temperature_c).map(([name, node]) => [name, node.values.temperature_c]);
    put("temperatures", [...Object.entries(machine.temperatures), ...motors].map(([name, t]) => `${name} ${t} °C`).join(", ") || "not published");
  }
  if (said.up) put("nodes", Object.entries(said.up).map(([name, phase]) => phase === "active" ? name : `${name} (${phase})`).join(", "));
});

$("arm").addEventListener("click", () => { $("confirm").dataset.boot = state.gate.boot_id; $("confirm").show(); });  // not modal: STOP stays within reach
$("no").addEventListener("click", () => $("confirm").close());
$("yes").addEventListener("click", () => { $("confirm").close(); act("arm", {boot_id: $("confirm").dataset.boot}); });
$("practise").addEventListener("click", () => act("practise", {episodes: Math.max(0, Math.trunc(Number($("episodes").value) || 0))}));
for (const name of ["hold", "unhold", "pause", "reset", "resume", "finish", "mark_success", "mark_failure", "mark_discard", "mark_again"]) $(name).addEventListener("click", () => act(name));
if (!isOperator()) for (const name of ["arm", "hold", "unhold", "practise", "pause", "reset", "resume", "finish"]) $(name).disabled = true;
