// What a job has spent its time with, as a picture and in words.

import { formatDuration, jobSeconds, phases, waitsFor } from "./format.js";
import { Time, section } from "./parts.js";

const { createElement: h } = globalThis.React;
const { Box, Flex, Text } = globalThis.ChakraUI;

const MEANING = {
  preparing: "Snowflake takes the statement in. The first time it builds the image, which takes minutes.",
  pending: "The job waits for nodes of its compute pool, and for its containers.",
  waiting: "From the submission until it was seen to run.",
  running: "The containers run.",
  "pending or running": "Nobody has seen it run, so it is not known how long it did.",
};

export function Timeline({ job, now }) {
  const { job_name: name, submitted_at: submitted, accepted_at: accepted, started_at: started, ended_at: ended } = job.card;
  if (name === "") return null;
  const active = job.group === "active";
  const steps = [
    ["Submitted", submitted, null],
    ...(typeof accepted === "number" ? [["Accepted", accepted, between(submitted, accepted, "prepared")]] : []),
    ["Running", started, between(accepted ?? submitted, started, "waited")],
    ["Ended", ended, between(started, ended, "ran")],
  ];
  const total = jobSeconds(job, now);
  return section(
    "Timeline",
    h(Picture, { told: phases(job, now) }),
    active && h(WaitsFor, { card: job.card }),
    h(Waited, { card: job.card }),
    h(
      Flex,
      { as: "ol", columnGap: 8, listStyleType: "none", rowGap: 3, wrap: "wrap" },
      steps.map(([name, at, took]) => h(Step, { key: name, name, at, took, missing: active ? "not yet" : "not seen" })),
    ),
    total !== null &&
      h(Text, { color: "fg.muted", fontSize: "sm", mt: 2 }, `${formatDuration(total)} ${active ? "so far" : "in all"}`),
  );
}

// What keeps a job from running: the build of its image, before Snowflake has the job, and then what its containers say.
function WaitsFor({ card }) {
  const status = card.status?.toUpperCase();
  if (status === "SUBMITTED" && typeof card.accepted_at !== "number") {
    return h(Text, { mb: 3 }, "What it waits for: Snowflake has not taken the statement in yet. Of a registered model it builds the image first, if there is none, which takes minutes.");
  }
  if (status !== "PENDING") return null;
  const containers = (card.containers ?? []).filter((one) => one.status === "PENDING" && one.message);
  const told = [...new Set(containers.map((one) => one.message))].join(" · ") || card.waits?.at(-1)[1];
  if (!told) return null;
  const what = waitsFor(told);
  return h(Text, { mb: 3, wordBreak: "break-word" }, `What it waits for: ${what ? `${what} (${told})` : told}`);
}

// What it has waited for before, and from when on.
function Waited({ card: { status, waits } }) {
  const past = status?.toUpperCase() === "PENDING" ? waits?.slice(0, -1) : waits;
  if (!past?.length) return null;
  return h(
    Box,
    { color: "fg.muted", fontSize: "sm", mb: 3 },
    "It was pending for want of:",
    h(
      Box,
      { as: "ul", "aria-label": "What it has waited for", listStyleType: "disc", ps: 5 },
      past.map(([at, told], line) => {
        const what = waitsFor(told);
        return h(
          Box,
          { key: line, as: "li", wordBreak: "break-word" },
          `${what ? `${what} (${told})` : told}, seen ${formatDuration(at)} after the submission`,
        );
      }),
    ),
  );
}

// Each part is as long as its share of the time, but never too short to be seen; the words below have room for all.
function Picture({ told }) {
  if (!told.length) return null;
  const words = told.map(({ name, seconds }) => `${name} ${formatDuration(seconds)}`);
  return h(
    Box,
    { mb: 3 },
    h(
      Flex,
      { "aria-label": words.join(", "), gap: "2px", role: "img" },
      told.map(({ name, palette, seconds }) =>
        h(Box, {
          key: name,
          bg: "colorPalette.solid",
          borderRadius: "sm",
          colorPalette: palette,
          flexBasis: "0.5rem",
          flexGrow: seconds,
          h: 3,
          title: MEANING[name],
        }),
      ),
    ),
    h(
      Flex,
      { "aria-hidden": true, color: "fg.muted", columnGap: 4, fontSize: "xs", mt: 1, wrap: "wrap" },
      told.map(({ name, palette }, index) =>
        h(
          Flex,
          { key: name, align: "center", gap: 1, title: MEANING[name] },
          h(Box, { bg: "colorPalette.solid", borderRadius: "full", boxSize: 2, colorPalette: palette }),
          words[index],
        ),
      ),
    ),
  );
}

function Step({ name, at, took, missing }) {
  const known = typeof at === "number";
  return h(
    Box,
    { as: "li", minW: "11rem" },
    h(Text, { fontWeight: "semibold" }, name),
    h(Text, { fontSize: "sm" }, known ? h(Time, { seconds: at }) : missing),
    took && h(Text, { color: "fg.muted", fontSize: "xs" }, took),
  );
}

function between(from, to, word) {
  return typeof from === "number" && typeof to === "number" && to >= from
    ? `${word} ${formatDuration(to - from)}`
    : null;
}
