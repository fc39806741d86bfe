/** Registers, uploads, swaps and fetches with openapi-fetch and the types of openapi-typescript. */

import createClient from "openapi-fetch";

import type { components, paths } from "../generated/schema.js";
import { CONSENT, env, require, sample, sleep, verified } from "./shared.js";

const client = createClient<paths>({
  baseUrl: env("URL"),
  headers: { Authorization: `Bearer ${env("KEY")}` },
});

const endpoint = await client.POST("/v1/webhook-endpoints", { body: { url: env("WEBHOOK") } });
const secret = require(endpoint.data?.secret, endpoint.error);

const photo = await sample("ada_neutral.jpg");
const registered = await client.POST("/v1/identities", {
  body: { image: [""], consent: CONSENT },
  bodySerializer() {
    const form = new FormData();
    form.append("image", photo, "ada.jpg");
    form.append("consent", CONSENT);
    return form;
  },
});
const identity = require(registered.data, registered.error);

const target = await sample("ben_neutral.jpg");
const uploaded = await client.POST("/v1/uploads", {
  body: "",
  bodySerializer: () => target,
  headers: { "Content-Type": "application/octet-stream" },
});
const upload = require(uploaded.data, uploaded.error);

const submitted = await client.POST("/v1/swaps/image", {
  params: { header: { Prefer: "wait=30" } },
  body: { input: { upload_id: upload.id }, identity_id: identity.id },
});
let job = require(submitted.data, submitted.error);
for (let tries = 0; !job.result && tries < 60; tries++) {
  await sleep(500);
  const read = await client.GET("/v1/jobs/{job_id}", { params: { path: { job_id: job.id } } });
  job = require(read.data, read.error);
}

const fetched = await client.GET("/v1/jobs/{job_id}/result", {
  params: { path: { job_id: job.id } },
  parseAs: "blob",
});
const result = require(fetched.data, fetched.error) as unknown as Blob;
if (result.size !== require(job.result, job.error).bytes) throw new Error("not the whole result");

type JobEvent = components["schemas"]["JobEvent"];
const event = (await verified(job.id, secret)) as JobEvent;
if (event.data.id !== job.id) throw new Error("not this job");
console.log("openapi-typescript: registered, uploaded, swapped, fetched, verified");
