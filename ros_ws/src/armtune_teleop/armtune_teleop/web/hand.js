// The operator's hand: pads, buttons and keys become readings, 30 a second; each answer says how things stand.
"use strict";
const AXES = {w: ["x", 1], s: ["x", -1], a: ["y", 1], d: ["y", -1], r: ["z", 1], f: ["z", -1], q: ["yaw", 1], e: ["yaw", -1],
  arrowup: ["pitch", 1], arrowdown: ["pitch", -1], arrowright: ["roll", 1], arrowleft: ["roll", -1]};
const BUTTONS = {" ": "engage", g: "gripper", c: "clutch", 1: "slower", 2: "faster", n: "start", y: "success", x: "failure",
  backspace: "discard", b: "again"};
const SEND_MS = 33, RETRY_MS = 500;
const MARKUP = `
<div id="state" role="status" aria-live="polite">connecting</div>
<div class="keys"><button type="button" id="engage" data-input="engage">hold to move the arm (space)</button></div>
<div class="pads">
  <div class="pad" id="move" data-x="y" data-y="x"><span>forward, left (W A S D)</span><i></i></div>
  <div class="pad" id="lift" data-x="yaw" data-y="z"><span>up, turn (R F, Q E)</span><i></i></div>
</div>
<div class="keys">
  <button type="button" data-input="gripper">gripper (G)</button><button type="button" data-input="clutch">pause (C)</button>
  <button type="button" data-input="slower">slower (1)</button><button type="button" data-input="faster">faster (2)</button>
</div>
<div class="keys">
  <button type="button" data-input="start">start (N)</button><button type="button" data-input="success">success (Y)</button>
  <button type="button" data-input="failure">failure (X)</button>
  <button type="button" data-input="discard">discard (Backspace)</button>
  <button type="button" data-input="again">record again (B)</button>
</div>
<details><summary>more keys</summary>Arrows tilt the tool. Enter or space presses the button that is in focus. Letting go
of the button, leaving this tab or losing the connection lets go of the arm.</details>`;

/**
 * Draw the controls into an element and send what they read.
 * @param root the element
 * @param address of the socket, relative to this page
 * @param hello returns what is said first on each connection; nothing where there is none
 */
export function hand(root, address, hello) {
  root.className = "hand";
  root.innerHTML = MARKUP;
  const keys = new Set(), down = new Map(), pads = {};
  const state = root.querySelector("#state");
  let socket = null, sound = null, lastSaid = "";

  function beep(hz, ms) {
    if (!sound) return;
    const tone = sound.createOscillator(), gain = sound.createGain();
    tone.frequency.value = hz; gain.gain.value = 0.1;
    tone.connect(gain).connect(sound.destination); tone.start(); tone.stop(sound.currentTime + ms / 1000);
  }
  function touchSound() { sound = sound || new (window.AudioContext || window.webkitAudioContext)(); }

  function reading() {
    const out = {x: 0, y: 0, z: 0, roll: 0, pitch: 0, yaw: 0};
    for (const pad of Object.values(pads)) for (const [name, value] of Object.entries(pad)) out[name] += value;
    for (const key of keys) if (AXES[key]) out[AXES[key][0]] += AXES[key][1];
    for (const name in out) out[name] = Math.max(-1, Math.min(1, out[name]));
    for (const name of Object.values(BUTTONS)) out[name] = 0;
    for (const key of keys) if (BUTTONS[key]) out[BUTTONS[key]] = 1;
    for (const name of down.values()) out[name] = 1;
    return out;
  }
  function rest() {
    keys.clear(); down.clear();
    for (const id in pads) pads[id] = {};
    root.querySelectorAll(".pad i").forEach(dot => { dot.style.left = dot.style.top = "50%"; });
    root.querySelectorAll("button").forEach(button => button.classList.remove("down"));
  }
  function show(said) {
    const parts = [said.engaged ? "ENGAGED" : "released", said.phase && `${said.phase} ${said.direction || ""}`,
      said.sentence, said.speed && `speed ${Math.round(said.speed * 100)} %`, said.said];
    state.textContent = said.refused || (said.is_operator ? parts.filter(Boolean).join(" | ") : "another page has the controls");
    state.className = said.trouble || said.refused ? "bad" : said.engaged ? "engaged" : "";
    if (said.said && said.said !== lastSaid) {
      beep(said.trouble ? 220 : 880, said.trouble ? 400 : 120);
      if (navigator.vibrate) navigator.vibrate(said.trouble ? [80, 60, 80] : 40);
    }
    lastSaid = said.said || lastSaid;
  }
  function connect() {
    const whole = new URL(address, location.href);
    whole.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    socket = new WebSocket(whole);
    if (hello) socket.onopen = () => socket.send(JSON.stringify(hello()));
    socket.onmessage = message => show(JSON.parse(message.data));
    socket.onclose = event => {
      rest();
      show({refused: event.reason || "no connection to the robot", is_operator: true});
      setTimeout(connect, RETRY_MS);
    };
  }
  function send() { if (socket && socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(reading())); }
  setInterval(send, SEND_MS);

  addEventListener("keydown", event => {
    const key = event.key.toLowerCase();
    if (event.repeat && key === "enter" && root.contains(event.target)) event.preventDefault();  // one press is one
    if (event.ctrlKey || event.metaKey || event.altKey || (!AXES[key] && !BUTTONS[key])) return;  // the browser's own
    if (key === " " && event.target.closest("a, button:not(#engage), summary")) return;  // it presses that one
    event.preventDefault(); touchSound();
    if (event.repeat) return;
    keys.add(key); send();  // at once: a press may be over before the next turn of the clock
  });
  addEventListener("keyup", event => { keys.delete(event.key.toLowerCase()); send(); });
  function leave() {  // not looked at any more: no release where the dead-man is down, and the robot must know
    const held = reading().engage;
    rest();
    if (held && socket) socket.close();
  }
  addEventListener("blur", leave);
  document.addEventListener("visibilitychange", () => { if (document.hidden) leave(); });
  root.querySelectorAll("button").forEach(button => {
    const release = event => {
      down.delete(event.pointerId); button.classList.remove("down");
      button.blur(); send();  // what a pointer pressed is not in focus: space is to engage again
    };
    button.addEventListener("pointerdown", event => {
      touchSound(); button.setPointerCapture(event.pointerId);
      down.set(event.pointerId, button.dataset.input); button.classList.add("down"); event.preventDefault(); send();
    });
    for (const kind of ["pointerup", "pointercancel", "lostpointercapture"]) button.addEventListener(kind, release);
    button.addEventListener("click", event => {
      if (event.detail) return button.blur();  // by a pointer, and said already
      if (button.id === "engage") return;  // it is held, not pressed
      touchSound();
      down.set("key", button.dataset.input); send();
      down.delete("key"); send();
    });
  });
  root.querySelectorAll(".pad").forEach(pad => {
    const dot = pad.querySelector("i");
    pads[pad.id] = {};
    const move = event => {
      if (!pad.hasPointerCapture(event.pointerId)) return;
      const box = pad.getBoundingClientRect(), half = box.width / 2, clip = v => Math.max(-1, Math.min(1, v));
      const right = clip((event.clientX - box.left - half) / half), lower = clip((event.clientY - box.top - box.height / 2) / (box.height / 2));
      pads[pad.id] = {[pad.dataset.x]: -right, [pad.dataset.y]: -lower};
      dot.style.left = `${50 + 50 * right}%`; dot.style.top = `${50 + 50 * lower}%`;
    };
    const release = () => { pads[pad.id] = {}; dot.style.left = dot.style.top = "50%"; };
    pad.addEventListener("pointerdown", event => { touchSound(); pad.setPointerCapture(event.pointerId); move(event); event.preventDefault(); });
    pad.addEventListener("pointermove", move);
    for (const kind of ["pointerup", "pointercancel", "lostpointercapture"]) pad.addEventListener(kind, release);
  });
  connect();
}
