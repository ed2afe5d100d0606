// Names and descriptions of jobs.

import { looks } from "../dream/looks.js";
import { loadPhoto } from "../core/photo-cache.js";
import { ago, humanize } from "../core/format.js";

/** Describes the job's layers: "Block 11 expand, 2 channels". */
export function subject(job) {
  const targets = job.params.layers ?? (job.params.layer ? [{ layer: job.params.layer, channels: job.params.channels }] : []);
  if (!targets.length) return "the default layer";
  const [first, ...rest] = targets;
  const channels = first.channels ? `, ${first.channels.length === 1 ? `channel ${first.channels[0]}` : `${first.channels.length} channels`}` : "";
  return `${humanize(first.layer)}${channels}${rest.length ? ` and ${rest.length} more` : ""}`;
}

/** Returns the title of the look with the same settings, or null. */
async function lookOf(job) {
  const same = (look) =>
    Object.entries(look.params).every(([key, value]) => {
      if (key !== "layers") return JSON.stringify(job.params[key]) === JSON.stringify(value);
      const plain = (targets) => JSON.stringify((targets ?? []).map((t) => [t.layer, t.channels ?? null, t.weight ?? 1]));
      return plain(job.params.layers) === plain(value);
    });
  const all = await looks().catch(() => []);
  const sized = (look) => Object.keys(look.params).length;
  return all.filter(same).sort((a, b) => sized(b) - sized(a))[0]?.title ?? null; // the most specific one
}

/** Returns a name such as "beach", a description such as "Animals", the age, and the cached photograph. */
export async function describe(job) {
  const [cached, look] = await Promise.all([loadPhoto(job.id), job.kind === "dream" ? lookOf(job) : null]);
  const what = job.kind === "feature_maps" ? `Feature maps of ${subject(job)}` : look ?? subject(job);
  const file = (cached?.name ?? job.name)?.replace(/\.(png|jpe?g|webp)$/i, "");
  return { name: file || what, about: file ? what : `${job.input.width} × ${job.input.height}`, when: ago(job.created_at), cached };
}
