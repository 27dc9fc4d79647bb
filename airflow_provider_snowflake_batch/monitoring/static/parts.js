// What both pages show alike, made of Airflow's own components.

import {
  chosenTimeZone,
  formatDuration,
  formatRate,
  formatRows,
  formatTime,
  percentDone,
  staleSeconds,
  statusLook,
} from "./format.js";

const { createElement: h, useEffect, useRef, useState } = globalThis.React;
const { Alert, Badge, Box, Button, Clipboard, Flex, Heading, Progress, Text, VisuallyHidden } = globalThis.ChakraUI;

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

export function StatusBadge({ job, now, size = "sm" }) {
  const { label, palette, unseen } = statusLook(job);
  const stale = staleSeconds(job, now);
  const title = unseen ? "The task has ended without seeing the end of the job: this is what it saw last." : undefined;
  return h(
    Box,
    { title },
    h(
      Badge,
      { borderRadius: "full", colorPalette: stale === null ? palette : "orange", px: 2, size, variant: "subtle" },
      label,
    ),
    unseen && h(Text, { color: "fg.muted", fontSize: "xs" }, "last seen"),
    stale !== null &&
      h(Text, { color: "fg.warning", fontSize: "xs" }, `not confirmed for ${formatDuration(stale)}`),
  );
}

export function ProgressBar({ job, size = "xs" }) {
  const percent = percentDone(job.card.progress);
  if (percent === null) return null;
  const { palette } = statusLook(job);
  return h(
    Progress.Root,
    { colorPalette: palette, min: 0, max: 100, size, value: percent },
    h(
      Progress.Track,
      {
        "aria-label": "Rows scored",
        "aria-valuemax": 100,
        "aria-valuemin": 0,
        "aria-valuenow": Math.floor(percent),
        borderRadius: "full",
        role: "progressbar",
      },
      h(Progress.Range, { bg: "colorPalette.solid" }),
    ),
  );
}

// Figures of a job's progress as texts; those that the card does not tell are left out, and so are those of a job that
// runs which nobody has looked at for long.
export function progressTexts(job, now) {
  const { progress } = job.card;
  const percent = percentDone(progress);
  const stale = staleSeconds(job, now) !== null;
  const left = job.group === "active" && !stale ? progress?.eta_seconds : null;
  return {
    rows: formatRows(progress, locale()),
    percent: percent === null ? null : `${Math.floor(percent)} %`,
    rate: stale ? null : formatRate(progress?.rows_per_second, locale()),
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

// A button that keeps the focus while it has nothing to do, as one that is disabled does not.
export function SteadyButton({ idle, onClick, children, ...more }) {
  const look = { size: "sm", variant: "outline", ...(idle && { cursor: "not-allowed", opacity: 0.6 }) };
  return h(Button, { "aria-disabled": Boolean(idle), onClick: () => !idle && onClick(), ...look, ...more }, children);
}

export function CopyButton({ value, label }) {
  const [copied, setCopied] = useState(false);
  return h(
    Clipboard.Root,
    { value, display: "inline-flex", onStatusChange: (now) => setCopied(now.copied) },
    h(VisuallyHidden, { role: "status" }, copied ? "Copied" : ""),
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
    h(Heading, { as: "h2", fontWeight: "semibold", size: "md" }, title),
    h(Box, { color: "fg.muted", maxW: "36rem" }, children),
  );
}

// Names, values, and what there is to say of a value.
export function Figures({ figures }) {
  return h(
    Flex,
    { as: "dl", columnGap: 10, flex: "1 1 auto", rowGap: 3, wrap: "wrap" },
    figures.map(([name, value, more]) =>
      h(
        Box,
        { key: name },
        h(Text, { as: "dt", color: "fg.muted", fontSize: "xs" }, name),
        h(Text, { as: "dd", fontSize: "xl", fontWeight: "semibold", ms: 0 }, value),
        more && h(Text, { as: "dd", color: "fg.muted", fontSize: "xs", ms: 0 }, more),
      ),
    ),
  );
}

// Its parts are arguments of their own, which need no keys.
export function section(title, ...parts) {
  return headed("h3", title, ...parts);
}

// level: of its heading, "h2" below one of the first level.
export function headed(level, title, ...parts) {
  return h(Box, { as: "section", "aria-label": title }, h(Heading, { as: level, mb: 2, size: "xs" }, title), ...parts);
}

// A text of many lines, open at its end, which tells most.
export function EndOfText({ label, children, ...more }) {
  const look = { fontSize: "xs", overflow: "auto", whiteSpace: "pre-wrap", wordBreak: "break-word" };
  const text = useRef(null);
  useEffect(() => {
    if (text.current) text.current.scrollTop = text.current.scrollHeight;
  }, [children]);
  // Focusable, so that it can be scrolled with the keyboard.
  return h(Box, { as: "pre", "aria-label": label, ref: text, role: "region", tabIndex: 0, ...look, ...more }, children);
}

// A table in a window that may be too narrow for it. Focusable, so that it can be scrolled with the keyboard.
export function scrolled(label, table, more) {
  return h(Box, { "aria-label": label, overflowX: "auto", role: "group", tabIndex: 0, ...more }, table);
}
