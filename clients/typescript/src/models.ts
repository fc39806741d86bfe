/** What the service answers with. Members that are not named here are there as well. */

export type Status =
  | "queued"
  | "running"
  | "canceling"
  | "succeeded"
  | "failed"
  | "canceled"
  | "expired";

/** What a person agreed to. `granted_at` is now unless another moment is given. */
export interface Consent {
  subject: string;
  basis?: "consent" | "self" | "contract";
  scope?: ("image" | "video" | "export")[];
  granted_at?: string;
  expires_at?: string;
  evidence_sha256?: string;
  adult?: boolean;
}

/** A stored file; sizes in pixels, `duration_s` in seconds. */
export interface Upload {
  id: string;
  sha256: string;
  bytes: number;
  media_type: string;
  width: number | null;
  height: number | null;
  frames: number | null;
  duration_s: number | null;
}

/** A registered face. */
export interface Identity {
  id: string;
  name: string | null;
  pack: string;
  quality: "instant" | "refined";
  photos: Record<string, unknown>[];
  uses: number;
  created_at: string;
  expires_at: string | null;
}

/** How far a job is: `done` of `total` units; frames a second and seconds left when known. */
export interface Progress {
  done: number;
  total: number;
  unit: string;
  fps: number | null;
  eta_s: number | null;
}

/** The file that a job made. */
export interface Result {
  url: string;
  sha256: string;
  bytes: number;
  media_type: string;
  width: number | null;
  height: number | null;
  frames: number | null;
}

/** A failure: `code` is stable, `request_id` finds the service's log. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  request_id: string;
}

/** A job; `report` says what became of each person. */
export interface Job {
  id: string;
  kind: string;
  status: Status;
  progress: Progress;
  outcome: "succeeded" | "partial" | "failed" | null;
  result: Result | null;
  report: Record<string, unknown>;
  error: Problem | null;
  metadata: Record<string, unknown>;
  urls: Record<string, string>;
  created_at: string;
}

/** Many swaps of one request; `counts` are jobs by status. */
export interface Batch {
  id: string;
  status: "running" | "finished";
  total: number;
  counts: Record<string, number>;
  items: {
    job_id: string;
    upload_id: string | null;
    identity_id: string | null;
    status: Status;
    outcome: string | null;
    error: string | null;
  }[];
  results: string;
}

/** Whom to replace. */
export type Faces =
  | "largest"
  | "all"
  | { person_id: string }
  | { index: number }
  | { box: [number, number, number, number] }
  | { reference: string };

export interface Page<Item> {
  data: Item[];
  next_cursor: string | null;
}
