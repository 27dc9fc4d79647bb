// What Airflow loads: it finds each page's component under the page's name (plugin.py).

import { JobTab } from "./job_tab.js";
import { JobsPage, RunTab } from "./jobs_page.js";

globalThis["Batch inference"] = JobsPage;
globalThis["Batch job"] = JobTab;
globalThis["Batch jobs"] = RunTab;
