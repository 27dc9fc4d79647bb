// What both pages show alike, made of Airflow's own components.

import {
  chosenTimeZone,
  formatDuration,
  formatRate,
  formatRows,
  formatTime,
  percentDone,
  statusLook,
} from "./format.js";

const { createElement: h } = globalThis.React;
const { Alert, Badge, Box, Button, Clipboard, Flex, Progress, Text } = globalThis.ChakraUI;

export function locale() {
  return document.documentElement.lang || "en";
}

export function timeZone() {
  return chosenTimeZone(globalThis.localStorage?.getItem("timezone"));
}

export function Time({ seconds }) {
  const zone = timeZone();
  const title = zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
  return h("time", { title, style: { whiteSpace: "nowrap" } }, formatTime(seconds, zone));
}

export function StatusBadge({ job, size = "sm" }) {
  const { label, palette, unseen } = statusLook(job);
  const title = unseen ? "The task has ended without seeing the end of the job: this is what it saw last." : undefined;
  return h(
    Box,
    { title },
    h(Badge, { borderRadius: "full", colorPalette: palette, px: 2, size, variant: "solid" }, label),
    unseen && h(Text, { color: "fg.muted", fontSize: "xs" }, "last seen"),
  );
}

export function ProgressBar({ job, size = "xs" }) {
  const percent = percentDone(job.card.progress);
  if (percent === null) return null;
  const { palette } = statusLook(job);
  return h(
    Progress.Root,
    { "aria-label": "Rows scored", colorPalette: palette, min: 0, max: 100, size, value: percent },
    h(Progress.Track, { borderRadius: "full" }, h(Progress.Range, { bg: "colorPalette.solid" })),
  );
}

// Figures of a job's progress as texts; those that the card does not tell are left out.
export function progressTexts(job) {
  const { progress } = job.card;
  const percent = percentDone(progress);
  const left = job.group === "active" ? progress?.eta_seconds : null;
  return {
    rows: formatRows(progress, locale()),
    percent: percent === null ? null : `${Math.floor(percent)} %`,
    rate: formatRate(progress?.rows_per_second, locale()),
    left: typeof left === "number" ? `${formatDuration(left)} left` : null,
  };
}

export function Trouble({ error, refresh }) {
  return h(
    Alert.Root,
    { role: "alert", status: "error", my: 2 },
    h(Alert.Indicator),
    h(Alert.Content, null, h(Alert.Description, null, error.message)),
    h(Button, { onClick: refresh, size: "xs", variant: "outline" }, "Try again"),
  );
}

export function CopyButton({ value, label }) {
  return h(
    Clipboard.Root,
    { value, display: "inline-flex" },
    h(
      Clipboard.Trigger,
      { asChild: true },
      h(
        Button,
        { "aria-label": label, size: "2xs", variant: "outline" },
        h(Clipboard.Indicator, { copied: "Copied" }, "Copy"),
      ),
    ),
  );
}

export function Empty({ title, children }) {
  return h(
    Flex,
    { align: "center", direction: "column", gap: 2, justify: "center", px: 4, py: 16, textAlign: "center" },
    h(Text, { fontSize: "lg", fontWeight: "semibold" }, title),
    h(Box, { color: "fg.muted", maxW: "36rem" }, children),
  );
}
