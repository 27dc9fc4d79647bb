// What the pages write of a card's values. Pure functions: no host, no clock, no locale of their own.

const MISSING = "–";

export function formatNumber(value, locale = "en") {
  return isNumber(value) ? new Intl.NumberFormat(locale, { maximumFractionDigits: 0 }).format(value) : MISSING;
}

export function formatRate(rowsPerSecond, locale = "en") {
  if (!isNumber(rowsPerSecond)) return null;
  const digits = Math.abs(rowsPerSecond) < 10 ? 1 : 0;
  return `${new Intl.NumberFormat(locale, { maximumFractionDigits: digits }).format(rowsPerSecond)} rows/s`;
}

export function formatDuration(seconds) {
  if (!isNumber(seconds) || seconds < 0) return MISSING;
  const whole = Math.round(seconds);
  const [days, hours, minutes] = [
    Math.floor(whole / 86400),
    Math.floor(whole / 3600) % 24,
    Math.floor(whole / 60) % 60,
  ];
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}

export function formatBytes(bytes, locale = "en") {
  if (!isNumber(bytes) || bytes < 0) return null;
  const units = ["bytes", "kB", "MB", "GB", "TB", "PB"];
  const step = Math.min(bytes < 1 ? 0 : Math.floor(Math.log10(bytes) / 3), units.length - 1);
  const value = bytes / 1000 ** step;
  const digits = step && value < 100 ? 1 : 0;
  return `${new Intl.NumberFormat(locale, { maximumFractionDigits: digits }).format(value)} ${bytes === 1 ? "byte" : units[step]}`;
}

// Node time, which is counted in hours.
export function formatHours(seconds, locale = "en") {
  if (!isNumber(seconds) || seconds < 0) return MISSING;
  const hours = seconds / 3600;
  return new Intl.NumberFormat(locale, { maximumFractionDigits: hours < 10 ? 2 : 0 }).format(hours);
}

// The name of the day that begins then, in full or short.
export function formatDay(seconds, timeZone, length, locale = "en") {
  const date = length === "long" ? { day: "numeric", month: "long" } : {};
  return new Intl.DateTimeFormat(locale, { weekday: length, ...date, timeZone }).format(new Date(seconds * 1000));
}

// seconds: since the epoch.
export function formatTime(seconds, timeZone) {
  // What lies beyond is no moment that a Date can name.
  if (!isNumber(seconds) || Math.abs(seconds) > 8.64e12) return MISSING;
  const parts = {
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  };
  // Swedish writes dates as ISO 8601 does, and so does Airflow.
  return new Intl.DateTimeFormat("sv-SE", { ...parts, timeZone }).format(new Date(seconds * 1000));
}

// From 0 to 100, or null where the card does not tell.
export function percentDone(progress) {
  const { rows_done: done, rows_total: total } = progress ?? {};
  if (!isNumber(done) || !isNumber(total) || total <= 0) return null;
  return Math.min(100, Math.max(0, (100 * done) / total));
}

export function formatRows(progress, locale = "en") {
  const { rows_done: done, rows_total: total, rows_reused: reused, quarantined_rows: bad } = progress ?? {};
  if (!isNumber(done)) return null;
  const kept = isNumber(reused) && reused > 0 ? `, ${formatNumber(reused, locale)} kept from earlier tries` : "";
  const aside = isNumber(bad) && bad > 0 ? `, ${formatNumber(bad, locale)} set aside as bad` : "";
  if (!isNumber(total) || total === done) return `${formatCount(done, "row", locale)}${kept}${aside}`;
  return `${formatNumber(done, locale)} of ${formatCount(total, "row", locale)}${kept}${aside}`;
}

export function formatCount(number, word, locale = "en") {
  return `${formatNumber(number, locale)} ${word}${number === 1 ? "" : "s"}`;
}

// Looks that may fail to come before a card counts as stale.
const LOOKS_MISSED = 3;

// Seconds since anybody has looked at a job that may run, if that is longer than it should be; otherwise null. Cards of
// versions that wrote changes only do not tell.
export function staleSeconds(job, now) {
  const { updated_at: seen, confirmed_every: every } = job.card;
  if (job.group !== "active" || !isNumber(seen) || !isNumber(every) || !isNumber(now)) return null;
  return now - seen > LOOKS_MISSED * every ? now - seen : null;
}

// How a replica looks: its word, and one of Airflow's colours.
export function replicaLook({ state, rows }, over = false) {
  // Many a job is done before all of its replicas are there.
  if (over && state === "late") return { label: "not needed", palette: "none" };
  const palettes = { late: "queued", loading: "scheduled", running: "running", slow: "up_for_retry", lost: "failed" };
  return { label: state, palette: palettes[state] ?? (rows > 0 ? "success" : "none") };
}

// Seconds that the job has taken, up to now if it may still run; null if that is unknown.
export function jobSeconds(job, now) {
  const { submitted_at: begin, ended_at: end, updated_at: seen } = job.card;
  if (!isNumber(begin) || job.card.job_name === "") return null;
  const runs = job.group === "active" && staleSeconds(job, now) === null;
  const last = isNumber(end) ? end : runs ? now : seen;
  return isNumber(last) ? Math.max(0, last - begin) : null;
}

// What a job has spent its time with, in the order of time: a name, its seconds, and one of Airflow's colours, of which
// those for its own kinds of waiting look alike. Nothing stands for a time that nobody saw.
export function phases(job, now) {
  const { submitted_at: submitted, accepted_at: accepted, started_at: started, ended_at: ended, updated_at: seen } = job.card;
  const active = job.group === "active";
  const last = isNumber(ended) ? ended : active && staleSeconds(job, now) === null ? now : seen;
  const moments = [
    ["preparing", submitted, "scheduled"],
    ["pending", isNumber(accepted) ? accepted : null, "up_for_retry"],
    ["running", started, active ? "running" : job.group === "done" ? "success" : "failed"],
  ].filter(([, at]) => isNumber(at));
  // A card without the moment in between cannot tell the one from the other.
  if (!isNumber(accepted) && moments.length) moments[0] = ["waiting", submitted, "up_for_retry"];
  // What has ended may have run for a moment between two looks.
  if (!active && !isNumber(started) && moments.length) moments.push(["pending or running", moments.pop()[1], "scheduled"]);
  const told = moments.map(([name, at, palette], index) => {
    const next = index + 1 < moments.length ? moments[index + 1][1] : last;
    return { name, palette, seconds: isNumber(next) ? Math.max(0, next - at) : 0 };
  });
  return told.filter(({ seconds }) => seconds > 0);
}

// What a job waits for whose containers say so, by Snowflake's words for it; null where these name nothing.
const WAITS = [
  ["room in the compute pool", /unschedulable|insufficient|node limit|capacity/i],
  ["its image", /\bimage\b/i],
  ["a node of the compute pool", /\bnodes?\b|provisioned/i],
];

export function waitsFor(message) {
  const found = WAITS.filter(([, words]) => words.test(message ?? "")).map(([what]) => what);
  return found.join(" and ") || null;
}

// Speeds between the points of a card's history: when, in seconds since the submission, and rows per second until then.
export function speeds(history) {
  const points = history ?? [];
  return points.slice(1).map(([at, rows], index) => {
    const [before, done] = points[index];
    return { from: before, to: at, rate: Math.max(0, (rows - done) / (at - before)) };
  });
}

// The last part of database.schema.name; quoted names may hold dots.
export function shortName(name) {
  return name?.match(/(?:"(?:[^"]|"")*"|[^."]+)$/)?.[0] ?? name ?? MISSING;
}

// Why a task failed. Of several lines, as of a traceback, the last one tells; messages of earlier versions began with
// which job failed.
export function reason(message) {
  const line = message?.trim().split("\n").at(-1).trim();
  return line?.replace(/^Job (?:"(?:[^"]|"")*"|[^\s"])+ ended as \w+\. (?=\S)/, "") || null;
}

export const ENDS = ["DONE", "FAILED", "CANCELLED", "INTERNAL_ERROR", "DELETED", "REFUSED", "NOT_SUBMITTED"];

// How a job's status looks: its words, one of Airflow's colours, and whether the job may have gone on unseen.
export function statusLook(job) {
  const status = job.card.status?.toUpperCase() || "UNKNOWN";
  const unseen = job.group === "failed" && !ENDS.includes(status);
  const palettes = {
    SUBMITTED: "scheduled",
    PENDING: "queued",
    RUNNING: "running",
    DONE: "success",
    FAILED: "failed",
    INTERNAL_ERROR: "failed",
    REFUSED: "failed",
    NOT_SUBMITTED: "failed",
    CANCELLED: "skipped",
    CANCELLING: "skipped",
    DELETED: "removed",
  };
  return { label: status.replaceAll("_", " "), palette: unseen ? "none" : (palettes[status] ?? "none"), unseen };
}

// The page of a task instance within Airflow's UI.
export function taskPath({ dag_id, run_id, task_id, map_index }, tab = "") {
  // Airflow knows the tab that is open by its address with these two characters as they are.
  const plain = (id) => encodeURIComponent(id).replaceAll("%3A", ":").replaceAll("%2B", "+");
  const [dag, run, task] = [dag_id, run_id, task_id].map(plain);
  return `/dags/${dag}/runs/${run}/tasks/${task}${map_index >= 0 ? `/mapped/${map_index}` : ""}${tab}`;
}

export function taskName({ task_id, map_index, map_label }) {
  if (!(map_index >= 0)) return task_id;
  const label = map_label && map_label !== String(map_index) ? ` ${map_label}` : "";
  return `${task_id} [${map_index}]${label}`;
}

// The time zone that the user has chosen in Airflow, as Airflow keeps it; undefined is the browser's own.
export function chosenTimeZone(stored) {
  try {
    const name = JSON.parse(stored);
    new Intl.DateTimeFormat("en", { timeZone: name });
    return name ?? undefined;
  } catch {
    return undefined;
  }
}

function isNumber(value) {
  return typeof value === "number" && Number.isFinite(value);
}
