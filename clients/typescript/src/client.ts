import { Connection, once, pause, type Options } from "./connection.js";
import { ConnectionFailed, JobFailed, LikenessError } from "./errors.js";
import { readEvents } from "./events.js";
import type { Batch, Consent, Faces, Identity, Job, Page, Progress, Upload } from "./models.js";

/** What `swap` may be told. */
export interface SwapOptions {
  /** Needed when the source is a photo. */
  consent?: Consent;
  /** Whom to replace; the largest face without it. */
  faces?: Faces;
  /** The API's other options, such as `blend` and `output`. */
  options?: Record<string, unknown>;
  onProgress?: (progress: Progress) => void;
  signal?: AbortSignal;
}

/** Speaks to one Likeness service. */
export class Client {
  private readonly connection: Connection;

  constructor(options: Options) {
    this.connection = new Connection(options);
  }

  /**
   * Swap `source` into `target`; return the job and its result's bytes.
   *
   * `source` is a photo, or the id of an identity. What a photo makes is erased afterwards.
   * Throws LikenessError, JobFailed and ConnectionFailed.
   */
  async swap(
    source: Blob | string,
    target: Blob,
    options: SwapOptions = {},
  ): Promise<{ job: Job; result: Blob }> {
    if (typeof source === "string") return this.swapIdentity(source, target, options);

    const identity = await this.register([source], options.consent);
    try {
      return await this.swapIdentity(identity.id, target, options);
    } finally {
      await this.erase(identity.id);
    }
  }

  /** Register the one person in 1 to 8 photos. */
  async register(photos: Blob[], consent?: Consent, name?: string): Promise<Identity> {
    const body = new FormData();
    for (const photo of photos) body.append("image", photo, "photo");
    if (name !== undefined) body.append("name", name);
    if (consent !== undefined) body.append("consent", JSON.stringify(complete(consent)));

    const path = "/v1/identities";
    return this.connection.json({ method: "POST", path, headers: once(), body });
  }

  /** Store an image or video, to be named by jobs for a day. */
  async upload(file: Blob): Promise<Upload> {
    const headers = { "Content-Type": file.type || "application/octet-stream", ...once() };
    return this.connection.json({ method: "POST", path: "/v1/uploads", headers, body: file });
  }

  /** Upload a target and submit its swap, without waiting for its end. */
  async submit(target: Blob, identityId: string, options: SwapOptions = {}): Promise<Job> {
    const upload = await this.upload(target);
    const isStill = upload.media_type.startsWith("image/") && (upload.frames ?? 1) === 1;
    return this.post(`/v1/swaps/${isStill ? "image" : "video"}`, {
      input: { upload_id: upload.id },
      identity_id: identityId,
      options: { faces: options.faces ?? "largest", ...options.options },
    });
  }

  /** Return a JPEG of the image, or of three frames of the video, as a swap would make them. */
  async preview(target: Blob, identityId: string, options: SwapOptions = {}): Promise<Blob> {
    const job = await this.post("/v1/previews", await this.swapBody(target, identityId, options));
    return this.result((await this.wait(job.id, options)).id);
  }

  /** Return what a swap would take: people, frames, seconds, refusals. */
  async estimate(
    target: Blob,
    identityId: string,
    options: SwapOptions = {},
  ): Promise<Record<string, unknown>> {
    const job = await this.post("/v1/estimates", await this.swapBody(target, identityId, options));
    const result = await this.result((await this.wait(job.id, options)).id);
    return JSON.parse(await result.text()) as Record<string, unknown>;
  }

  /** Return an identity as a file for phones and browsers, for which its consent must allow. */
  async export(identityId: string, form: "litert" | "onnx" = "litert"): Promise<Blob> {
    const job = await this.post(`/v1/identities/${identityId}/exports`, { form });
    return this.result((await this.wait(job.id)).id);
  }

  /** Return the people in an image or video. */
  async analyse(target: Blob, options: SwapOptions = {}): Promise<Record<string, unknown>> {
    const upload = await this.upload(target);
    const job = await this.post("/v1/analyses", { input: { upload_id: upload.id } });
    const ended = await this.wait(job.id, options);
    return JSON.parse(await (await this.result(ended.id)).text()) as Record<string, unknown>;
  }

  /**
   * Follow a job to its end; throws JobFailed where it has no result.
   *
   * A stream that is cut off is taken up again where it was.
   */
  async wait(jobId: string, options: SwapOptions = {}): Promise<Job> {
    let last = "";
    for (let losses = 1; ; losses++) {
      try {
        for await (const event of this.events(jobId, last, options.signal)) {
          last = event.id;
          losses = 1;
          if (event.event === "progress") options.onProgress?.(JSON.parse(event.data) as Progress);
          if (event.event === "completed") return ended(JSON.parse(event.data) as Job);
        }
        const job = await this.job(jobId);
        if (isFinal(job)) return ended(job);
      } catch (error) {
        if (options.signal?.aborted || error instanceof LikenessError) throw error;
        if (losses >= 4) throw new ConnectionFailed(this.connection.url, String(error));
      }
      await pause(losses);
    }
  }

  /** Return the bytes of a job's result. */
  async result(jobId: string): Promise<Blob> {
    return (await this.connection.send({ method: "GET", path: `/v1/jobs/${jobId}/result` })).blob();
  }

  job(jobId: string): Promise<Job> {
    return this.connection.json({ method: "GET", path: `/v1/jobs/${jobId}` });
  }

  /** Yield all jobs, newest first, page by page. */
  jobs(filter: { status?: string; kind?: string } = {}): AsyncGenerator<Job> {
    return this.pages<Job>("/v1/jobs", filter);
  }

  /** Yield all identities, newest first, page by page. */
  identities(): AsyncGenerator<Identity> {
    return this.pages<Identity>("/v1/identities", {});
  }

  /** Erase an identity and return the receipt. */
  erase(identityId: string): Promise<Record<string, unknown>> {
    return this.connection.json({ method: "DELETE", path: `/v1/identities/${identityId}` });
  }

  cancel(jobId: string): Promise<Job> {
    return this.post(`/v1/jobs/${jobId}/cancel`);
  }

  /** Say where a file comes from. */
  verify(file: Blob): Promise<Record<string, unknown>> {
    const headers = { "Content-Type": "application/octet-stream" };
    return this.connection.json({ method: "POST", path: "/v1/verify", headers, body: file });
  }

  /** Submit many swaps by one request: each identity into each upload. */
  createBatch(body: {
    upload_ids: string[];
    identity_ids: string[];
    options?: Record<string, unknown>;
    webhook?: string;
  }): Promise<Batch> {
    const headers = { "Content-Type": "application/json", ...once() };
    const sent = JSON.stringify(body);
    return this.connection.json({ method: "POST", path: "/v1/batches", headers, body: sent });
  }

  batch(batchId: string): Promise<Batch> {
    return this.connection.json({ method: "GET", path: `/v1/batches/${batchId}` });
  }

  /** Return all results of a finished batch as a ZIP file. */
  async batchResults(batchId: string): Promise<Blob> {
    const path = `/v1/batches/${batchId}/results`;
    return (await this.connection.send({ method: "GET", path })).blob();
  }

  private async swapIdentity(
    identityId: string,
    target: Blob,
    options: SwapOptions,
  ): Promise<{ job: Job; result: Blob }> {
    const submitted = await this.submit(target, identityId, options);
    const job = await this.wait(submitted.id, options);
    return { job, result: await this.result(job.id) };
  }

  private async swapBody(target: Blob, identityId: string, options: SwapOptions) {
    const upload = await this.upload(target);
    return {
      input: { upload_id: upload.id },
      identity_id: identityId,
      options: { faces: options.faces ?? "largest", ...options.options },
    };
  }

  private post(path: string, body?: unknown): Promise<Job> {
    const headers = { "Content-Type": "application/json", ...once() };
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    return this.connection.json({ method: "POST", path, headers, ...sent });
  }

  private async *events(jobId: string, last: string, signal?: AbortSignal) {
    const answer = await this.connection.send({
      method: "GET",
      path: `/v1/jobs/${jobId}/events`,
      headers: last ? { "Last-Event-ID": last } : {},
      ...(signal ? { signal } : {}),
    });
    if (answer.body) yield* readEvents(answer.body);
  }

  private async *pages<Item>(path: string, filter: object): AsyncGenerator<Item> {
    let cursor: string | null = null;
    do {
      const query = new URLSearchParams({ limit: "100", ...filter, ...(cursor ? { cursor } : {}) });
      const page: Page<Item> = await this.connection.json({
        method: "GET",
        path: `${path}?${query}`,
      });
      yield* page.data;
      cursor = page.next_cursor;
    } while (cursor);
  }
}

function complete(consent: Consent): Consent {
  return {
    basis: "consent",
    scope: ["image", "video"],
    granted_at: new Date().toISOString(),
    ...consent,
  };
}

function isFinal(job: Job): boolean {
  return ["succeeded", "failed", "canceled", "expired"].includes(job.status);
}

function ended(job: Job): Job {
  if (!job.result) throw new JobFailed(job);
  return job;
}
