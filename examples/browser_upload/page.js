"use strict";

const byId = (id) => document.getElementById(id);
const say = (text) => { byId("state").textContent = text; };

/** Calls the service from this page, which is of another origin than it. */
function connect({ service, token }) {
  const call = async (path, init = {}) => {
    const headers = { Authorization: `Bearer ${token}`, ...init.headers };
    const answer = await fetch(service + path, { ...init, headers });
    if (answer.ok) return answer.json();
    throw new Error((await answer.json()).detail);
  };
  // EventSource sends no headers: a token, unlike a key, may be in the URL.
  const follow = (job) => new EventSource(`${service}/v1/jobs/${job.id}/events?access_token=${token}`);
  return { call, follow, address: (path) => new URL(path, service).href };
}

async function swap(photo, video) {
  const { call, follow, address } = connect(await (await fetch("/token", { method: "POST" })).json());

  say("Looking at your photo …");
  const form = new FormData();
  form.append("image", photo);
  form.append("consent", JSON.stringify({
    subject: "visitor", basis: "self", scope: ["video"], granted_at: new Date().toISOString(),
  }));
  const identity = await call("/v1/identities", { method: "POST", body: form });

  say("Uploading …");
  const upload = await call("/v1/uploads", { method: "POST", body: video });
  const job = await call("/v1/swaps/video", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ input: { upload_id: upload.id }, identity_id: identity.id }),
  });

  const events = follow(job);
  events.addEventListener("progress", (event) => {
    const { done, total } = JSON.parse(event.data);
    if (total) say(`${done} of ${total} frames`);
  });
  events.addEventListener("completed", async (event) => {
    events.close();
    const ended = JSON.parse(event.data);
    if (ended.status !== "succeeded") return say(ended.error?.detail ?? ended.status);

    const player = byId("result");
    player.src = address(ended.urls.result_signed); // <video> sends no headers either
    player.hidden = false;
    say("Done.");
  });
}

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  swap(byId("photo").files[0], byId("video").files[0]).catch((error) => say(error.message));
});
