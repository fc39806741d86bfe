/** Against a running service: URL, KEY and SAMPLES say where; RECEIVED holds a webhook's message. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, statSync } from "node:fs";
import { openAsBlob } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";

import { Webhook } from "standardwebhooks";

import {
  Client,
  ConnectionFailed,
  JobFailed,
  LikenessError,
  swapAll,
  swapFiles,
  unwrapWebhook,
  type Progress,
} from "../src/node.js";
import { readEvents } from "../src/events.js";

const env = (name: string): string => process.env[name] ?? assert.fail(`${name} is not set`);
const sample = (name: string): string => join(env("SAMPLES"), name);
const client = new Client({ url: env("URL"), key: env("KEY") });
const consent = { subject: "ada@example.org" };
const out = (name: string): string => join(mkdtempSync(join(tmpdir(), "likeness-")), name);

test("files are swapped in one call, and a photo's identity does not stay", async () => {
  const made = out("out.jpg");
  const job = await swapFiles(
    client,
    sample("ada_neutral.jpg"),
    sample("ben_neutral.jpg"),
    made,
    { consent },
  );
  assert.equal(job.outcome, "succeeded");
  assert.equal(statSync(made).size, job.result?.bytes);
  assert.equal((await client.verify(await openAsBlob(made))).verdict, "made_here");

  for await (const identity of client.identities()) assert.notEqual(identity.name, null);
});

test("a video is followed by events", async () => {
  const photo = await openAsBlob(sample("ada_neutral.jpg"));
  const identity = await client.register([photo], consent, "ada");
  const seen: Progress[] = [];
  const { job } = await client.swap(
    identity.id,
    await openAsBlob(sample("solo_720p30.mp4")),
    { onProgress: (progress) => seen.push(progress) },
  );
  assert.equal(job.status, "succeeded");
  assert.ok(seen.length > 0);

  const ids: string[] = [];
  for await (const each of client.jobs({ kind: "swap_video" })) ids.push(each.id);
  assert.ok(ids.includes(job.id));
  await client.erase(identity.id);
});

test("many files are swapped by one batch", async () => {
  const photo = await openAsBlob(sample("ada_neutral.jpg"));
  const identity = await client.register([photo], consent);
  const targets = [await openAsBlob(sample("ben_neutral.jpg")), await openAsBlob(sample("dev_smile.jpg"))];
  const batch = await swapAll(client, [identity.id], targets);
  assert.equal(batch.counts.succeeded, 2);
  const zip = Buffer.from(await (await client.batchResults(batch.id)).arrayBuffer());
  assert.equal(zip.subarray(0, 4).toString("latin1"), "PK\u0003\u0004");
  await client.erase(identity.id);
});

test("refusals have the service's code", async () => {
  const photo = await openAsBlob(sample("ada_neutral.jpg"));
  await assert.rejects(client.register([photo]), (error: LikenessError) => {
    return error.code === "consent_missing" && error.requestId !== "";
  });

  const target = await openAsBlob(sample("ben_neutral.jpg"));
  const faces = { person_id: "p9" };
  await assert.rejects(client.swap(photo, target, { consent, faces }), (error: JobFailed) => {
    return error instanceof JobFailed && error.code === "face_not_found";
  });
});

test("a service that is not there is named", async () => {
  const nobody = new Client({ url: "http://127.0.0.1:9", key: "lk_a_b", tries: 1 });
  await assert.rejects(nobody.job("job_x"), ConnectionFailed);
});

test("a service that accepts and is silent is given up", async () => {
  const silent = createServer(() => undefined).listen(0, "127.0.0.1");
  await once(silent, "listening");
  const { port } = silent.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  const patient = new Client({ url, key: "lk_a_b", tries: 1, timeoutMs: 200 });
  await assert.rejects(patient.job("job_x"), /no answer for 0.2 s/);
  silent.closeAllConnections();
  silent.close();
});

test("a stream that falls silent ends, and one that speaks goes on", async () => {
  const spoken = new ReadableStream<Uint8Array>({
    start: (out) => out.enqueue(new TextEncoder().encode("event: progress\ndata: 1\n\n")),
  });
  const events = readEvents(spoken, 100);
  assert.equal((await events.next()).value?.data, "1");
  await assert.rejects(events.next(), /silent/);
});

test("a webhook is believed only with its signature", () => {
  const secret = "whsec_" + Buffer.from("a secret of at least 24 bytes").toString("base64");
  const body = JSON.stringify({ type: "job.succeeded", timestamp: "", data: { id: "job_1" } });
  const now = new Date();
  const headers = {
    "Webhook-Id": "msg_1",
    "Webhook-Timestamp": String(Math.floor(now.getTime() / 1000)),
    "Webhook-Signature": new Webhook(secret).sign("msg_1", now, body),
  };
  assert.equal(unwrapWebhook(body, headers, secret).data.id, "job_1");
  assert.throws(() => unwrapWebhook(body.replace("job_1", "job_2"), headers, secret));
});
