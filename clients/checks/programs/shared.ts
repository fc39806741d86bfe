import { openAsBlob, readdirSync, readFileSync } from "node:fs";

import { Webhook } from "standardwebhooks";

export const env = (name: string): string => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
};

export const sample = (name: string): Promise<Blob> =>
  openAsBlob(`${env("SAMPLES")}/${name}`, { type: "image/jpeg" });

export const CONSENT = JSON.stringify({
  subject: "ada",
  basis: "consent",
  scope: ["image", "video"],
  granted_at: "2026-01-01T00:00:00Z",
});

export const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

export function require<T>(value: T | null | undefined, about: unknown): T {
  if (value === null || value === undefined) throw new Error(JSON.stringify(about));
  return value;
}

/** Wait for the message about a job and return what its signature covers. */
export async function verified(jobId: string, secret: string): Promise<unknown> {
  const folder = env("RECEIVED");
  for (let tries = 0; tries < 60; tries++) {
    for (const name of readdirSync(folder).filter((file) => file.endsWith(".json"))) {
      const message = JSON.parse(readFileSync(`${folder}/${name}`, "utf8"));
      if (JSON.parse(message.body).data.id === jobId) {
        try {
          return new Webhook(secret).verify(message.body, message.headers);
        } catch {
          // Another endpoint's message about the same job.
        }
      }
    }
    await sleep(500);
  }
  throw new Error("no webhook came");
}
