// What every page shares: the live link, STOP, acts that are acknowledged by the node that did them.
"use strict";

export const $ = id => document.getElementById(id);
export const LOST_MS = 800, LOOK_MS = 100, RETRY_MS = 400, LINK_MS = 300;
let session = {role: "nobody", word: ""}, socket = null, heardAt = 0, isClosed = false, wanted = [], pictures = [], refused = "", since = performance.now(), asked = 0;
const stopping = [], listeners = [], painters = [];
export let state = {};

export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && name !== "list") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter(child => child !== null && child !== undefined));
  return made;
}
export function fill(parent, ...children) { parent.replaceChildren(...children); }
export function onState(listener) { listeners.push(listener); }
export function onPicture(cameras, painter) { wanted = cameras; painters.push(painter); }
export const isOperator = () => session.role === "operator", word = () => session.word;

export async function get(path) {
  const answer = await fetch(path);
  if (answer.status === 401) location.reload();
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).why || `${path}: ${answer.status}`);
  return answer.headers.get("content-type").includes("json") ? answer.json() : answer.text();
}
const soon = () => AbortSignal.timeout(5000);
function send(path, said) {
  const headers = {"content-type": "application/json", "x-armtune-word": session.word};
  return fetch(path, {method: "POST", headers, body: JSON.stringify(said), signal: soon()});
}
async function renew() {  // who we are, anew: the console was started again, or our session is over or another tab's
  let answer = await fetch("/api/session", {signal: soon()});
  if (answer.status === 401) {  // where no token is asked for, each page gives a session
    await fetch("/", {signal: soon()});
    answer = await fetch("/api/session", {signal: soon()});
  }
  if (answer.ok) know(await answer.json());
  return answer.ok;
}
export async function post(path, said = {}) {
  let answer = await send(path, said);
  if ([401, 403].includes(answer.status) && await renew()) answer = await send(path, said);
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.why || `${path}: ${answer.status}`);
  return told;
}
export function say(text, refused = false) {
  $("said").textContent = text;
  $("said").className = refused ? "refused" : "";
}
export async function act(name, said = {}, ask = () => post(`/api/act/${name}`, said)) {
  say(`${name}: asked ...`);
  asked += 1;
  try {
    const told = await ask();
    say(told.done ? `${told.by}: ${name} done${told.why ? `, ${told.why}` : ""}` : `${told.by} refused ${name}: ${told.why}`, !told.done);
    return told;
  } catch (why) {
    say(`${name} is NOT acknowledged: ${why.message}`, true);
    return {done: false, why: why.message};
  } finally {
    asked -= 1;
  }
}
function stopByLink() {  // the open socket waits for no other request, as a browser's few connections to one host do
  return new Promise((told, failed) => {
    if (!socket || socket.readyState !== WebSocket.OPEN) { failed(new Error("no link")); return; }
    stopping.push(answer => answer.by ? told(answer) : failed(new Error(answer.why)));
    setTimeout(() => failed(new Error("no answer")), LINK_MS);
    socket.send(JSON.stringify({act: "stop", word: session.word}));
  });
}
export const stop = () => act("stop", {}, () => stopByLink().catch(() => post("/api/act/stop")));

function lost(text) {
  const before = document.body.classList.contains("is-lost");
  document.body.classList.toggle("is-lost", Boolean(text));
  if (text || before) $("lost").textContent = text;
}
function look() {
  const silent = performance.now() - Math.max(heardAt, since);
  if (isClosed || silent > LOST_MS) lost(`Lost the console: ${refused || `nothing heard for ${(silent / 1000).toFixed(1)} s`}. What you see is old. Use the stop button on the robot.`);
  else if (heardAt && state.is_alive === false) lost(`Lost the robot: ${state.lost}. What you see is old.`);
  else if (heardAt) lost("");
}
function ask() {
  requestAnimationFrame(() => { if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(wanted)); });
}
function hear(message) {
  if (typeof message.data === "string") {
    const told = JSON.parse(message.data);
    if (told.act) { for (const one of stopping.splice(0)) one(told); return; }
    state = told;
    heardAt = performance.now();
    isClosed = false;
    refused = "";
    look();
    pictures = state.pictures;
    show();
    for (const listener of listeners) listener(state);
  } else {
    const name = pictures.shift();
    for (const painter of painters) painter(name, message.data);
  }
  if (!pictures.length) ask();
}
function connect() {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`);
  socket.binaryType = "blob";
  socket.onopen = ask;
  socket.onmessage = hear;
  socket.onclose = async event => {
    isClosed = true;
    refused = event.reason;
    for (const one of stopping.splice(0)) one({why: "the link is cut"});
    look();
    const answer = await fetch("/api/session", {signal: soon()}).catch(() => null);
    // The console was started anew, or the session is over. A request on its way, as a STOP, gets a session by itself.
    if (answer && answer.status === 401 && !asked) location.reload();
    else if (answer && answer.ok) know(await answer.json().catch(() => session));
    setTimeout(connect, RETRY_MS);
  };
}
function show() {
  const gate = state.gate || {mode: "STOP", reasons: ["not heard yet"]}, newest = state.newest_act;
  $("mode").textContent = gate.mode;
  $("mode").className = `pill ${gate.mode}`;
  $("phase").textContent = state.episode ? `${state.episode.phase}${state.episode.sentence ? `: ${state.episode.sentence}` : ""}` : "";
  const others = state.viewers > 1 ? `${state.viewers} pages are open` : "";
  $("others").textContent = [others, newest ? `${newest.who}: ${newest.act} ${newest.done ? "done" : "refused"}` : ""].filter(Boolean).join(" · ");
  $("teleop").hidden = location.pathname !== "/teleop" && !state.nodes?.teleop_node?.values.page;
}
function know(told) {
  session = told;
  $("me").textContent = isOperator() ? `you: operator ${session.name}` : `you: viewer ${session.name}, who may look and stop`;
  document.body.classList.toggle("is-viewer", !isOperator());
}
function frame() {
  const links = [["/", "live"], ["/progress", "progress"], ["/audit", "audit"], ["/browse", "browse"], ["/teleop", "teleop"]].map(([path, name]) => {
    const link = el("a", name === "teleop" ? {href: path, id: name, hidden: true} : {href: path}, name);
    if (path === location.pathname) link.setAttribute("aria-current", "page");
    return link;
  });
  document.body.prepend(
    el("a", {className: "skip", href: "#stop"}, "to STOP"),
    el("div", {id: "lost", role: "alert"}),
    el("header", {}, el("strong", {}, "armtune"), el("nav", {"aria-label": "pages"}, ...links),
      el("span", {id: "mode", className: "pill STOP"}, "STOP"), el("span", {id: "phase"}), el("span", {className: "who"}, el("span", {id: "others"}), " ", el("span", {id: "me"}))));
  document.body.append(
    el("button", {id: "stop", type: "button", onclick: stop, "aria-keyshortcuts": "Escape"}, "STOP", el("small", {}, "or press Escape")));
  document.querySelector("main").prepend(el("output", {id: "said", role: "status", "aria-live": "polite"}));
  addEventListener("keydown", event => {
    if (event.key === "Escape" && !event.repeat) { event.preventDefault(); document.querySelector("dialog[open]")?.close(); stop(); }
  }, true);
}
frame();
try {
  know(await get("/api/session"));
} catch (why) { say(why.message, true); }
if (session.asks) $("me").after(" ", el("button", {type: "button", onclick: async () => { await post("/api/leave"); location.href = "/login"; }}, "leave"));
since = performance.now();
setInterval(look, LOOK_MS);
connect();
