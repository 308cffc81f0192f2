// The teleop page: the cameras, the controls of teleop_node's own page, and the way to the last episode's replay.
"use strict";
import {$, isOperator, onState, word} from "/static/console.js";
import {hand} from "/static/hand.js";
import {views} from "/static/views.js";

let made = false;
onState(said => {
  const isThere = Boolean(said.nodes.teleop_node?.values.page);
  if (isThere && isOperator() && !made) {
    made = true;
    hand($("hand"), "/teleop/ws", () => ({word: word()}));
  }
  $("hand").hidden = !made;
  $("none").hidden = made;
  $("none").textContent = !isOperator() ? "You came in as a viewer; only an operator may move the arm."
    : "This graph has no hand on a page. Start it with teleop=web beside console=local, as in: armtune up sim teleop=web console=local";
});
onState(({episode}) => {
  if (!episode?.outcome || $("replay").dataset.of === episode.episode_id) return;
  $("replay").dataset.of = episode.episode_id;
  $("replay").href = `/progress?run=${encodeURIComponent(episode.run_id)}&episode=${encodeURIComponent(episode.episode_id)}`;
  $("replay").textContent = `Replay of ${episode.episode_id}, ${episode.outcome}`;
  $("replay").hidden = false;
});
await views($("views"), name => name);
