/** Codes and figures as sentences. */

import type { Estimate, Face, Identity, Job, PhotoReport } from "./types";

const LEFT_ALONE: Record<string, string> = {
  too_small: "too small",
  too_turned: "turned too far away",
  cut_off: "cut off by the edge",
  occluded: "covered",
  not_sure: "not surely this person",
  not_selected: "not chosen",
  not_a_face: "not a human face",
};

export const KINDS: Record<string, string> = {
  swap_image: "Image",
  swap_video: "Video",
  analysis: "People found",
  preview: "Preview",
  estimate: "Estimate",
  refine: "Refinement",
  export: "Export",
};

export const STATES: Record<string, string> = {
  queued: "Waiting",
  running: "Running",
  canceling: "Stopping",
  succeeded: "Done",
  failed: "Failed",
  canceled: "Stopped",
  expired: "Out of time",
};

/** What stands against a swap, by the codes of an estimate. */
const REFUSALS: Record<string, string> = {
  no_face: "no face was found",
  face_not_found: "nobody in it is the one chosen",
  nobody_swapped: "everybody chosen would be left alone",
  apparent_minor: "somebody seems under 18",
  sexual_content: "it seems sexual",
  identity_blocked: "somebody must not be swapped here",
  identity_review: "an operator has to decide about somebody in it",
};

export function estimateInWords(found: Estimate): string {
  if (found.refusals.length) {
    const why = found.refusals.map((code) => REFUSALS[code] ?? code).join(", ");
    return `It would be refused: ${why}.`;
  }
  const units = found.cost_units === 1 ? "one face" : `${found.cost_units} faces`;
  return `About ${secondsInWords(found.seconds)} once it starts, for ${units} in ${found.frames} ${found.frames === 1 ? "frame" : "frames"}.`;
}

export const titleOf = (one: Identity) => one.name ?? one.consent?.subject ?? one.id;

export function photoInWords(photo: PhotoReport): string {
  if (!photo.accepted) return photo.detail ?? "Left out.";
  const turned = Math.abs(photo.yaw_deg);
  const pose = turned < 10 ? "facing the camera" : turned < 30 ? "slightly turned" : "turned";
  return `Used: ${Math.round(photo.face_px)} pixels between the eyes, ${pose}.`;
}

export function faceInWords(face: Face, isVideo: boolean): string {
  const skipped = Object.entries(face.frames_skipped);
  const why = skipped
    .map(([reason, count]) => `${LEFT_ALONE[reason] ?? reason}${isVideo ? ` in ${count}` : ""}`)
    .join(", ");
  const share = face.frames_seen ? face.frames_swapped / face.frames_seen : 0;

  if (!face.frames_swapped) return `Left alone${why ? `: ${why}` : ""}.`;
  if (!isVideo) return "Swapped.";
  if (share === 1) return `Swapped in all ${face.frames_seen} frames.`;
  return `Swapped in ${face.frames_swapped} of ${face.frames_seen} frames${why ? `; ${why}` : ""}.`;
}

export function likenessInWords(similarity: number | null): string {
  if (similarity === null) return "";
  // Cosines of the pack's own encoder: two photos of one person reach 0.6 and more.
  const word = similarity >= 0.6 ? "strong" : similarity >= 0.45 ? "good" : "weak";
  return `Likeness: ${word} (${similarity.toFixed(2)}).`;
}

export function consentInWords(one: Identity): { text: string; ended: boolean } {
  if (!one.consent) return { text: "No consent record", ended: false };
  const end = one.expires_at ? new Date(one.expires_at) : null;
  const scope = one.consent.scope.map((use) => `${use}s`).join(" and ");
  if (end && end < new Date()) return { text: `Consent ended on ${day(end)}`, ended: true };
  return { text: `For ${scope}${end ? ` until ${day(end)}` : ", until withdrawn"}`, ended: false };
}

export function secondsInWords(seconds: number): string {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

export const bytesInWords = (bytes: number) =>
  bytes < 1e6 ? `${Math.round(bytes / 1e3)} KB` : `${(bytes / 1e6).toFixed(1)} MB`;

export const day = (moment: Date | string) =>
  new Date(moment).toLocaleDateString(undefined, { dateStyle: "medium" });

export const time = (moment: Date | string) =>
  new Date(moment).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });

export function tookInWords(job: Job): string {
  if (!job.started_at || !job.finished_at) return "";
  return secondsInWords((Date.parse(job.finished_at) - Date.parse(job.started_at)) / 1000);
}
