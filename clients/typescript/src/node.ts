import { openAsBlob } from "node:fs";
import { rename, writeFile } from "node:fs/promises";

import { Client, type SwapOptions } from "./client.js";
import type { Job } from "./models.js";

export * from "./index.js";

/** Swap files: `source` is a photo's path or an identity's id; `out` appears whole or not at all. */
export async function swapFiles(
  client: Client,
  source: string,
  target: string,
  out: string,
  options: SwapOptions = {},
): Promise<Job> {
  const from = source.startsWith("idn_") ? source : await openAsBlob(source);
  const { job, result } = await client.swap(from, await openAsBlob(target), options);
  const part = `${out}.part`;
  await writeFile(part, result.stream());
  await rename(part, out);
  return job;
}
