/** The parts of the API's bodies that the console shows. */

export interface Upload {
  id: string;
  media_type: string;
  bytes: number;
  width: number | null;
  height: number | null;
  frames: number | null;
  duration_s: number | null;
}

export interface PhotoReport {
  face_px: number;
  sharpness: number;
  yaw_deg: number;
  brightness: number;
  accepted: boolean;
  reason: string | null;
  detail: string | null;
  warnings: { code: string; detail: string }[];
}

export interface Consent {
  subject: string;
  basis: "consent" | "self" | "contract";
  scope: ("image" | "video")[];
  granted_at: string;
  expires_at: string | null;
  evidence_sha256?: string | null;
  adult?: boolean;
}

export interface Identity {
  id: string;
  name: string | null;
  photos: PhotoReport[];
  consent: Consent | null;
  uses: number;
  created_at: string;
  expires_at: string | null;
}

export interface Receipt {
  identity_id: string;
  erased_at: string;
  keys: number;
  jobs_canceled: number | null;
  results_deleted: number | null;
  log_rewritten_at: string | null;
}

export interface Person {
  person_id: string;
  frames: number;
  thumbnail: string | null;
  yaw_range_deg: [number, number];
}

export type Status =
  | "queued"
  | "running"
  | "canceling"
  | "succeeded"
  | "failed"
  | "canceled"
  | "expired";

export interface Progress {
  done: number;
  total: number;
  unit: string;
  fps: number | null;
  eta_s: number | null;
}

export interface Face {
  person_id: string;
  frames_seen: number;
  frames_swapped: number;
  frames_skipped: Record<string, number>;
  identity_similarity: number | null;
  identity_id: string | null;
}

export interface Job {
  id: string;
  kind: string;
  status: Status;
  progress: Progress;
  queue_position: number | null;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  input: { upload_id: string | null };
  assignments: Assignment[];
  outcome: "succeeded" | "partial" | "failed" | null;
  result: { media_type: string; bytes: number; width: number | null; height: number | null } | null;
  report: { faces?: Face[]; notes?: string[]; estimate?: Estimate; quality?: number | null };
  error: { code: string; detail: string } | null;
  timings: Record<string, number>;
  urls: { self: string; result: string; result_signed: string | null; manifest: string };
}

export interface JobFilters {
  kind?: string;
  status?: string;
  identity_id?: string;
  created_from?: string;
  created_before?: string;
}

export interface Estimate {
  people: number;
  frames: number;
  seconds: number;
  cost_units: number;
  refusals: string[];
}

export type Selector = "largest" | "all" | { person_id: string };

export interface Assignment {
  face: Selector;
  identity_id: string;
}

export interface Endpoint {
  id: string;
  url: string;
  enabled: boolean;
  disabled_reason: string | null;
  created_at: string;
  secret: string | null;
}

export interface Delivery {
  message_id: string;
  job_id: string;
  attempt: number;
  status: number;
  outcome: string;
  error: string | null;
  at: string;
}

export interface Key {
  id: string;
  name: string;
  scopes: string[];
  created_at: string;
  expires_at: string | null;
  revoked_at: string | null;
  token: string | null;
}

export interface AuditEvent {
  seq: number;
  event: string;
  actor: string;
  subject: string;
  at: number;
}

export interface Options {
  preset: "natural" | "faithful" | "fast";
  blend?: number;
  colour_match?: number;
  smoothing?: number;
  preserve?: string[];
  audio?: "copy" | "drop";
  output?: { max_side?: number };
}
