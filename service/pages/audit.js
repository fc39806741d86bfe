"use strict";

const PAGE = 100;
// Everything that an entry about an identity or a job names leads to what is known about that.
const ID = /^(idn|job|blk|rev)_[0-9a-z]+$/;

const byId = (id) => document.getElementById(id);
let cursor = 0;

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function link(id) {
  const made = element("button", id);
  made.type = "button";
  made.title = "Everything about " + id;
  made.addEventListener("click", () => {
    byId("about").value = id;
    byId("event").value = "";
    show();
  });
  return made;
}

function cell(name, ...parts) {
  const made = document.createElement("td");
  made.dataset.name = name;
  const held = document.createElement("span");
  for (const part of parts) held.append(typeof part === "string" && ID.test(part) ? link(part) : part);
  made.append(held);
  return made;
}

function details(entry) {
  const parts = [];
  for (const [name, value] of Object.entries(entry.details)) {
    if (!value) continue;
    parts.push(`${parts.length ? ", " : ""}${name.replaceAll("_", " ")} `);
    value.split(",").forEach((word, place) => parts.push(...(place ? [", ", word] : [word])));
  }
  return parts;
}

function row(entry) {
  const made = document.createElement("tr");
  const time = new Date(entry.at * 1000).toISOString().replace("T", " ").slice(0, 19);
  const at = cell("Time", time);
  const event = cell("Event", entry.event);
  at.className = event.className = "whole";
  const by = entry.tenant ? `${entry.actor} (${entry.tenant})` : entry.actor;
  made.append(at, event, cell("About", entry.subject || "–"), cell("By", by), cell("Details", ...details(entry)));
  return made;
}

async function ask(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== "" && value !== null);
  const headers = { Authorization: "Bearer " + byId("key").value.trim() };
  const response = await fetch(`${path}?${new URLSearchParams(given)}`, { headers });
  const body = await response.json();
  if (!response.ok) throw new Error(body.detail || body.title);
  return body;
}

async function check() {
  const badge = byId("badge");
  const [state, head] = await Promise.all([ask("/v1/audit/check"), ask("/v1/audit/head")]);
  badge.hidden = false;
  badge.className = state.intact ? "good" : "bad";
  badge.textContent = state.intact
    ? `Chain verified: ${state.entries} entries, head ${head.mac.slice(0, 12)}, signed up to ${head.signed_seq}`
    : `The chain is broken: ${state.problem}`;
}

const seconds = (id, days) => {
  const value = byId(id).value;
  return value ? Date.parse(value) / 1000 + days * 86400 : "";
};

async function page() {
  const found = await ask("/v1/audit", {
    order: "newest",
    limit: PAGE,
    cursor,
    event: byId("event").value,
    about: byId("about").value.trim(),
    since: seconds("since", 0),
    until: seconds("until", 1),
    tenant: byId("tenant").value.trim(),
  });
  byId("rows").append(...found.items.map(row));
  cursor = found.next_cursor || 0;
  byId("more").hidden = found.next_cursor === null;
  byId("table").hidden = byId("rows").childElementCount === 0;
  byId("message").textContent = byId("table").hidden ? "No entries." : "";
}

// The consent lies with the identity, not in the trail: it goes when the identity is erased.
async function showConsent(id) {
  const shown = byId("consent");
  shown.hidden = !id.startsWith("idn_");
  if (shown.hidden) return;
  try {
    const identity = await ask(`/v1/identities/${id}`);
    const given = identity.consent;
    const ends = given && given.expires_at ? ` until ${given.expires_at.slice(0, 10)}` : "";
    shown.textContent = given
      ? `Consent of ${given.subject}: ${given.basis}, for ${given.scope.join(" and ")}, since ${given.granted_at.slice(0, 10)}${ends}.`
      : "No consent was recorded.";
  } catch (error) {
    shown.textContent = `The identity cannot be shown: ${error.message}`;
  }
}

async function show() {
  cursor = 0;
  byId("rows").replaceChildren();
  byId("message").textContent = "Reading …";
  try {
    await page();
    await showConsent(byId("about").value.trim());
    await check();
  } catch (error) {
    byId("table").hidden = true;
    byId("more").hidden = true;
    byId("message").textContent = error.message;
  }
}

byId("filters").addEventListener("submit", (event) => {
  event.preventDefault();
  show();
});
byId("more").addEventListener("click", () => page().catch((error) => {
  byId("message").textContent = error.message;
}));
