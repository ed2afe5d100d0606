// Submits a picture as a form, polls, and fetches the result, with the client that openapi-typescript and openapi-fetch
// make of the OpenAPI document. Run: node typed_client.js ADDRESS PICTURE RESULT
import { readFile, writeFile } from "node:fs/promises";
import createClient from "openapi-fetch";
import type { components, operations, paths } from "./schema.js";

type Form = operations["submitJob"]["requestBody"]["content"]["multipart/form-data"];
type Job = components["schemas"]["JobView"];

const [address, picture, result] = process.argv.slice(2) as [string, string, string];
const client = createClient<paths>({ baseUrl: address });

const params: components["schemas"]["DreamParams"] = { octaves: 1, iterations: 2 }; // all others have defaults
const request: components["schemas"]["JobRequest"] = { image: { upload: "01J" }, params };
const minimal: Form = { image: "" };
void [request, minimal];

const form = new FormData();
form.append("image", new Blob([new Uint8Array(await readFile(picture))], { type: "image/png" }), "cat.png");
form.append("params", new Blob([JSON.stringify(params)], { type: "application/json" }));
const submitted = await client.POST("/v1/jobs", { body: form as unknown as Form });
if (!submitted.data) throw new Error(JSON.stringify(submitted.error));

let job: Job = submitted.data;
while (job.finished_at === null) {
  const polled = await client.GET("/v1/jobs/{job_id}", {
    params: { path: { job_id: job.id }, header: { Prefer: "wait=5" } },
  });
  if (!polled.data) throw new Error(JSON.stringify(polled.error));
  job = polled.data;
}
const fetched = await client.GET("/v1/jobs/{job_id}/result", {
  params: { path: { job_id: job.id } },
  parseAs: "arrayBuffer",
});
if (!fetched.data) throw new Error(JSON.stringify(fetched.error));
await writeFile(result, new Uint8Array(fetched.data));
console.log(job.state, job.name);
