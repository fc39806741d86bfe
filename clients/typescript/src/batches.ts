import type { Client } from "./client.js";
import { pause } from "./connection.js";
import type { Batch, Faces } from "./models.js";

/** What `swapAll` may be told. */
export interface BatchOptions {
  /** Whom to replace in each target; the largest face without it. */
  faces?: Faces;
  /** The API's other options, such as `blend` and `output`. */
  options?: Record<string, unknown>;
  onProgress?: (batch: Batch) => void;
  signal?: AbortSignal;
}

/**
 * Swap each identity into each target by one batch, up to 200 pairs; return it when it is finished.
 *
 * `client.batchResults(batch.id)` has all results as one ZIP file. Throws LikenessError and
 * ConnectionFailed.
 */
export async function swapAll(
  client: Client,
  identityIds: string[],
  targets: Blob[],
  options: BatchOptions = {},
): Promise<Batch> {
  const uploads: string[] = [];
  for (const target of targets) uploads.push((await client.upload(target)).id);
  let batch = await client.createBatch({
    upload_ids: uploads,
    identity_ids: identityIds,
    options: { faces: options.faces ?? "largest", ...options.options },
  });

  while (batch.status !== "finished") {
    options.signal?.throwIfAborted();
    await pause(1, "1");
    batch = await client.batch(batch.id);
    options.onProgress?.(batch);
  }
  return batch;
}
