/** Registers, uploads, swaps and fetches with the client that @hey-api/openapi-ts generates. */

import { client } from "../generated/hey/client.gen.js";
import {
  createIdentity,
  createUpload,
  createWebhookEndpoint,
  getJob,
  getJobResult,
  swapImage,
} from "../generated/hey/sdk.gen.js";
import type { JobEvent } from "../generated/hey/types.gen.js";
import { CONSENT, env, require, sample, sleep, verified } from "./shared.js";

client.setConfig({ baseUrl: env("URL"), auth: env("KEY") });

const endpoint = await createWebhookEndpoint({ body: { url: env("WEBHOOK") } });
const secret = require(endpoint.data?.secret, endpoint.error);

const photo = await createUpload({ body: await sample("ada_neutral.jpg") });
const registered = await createIdentity({
  body: {
    upload_ids: [require(photo.data, photo.error).id],
    consent: JSON.parse(CONSENT),
  },
});
const identity = require(registered.data, registered.error);

const uploaded = await createUpload({ body: await sample("ben_neutral.jpg") });
const upload = require(uploaded.data, uploaded.error);

const submitted = await swapImage({
  body: { input: { upload_id: upload.id }, identity_id: identity.id },
  headers: { Prefer: "wait=30" },
});
let job = require(submitted.data, submitted.error);
for (let tries = 0; !job.result && tries < 60; tries++) {
  await sleep(500);
  const read = await getJob({ path: { job_id: job.id } });
  job = require(read.data, read.error);
}

const fetched = await getJobResult({ path: { job_id: job.id }, parseAs: "blob" });
const result = require(fetched.data, fetched.error) as Blob;
if (result.size !== require(job.result, job.error).bytes) throw new Error("not the whole result");

const event = (await verified(job.id, secret)) as JobEvent;
if (event.data.id !== job.id) throw new Error("not this job");
console.log("@hey-api/openapi-ts: registered, uploaded, swapped, fetched, verified");
