/** The API as the console calls it. Every failure is a Problem with a sentence to show. */

import { session, signOut } from "./session.svelte";
import type {
  Assignment,
  AuditEvent,
  Consent,
  Delivery,
  Endpoint,
  Identity,
  Job,
  JobFilters,
  Key,
  Options,
  Person,
  Progress,
  Receipt,
  Upload,
} from "./types";

export class Problem extends Error {
  constructor(
    readonly code: string,
    detail: string,
    readonly status = 0,
  ) {
    super(detail);
  }
}

export interface Page<T> {
  data: T[];
  next_cursor: string | null;
}

const FINAL = new Set(["succeeded", "failed", "canceled", "expired"]);

export const isFinal = (job: Job) => FINAL.has(job.status);

async function send(method: string, path: string, init: RequestInit = {}): Promise<Response> {
  const headers = { Authorization: `Bearer ${session.key}`, ...init.headers };
  let answer: Response;
  try {
    answer = await fetch(path, { ...init, method, headers });
  } catch {
    throw new Problem("unreachable", "The service cannot be reached. Is it running?");
  }

  if (answer.ok || answer.status === 304) return answer;
  if (answer.status === 401) signOut();
  const body = await answer.json().catch(() => ({}));
  throw new Problem(body.code ?? "unknown", body.detail ?? answer.statusText, answer.status);
}

async function json<T>(method: string, path: string, body?: unknown, wait?: number): Promise<T> {
  const headers: Record<string, string> = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (wait) headers.Prefer = `wait=${wait}`;
  const sent = body === undefined ? undefined : JSON.stringify(body);
  const answer = await send(method, path, { headers, body: sent });
  return answer.status === 204 ? (undefined as T) : answer.json();
}

export const api = {
  /** Whether a key is accepted, before it becomes this tab's. */
  async check(key: string): Promise<boolean> {
    const answer = await fetch("/v1/capacity", { headers: { Authorization: `Bearer ${key}` } });
    return answer.status !== 401;
  },

  identities: (cursor = "") =>
    json<Page<Identity>>("GET", `/v1/identities?limit=100${cursor && `&cursor=${cursor}`}`),

  async enrol(photos: File[], name: string, consent: Consent): Promise<Identity> {
    const form = new FormData();
    for (const photo of photos) form.append("image", photo);
    if (name) form.append("name", name);
    form.append("consent", JSON.stringify(consent));
    return (await send("POST", "/v1/identities", { body: form })).json();
  },

  erase: (id: string) => json<Receipt>("DELETE", `/v1/identities/${id}`),
  withdraw: (id: string) => json<Receipt>("DELETE", `/v1/identities/${id}/consent`),
  receipt: (id: string) => json<Receipt>("GET", `/v1/identities/${id}/erasure`),

  analyse: (upload: string) =>
    json<Job>("POST", "/v1/analyses", { input: { upload_id: upload } }, 60),

  async people(job: Job): Promise<Person[]> {
    return (await (await send("GET", job.urls.result)).json()).people;
  },

  async preview(upload: string, assignments: Assignment[], options: Options): Promise<Blob> {
    const body = { input: { upload_id: upload }, assignments, options };
    const headers = { "Content-Type": "application/json", Accept: "image/jpeg" };
    const answer = await send("POST", "/v1/previews", { headers, body: JSON.stringify(body) });
    if (answer.headers.get("Content-Type") !== "image/jpeg")
      throw new Problem("slow", "The preview takes longer than a minute; the service is busy.");
    return answer.blob();
  },

  swap: (kind: "image" | "video", upload: string, assignments: Assignment[], options: Options) =>
    json<Job>("POST", `/v1/swaps/${kind}`, { input: { upload_id: upload }, assignments, options }),

  job: (id: string) => json<Job>("GET", `/v1/jobs/${id}`),
  /** What a swap would take; the job's report has it. */
  estimate: (upload: string, assignments: Assignment[], options: Options) =>
    json<Job>("POST", "/v1/estimates", { input: { upload_id: upload }, assignments, options }, 60),

  jobs(filters: JobFilters, cursor = ""): Promise<Page<Job>> {
    const query = new URLSearchParams({ limit: "50" });
    for (const [name, value] of Object.entries({ ...filters, cursor }))
      if (value) query.set(name, value);
    return json<Page<Job>>("GET", `/v1/jobs?${query}`);
  },
  cancel: (id: string) => json<Job>("POST", `/v1/jobs/${id}/cancel`),
  removeJob: (id: string) => json<void>("DELETE", `/v1/jobs/${id}`),

  endpoints: () => json<Page<Endpoint>>("GET", "/v1/webhook-endpoints"),
  addEndpoint: (url: string) => json<Endpoint>("POST", "/v1/webhook-endpoints", { url }),
  removeEndpoint: (id: string) => json<void>("DELETE", `/v1/webhook-endpoints/${id}`),
  testEndpoint: (id: string) =>
    json<{ delivered: boolean; status: number; error: string | null }>(
      "POST",
      `/v1/webhook-endpoints/${id}/test`,
    ),
  deliveries: (id: string) =>
    json<Page<Delivery>>("GET", `/v1/webhook-endpoints/${id}/deliveries?limit=50`),
  redeliver: (id: string, message: string) =>
    send("POST", `/v1/webhook-endpoints/${id}/deliveries/${message}/redeliver`),

  keys: () => json<Page<Key>>("GET", "/v1/keys"),
  createKey: (name: string, scopes: string[]) => json<Key>("POST", "/v1/keys", { name, scopes }),
  rotateKey: (id: string, overlap: number) =>
    json<Key>("POST", `/v1/keys/${id}/rotate?overlap_s=${overlap}`),
  revokeKey: (id: string) => json<void>("DELETE", `/v1/keys/${id}`),

  audit: (cursor: number) =>
    json<{ items: AuditEvent[]; next_cursor: number | null }>(
      "GET",
      `/v1/audit?limit=200&cursor=${cursor}`,
    ),
};

/** Uploads a file; `progress` gets the share that has been sent. */
export function upload(file: File, progress: (share: number) => void): Promise<Upload> {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest(); // fetch does not say how much has been sent
    request.open("POST", "/v1/uploads");
    request.setRequestHeader("Authorization", `Bearer ${session.key}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.responseType = "json";
    request.upload.onprogress = (event) => progress(event.loaded / event.total);
    request.onerror = () => fail(new Problem("unreachable", "The upload broke off. Try again."));
    request.onload = () => {
      const body = request.response ?? {};
      if (request.status === 201) done(body);
      else fail(new Problem(body.code ?? "unknown", body.detail ?? "", request.status));
    };
    request.send(file);
  });
}

/** Follows a job to its end by its events, and returns it; a lost connection is taken up again. */
export async function follow(
  id: string,
  watch: (progress: Progress | null, status: string) => void,
  stop: AbortSignal,
): Promise<Job> {
  let last = "";
  while (!stop.aborted) {
    const headers: Record<string, string> = last ? { "Last-Event-ID": last } : {};
    try {
      const answer = await send("GET", `/v1/jobs/${id}/events`, { headers, signal: stop });
      if (answer.status === 204) break;
      for await (const event of events(answer)) {
        last = event.id || last;
        const data = JSON.parse(event.data);
        if (event.type === "completed") return data;
        if (event.type === "progress") watch(data, "running");
        else watch(null, data.status ?? data);
      }
    } catch (error) {
      if (error instanceof Problem && error.code !== "unreachable") throw error;
    }
    await new Promise((resume) => setTimeout(resume, 1000));
  }
  return api.job(id);
}

async function* events(answer: Response) {
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (true) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const blocks = text.split("\n\n");
    text = blocks.pop()!;
    for (const block of blocks) {
      const field = (name: string) =>
        block.match(new RegExp(`^${name}: (.*)$`, "m"))?.[1] ?? "";
      if (field("data")) yield { id: field("id"), type: field("event"), data: field("data") };
    }
  }
}
