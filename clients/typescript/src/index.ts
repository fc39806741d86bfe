export { swapAll, type BatchOptions } from "./batches.js";
export { Client, type SwapOptions } from "./client.js";
export type { Options } from "./connection.js";
export { ConnectionFailed, JobFailed, LikenessError } from "./errors.js";
export type {
  Batch,
  Consent,
  Faces,
  Identity,
  Job,
  Problem,
  Progress,
  Result,
  Status,
  Upload,
} from "./models.js";
export { unwrapWebhook, type WebhookEvent } from "./webhooks.js";
