import type { Job, Problem } from "./models.js";

/** A refusal: `code` is stable, the message is a sentence, `requestId` finds the service's log. */
export class LikenessError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    readonly requestId = "",
  ) {
    super(`${detail} (${code})`);
    this.name = new.target.name;
  }

  /** Return the problem that an answer carries, or what can be said of another answer. */
  static async of(answer: Response): Promise<LikenessError> {
    try {
      const body = (await answer.json()) as Problem;
      if (body.code) {
        return new LikenessError(answer.status, body.code, body.detail, body.request_id);
      }
    } catch {
      // Not a problem of ours: a proxy's page, perhaps.
    }
    return new LikenessError(
      answer.status,
      "unexpected_answer",
      `the server answered ${answer.status}`,
    );
  }
}

/** A job that ended without a result; `job` has its report. */
export class JobFailed extends LikenessError {
  constructor(readonly job: Job) {
    super(422, job.error?.code ?? job.status, job.error?.detail ?? `The job is ${job.status}`);
  }
}

/** The service does not answer, also after several tries. */
export class ConnectionFailed extends LikenessError {
  constructor(url: string, reason: string) {
    super(0, "not_reachable", `${url} does not answer: ${reason}`);
  }
}
