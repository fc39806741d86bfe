import { Webhook } from "standardwebhooks";

import type { Job } from "./models.js";

/** What happened to which job, such as `job.succeeded`. */
export interface WebhookEvent {
  type: string;
  timestamp: string;
  data: Job;
}

/**
 * Return the event of a message that this `secret` (`whsec_...`) has signed.
 *
 * Throws for any other, also for one that is older than five minutes.
 */
export function unwrapWebhook(
  body: string,
  headers: Record<string, string>,
  secret: string,
): WebhookEvent {
  const lowered = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
  return new Webhook(secret).verify(body, lowered) as WebhookEvent;
}
