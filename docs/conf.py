"""How Sphinx builds this documentation: `make docs`."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

# Importing Airflow creates its home; a documentation build leaves none behind in the user's.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-home-")
os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "WARNING"
atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)

from airflow_provider_snowflake_batch import __version__  # noqa: E402

project = "airflow-provider-snowflake-batch"
author = "the airflow-provider-snowflake-batch authors"
copyright = f"2026, {author}"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "images/README.md"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_class_signature = "mixed"
autodoc_default_options = {"show-inheritance": True}

html_theme = "furo"
html_title = f"{project} {release}"
html_copy_source = False
