/** The swap that is on the screen as code. */

import type { Assignment, Options } from "./types";

export interface Snippet {
  name: string;
  code: string;
}

export function snippets(
  kind: "image" | "video",
  file: string,
  assignments: Assignment[],
  options: Options,
): Snippet[] {
  const origin = location.origin;
  const name = file.replace(/[^\w.-]/g, "_");
  const out = kind === "image" ? "result.jpg" : "result.mp4";
  const body = JSON.stringify({ input: { upload_id: "UPLOAD" }, assignments, options });

  const curl = `export KEY=lk_...
UPLOAD=$(curl -sS -H "Authorization: Bearer $KEY" -H "Content-Type: application/octet-stream" \\
  --data-binary @${name} ${origin}/v1/uploads | jq -r .id)
JOB=$(curl -sS -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" -H "Prefer: wait=60" \\
  -d '${body.replace('"UPLOAD"', '"\'$UPLOAD\'"')}' ${origin}/v1/swaps/${kind} | jq -r .id)
curl -sS -H "Authorization: Bearer $KEY" ${origin}/v1/jobs/$JOB/result -o ${out}`;

  const python = `import os, httpx

api = httpx.Client(base_url="${origin}", timeout=90,
                   headers={"Authorization": f"Bearer {os.environ['KEY']}"})
with open("${name}", "rb") as file:
    upload = api.post("/v1/uploads", content=file,
                      headers={"Content-Type": "application/octet-stream"}).json()

job = api.post("/v1/swaps/${kind}", json={
    "input": {"upload_id": upload["id"]},
    "assignments": ${python_(assignments)},
    "options": ${python_(options)},
}).json()
while job["status"] in ("queued", "running"):
    job = api.get(job["urls"]["self"], headers={"Prefer": "wait=60"}).json()

with open("${out}", "wb") as file:
    file.write(api.get(job["urls"]["result"]).raise_for_status().content)`;

  const typescript = `import { readFile, writeFile } from "node:fs/promises";

const api = (path: string, init: RequestInit = {}) =>
  fetch("${origin}" + path, {
    ...init,
    headers: { Authorization: \`Bearer \${process.env.KEY}\`, ...init.headers },
  });

const upload = await (await api("/v1/uploads", {
  method: "POST",
  headers: { "Content-Type": "application/octet-stream" },
  body: await readFile("${name}"),
})).json();

let job = await (await api("/v1/swaps/${kind}", {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({
    input: { upload_id: upload.id },
    assignments: ${JSON.stringify(assignments)},
    options: ${JSON.stringify(options)},
  }),
})).json();
while (["queued", "running"].includes(job.status))
  job = await (await api(job.urls.self, { headers: { Prefer: "wait=60" } })).json();

const result = await api(job.urls.result);
await writeFile("${out}", Buffer.from(await result.arrayBuffer()));`;

  return [
    { name: "curl", code: curl },
    { name: "Python", code: python },
    { name: "TypeScript", code: typescript },
  ];
}

const python_ = (value: unknown) =>
  JSON.stringify(value)
    .replaceAll(":true", ": True")
    .replaceAll(":false", ": False")
    .replaceAll(/":/g, '": ')
    .replaceAll(/,"/g, ', "');
