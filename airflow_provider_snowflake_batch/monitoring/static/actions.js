// What can be done with a job: cancel it, and run its task again. Airflow does both.

import { change } from "./api.js";
import { SteadyButton } from "./parts.js";

const { createElement: h, useState } = globalThis.React;
const { Alert, Box, Button, HStack, Text } = globalThis.ChakraUI;

const ACTIONS = {
  cancel: {
    name: "Cancel job",
    question: "Cancel the job? The task is marked as failed and not tried again. It then cancels its job, unless it has cancel_on_kill=False.",
    no: "Leave it alone",
    done: "Airflow has marked the task as failed. It now cancels the job.",
    // The task instance's own on_kill cancels the job, so nobody else needs to know Snowflake.
    run: (job) => change("PATCH", instance(job), { new_state: "failed" }),
  },
  retry: {
    name: "Run again",
    question: "Run the task again? The job of a task that has failed goes on where it can; one that is done scores all rows anew. Tasks after it are left as they are.",
    no: "Leave it as it is",
    done: "Airflow has cleared the task. It runs as soon as there is a place for it.",
    run: ({ dag_id, run_id, task_id, map_index }) =>
      change("POST", ["dags", dag_id, "clearTaskInstances"], {
        dag_run_id: run_id,
        dry_run: false,
        only_failed: false,
        task_ids: [map_index >= 0 ? [task_id, map_index] : task_id],
      }),
  },
};

function instance({ dag_id, run_id, task_id, map_index }) {
  const task = ["dags", dag_id, "dagRuns", run_id, "taskInstances", task_id];
  return map_index >= 0 ? [...task, map_index] : task;
}

// Why an action cannot be done now, or null if it can.
export function obstacle(action, job, may) {
  if (!may?.edit) return "Your role does not allow editing this task.";
  if (action === "retry") return job.live ? "The task is not over." : null;
  if (!job.live || job.group !== "active") return "The job does not run.";
  if (job.state === "deferred" && !may.cancel_deferred) {
    return "Airflow before 3.3 does not tell a deferred task to cancel its job.";
  }
  return null;
}

export function Actions({ job, may, refresh }) {
  const [asked, setAsked] = useState(null);
  const [said, setSaid] = useState({});

  async function run(action) {
    setAsked(null);
    setSaid({});
    try {
      await ACTIONS[action].run(job);
      setSaid({ done: ACTIONS[action].done });
      refresh();
    } catch (error) {
      setSaid({ error: error.message });
    }
  }

  const obstacles = Object.fromEntries(Object.keys(ACTIONS).map((action) => [action, obstacle(action, job, may)]));
  // A question that was asked of a job that has ended meanwhile is none any more.
  const open = asked && !obstacles[asked] ? asked : null;
  return h(
    Box,
    { as: "section", "aria-label": "Actions" },
    h(
      HStack,
      { gap: 2, wrap: "wrap" },
      Object.entries(ACTIONS).map(([action, { name }]) =>
        h(
          SteadyButton,
          {
            key: action,
            "aria-expanded": open === action,
            id: `batch-job-${action}`,
            idle: Boolean(obstacles[action]),
            onClick: () => setAsked(action),
            size: "xs",
            title: obstacles[action] ?? undefined,
          },
          name,
        ),
      ),
      h(Text, { color: "fg.muted", fontSize: "xs" }, reasons(obstacles)),
    ),
    open && h(Question, { key: open, action: open, run, leave: () => setAsked(null) }),
    h(Text, { fontSize: "sm", mt: said.done ? 2 : 0, role: "status" }, said.done ?? ""),
    said.error &&
      h(Alert.Root, { mt: 2, role: "alert", status: "error" }, h(Alert.Indicator), h(Alert.Description, null, said.error)),
  );
}

// Each reason once, with the button that it is of where the other one has none.
function reasons(obstacles) {
  const told = Object.entries(obstacles).filter(([, why]) => why);
  const same = told.length === 2 && told[0][1] === told[1][1];
  return same ? told[0][1] : told.map(([action, why]) => `${ACTIONS[action].name}: ${why}`).join(" ");
}

function Question({ action, run, leave }) {
  const { name, question, no } = ACTIONS[action];
  return h(
    Alert.Root,
    {
      "aria-label": name,
      mt: 2,
      onKeyDown: ({ key }) => {
        if (key !== "Escape") return;
        leave();
        document.getElementById(`batch-job-${action}`)?.focus();
      },
      role: "group",
      status: "warning",
    },
    h(Alert.Indicator),
    h(
      Alert.Content,
      null,
      h(Alert.Description, null, question),
      h(
        HStack,
        { gap: 2, mt: 2, wrap: "wrap" },
        h(Button, { colorPalette: action === "cancel" ? "red" : "blue", onClick: () => run(action), size: "xs" }, `Yes: ${name}`),
        h(Button, { autoFocus: true, onClick: leave, size: "xs", variant: "outline" }, no),
      ),
    ),
  );
}
