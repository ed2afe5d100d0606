// Names and descriptions of jobs: "cat · Animals, deeper".

import { properties } from "../core/api.js";
import { looks } from "../settings/looks.js";
import { loadPhoto } from "../core/photo-cache.js";
import { ago, humanize } from "../core/format.js";
import { difference } from "../settings/difference.js";

/** Describes the job's layers: "Block 11 expand, 2 channels". */
export function subject(job) {
  const targets = job.params.layers ?? (job.params.layer ? [{ layer: job.params.layer, channels: job.params.channels }] : []);
  if (!targets.length) return "the default layer";
  const [first, ...rest] = targets;
  const channels = first.channels ? `, ${first.channels.length === 1 ? `channel ${first.channels[0]}` : `${first.channels.length} channels`}` : "";
  return `${humanize(first.layer)}${channels}${rest.length ? ` and ${rest.length} more` : ""}`;
}

/** Returns the look that the job came from, and how it differs: "Animals, deeper"; null without a look. */
async function lookOf(job) {
  const [all, params] = await Promise.all([looks(), properties("DreamParams")]).catch(() => [[], {}]);
  const defaults = Object.fromEntries(Object.entries(params).map(([name, one]) => [name, one.default]));
  const named = all.find((look) => look.name === job.preset);
  if (named) return named.title + difference(job.changed ?? [], job.params, named, defaults);
  return sameSettings(job, all)?.title ?? null;
}

/** Finds the look of a job that was submitted with the same settings, but without naming it. */
function sameSettings(job, all) {
  const plain = (targets) => JSON.stringify((targets ?? []).map((t) => [t.layer, t.channels ?? null, t.weight ?? 1]));
  const same = (look) =>
    Object.entries(look.params).every(([key, value]) => (key === "layers" ? plain(job.params.layers) === plain(value) : JSON.stringify(job.params[key]) === JSON.stringify(value)));
  const sized = (look) => Object.keys(look.params).length;
  return all.filter(same).sort((a, b) => sized(b) - sized(a))[0]; // the most specific one
}

/** Returns a name such as "beach", a description such as "Animals", both as a title, the age, and the cached photograph. */
export async function describe(job) {
  const [cached, look] = await Promise.all([loadPhoto(job.id), job.kind === "dream" ? lookOf(job) : null]);
  const about = job.kind === "feature_maps" ? `Feature maps of ${subject(job)}` : look ?? subject(job);
  const name = (job.name ?? cached?.name)?.replace(/\.(png|jpe?g|webp|gif|tiff?|heic|avif|jxl)$/i, "");
  return { name: name || about, about, title: name ? `${name} · ${about}` : about, when: ago(job.created_at), cached };
}
