"use strict";

const VERDICTS = {
  made_here: "This file was made by this service.",
  mark_copied: "This file carries a mark that was made for another file.",
  likeness_elsewhere: "There are signs of another installation of this software. That is not proved.",
  signed_by_others: "This file carries intact credentials of somebody else.",
  no_mark_found: "Nothing was found that shows where this file comes from.",
};
const SIGNATURES = {
  trusted: "Signed by this service, and unchanged since.",
  valid: "Signed by somebody else, and unchanged since.",
  invalid: "Signed, but changed afterwards.",
  absent: "None.",
};
const MAX_BYTES = 256 * 1024 * 1024;

const byId = (id) => document.getElementById(id);
const say = (id, text) => { byId(id).textContent = text; };

function show(result) {
  byId("findings").hidden = false;
  say("verdict", VERDICTS[result.verdict]);

  const signer = result.c2pa.signer ? ` Signer: ${result.c2pa.signer}.` : "";
  say("signature", SIGNATURES[result.c2pa.state] + signer);

  const ours = result.mark.ours ? "Found, and proved to be of this service." : "Found, of an unknown installation.";
  say("mark", result.mark.found || result.mark.ours ? ours : "None found.");

  const record = result.record;
  const exact = record && record.exact ? "Exactly the delivered bytes" : "A changed copy";
  say("record", record ? `${exact} of the ${record.kind} made on ${record.day}.` : "None.");
  if (record && record.manifest_url) {
    const link = document.createElement("a");
    link.href = record.manifest_url;
    link.textContent = "Its credentials";
    byId("record").append(" ", link);
  }

  byId("notes").replaceChildren(...result.notes.map((note) => {
    const line = document.createElement("p");
    line.textContent = note;
    return line;
  }));
}

function fail(message) {
  say("verdict", message);
  byId("findings").hidden = true;
  byId("notes").replaceChildren();
}

async function verify(file) {
  byId("answer").hidden = false;
  if (file.size === 0) return fail("The file is empty.");
  if (file.size > MAX_BYTES) return fail("The file is larger than 256 MB.");
  fail("Checking …");
  try {
    const headers = { "Content-Type": "application/octet-stream" };
    const response = await fetch("/v1/verify", { method: "POST", body: file, headers });
    const body = await response.json();
    if (response.ok) show(body);
    else fail(body.detail || "The file could not be checked.");
  } catch {
    fail("The service cannot be reached. Try again in a moment.");
  }
}

const drop = byId("drop");
byId("file").addEventListener("change", (event) => {
  if (event.target.files[0]) verify(event.target.files[0]);
});
for (const name of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files[0]) verify(event.dataTransfer.files[0]);
  });
}
