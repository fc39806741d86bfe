import { ConnectionFailed, LikenessError } from "./errors.js";

export interface Options {
  /** Where the service is; http://127.0.0.1:8000 without it. */
  url?: string;
  /** An API key, or a browser token. */
  key: string;
  /** How often a request is tried at most; 4 without it. */
  tries?: number;
  /** Milliseconds until a request is given up that has no answer; two minutes without it. */
  timeoutMs?: number;
  /** The fetch to use; the platform's without it. */
  fetch?: typeof fetch;
}

export interface Call {
  method: "GET" | "POST" | "DELETE" | "PATCH";
  path: string;
  headers?: Record<string, string>;
  body?: BodyInit;
  signal?: AbortSignal;
}

// 429: this tenant has too much in flight; 503: the service is full, draining or has lost its store.
const AGAIN = new Set([429, 502, 503, 504]);
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;
// The service answers within a minute, also where it is asked to wait.
const TIMEOUT_MS = 120_000;
// A file of a gigabyte takes as long as the service lets it: a quarter of an hour.
const UPLOAD_TIMEOUT_MS = 900_000;

/** Speaks to one service with one key; tries again what may be tried again. */
export class Connection {
  readonly url: string;
  private readonly key: string;
  private readonly tries: number;
  private readonly timeoutMs: number | undefined;
  private readonly fetch: typeof fetch;

  constructor(options: Options) {
    this.url = (options.url ?? "http://127.0.0.1:8000").replace(/\/+$/, "");
    this.key = options.key;
    this.tries = options.tries ?? 4;
    this.timeoutMs = options.timeoutMs;
    this.fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
  }

  /** Send a request and return its successful answer; throws LikenessError, ConnectionFailed. */
  async send(call: Call): Promise<Response> {
    for (let attempt = 1; ; attempt++) {
      let answer: Response | undefined;
      let reason = "";
      try {
        answer = await this.once(call);
      } catch (error) {
        if (call.signal?.aborted) throw error;
        reason = error instanceof Error ? error.message : String(error);
      }

      if (answer?.ok) return answer;
      if (attempt >= this.tries || (answer && !AGAIN.has(answer.status))) {
        throw answer ? await LikenessError.of(answer) : new ConnectionFailed(this.url, reason);
      }
      await pause(attempt, answer?.headers.get("Retry-After"));
    }
  }

  async json<Answer>(call: Call): Promise<Answer> {
    return (await (await this.send(call)).json()) as Answer;
  }

  private async once(call: Call): Promise<Response> {
    const isFile = call.body !== undefined && typeof call.body !== "string";
    const ms = this.timeoutMs ?? (isFile ? UPLOAD_TIMEOUT_MS : TIMEOUT_MS);
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(new Error(`no answer for ${ms / 1000} s`)), ms);
    const signals = call.signal ? [call.signal, patience.signal] : [patience.signal];

    try {
      return await this.fetch(this.url + call.path, {
        method: call.method,
        headers: { Authorization: `Bearer ${this.key}`, ...call.headers },
        signal: AbortSignal.any(signals),
        ...(call.body === undefined ? {} : { body: call.body }),
      });
    } finally {
      // Until the answer begins: a stream of events goes on for as long as its job.
      clearTimeout(timer);
    }
  }
}

/** A fresh idempotency key: a repeated try is the same request. */
export function once(): Record<string, string> {
  return { "Idempotency-Key": crypto.randomUUID() };
}

/** Wait before the next try: as long as the service asks for, else ever longer. */
export function pause(attempt: number, retryAfter?: string | null): Promise<void> {
  const asked = retryAfter && /^\d+$/.test(retryAfter) ? Number(retryAfter) * 1000 : undefined;
  // Clients that were cut off together must not come back together.
  const growing = FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + Math.random() / 2);
  const ms = Math.min(LONGEST_PAUSE_MS, asked ?? growing);
  return new Promise((resolve) => setTimeout(resolve, ms));
}
