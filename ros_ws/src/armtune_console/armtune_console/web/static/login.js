"use strict";
document.getElementById("form").addEventListener("submit", async event => {
  event.preventDefault();
  const body = JSON.stringify({token: document.getElementById("token").value});
  const answer = await fetch("/api/enter", {method: "POST", headers: {"content-type": "application/json"}, body}).catch(() => null);
  if (answer && answer.ok) { location.href = "/"; return; }
  document.getElementById("why").textContent = answer ? (await answer.json()).why : "the console does not answer";
});
