"""``python -m airflow_provider_snowflake_batch.worker JOB.json``, or ``… worker verify OUTPUT_DIRECTORY``.

Exit codes are listed in `errors`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from airflow_provider_snowflake_batch.worker.errors import EXIT_DONE, EXIT_REFUSED, WorkerError

USAGE = "usage: python -m airflow_provider_snowflake_batch.worker JOB.json | verify OUTPUT_DIRECTORY\n"


def main(arguments: list[str]) -> int:
    """Run the command line.

    :return: the exit code.
    """
    try:
        if len(arguments) == 2 and arguments[0] == "verify":
            from airflow_provider_snowflake_batch.worker.verify import verify

            manifest = verify(Path(arguments[1]))
            sys.stdout.write(f"{len(manifest['files'])} files, {manifest['rows']} rows: as the manifest says\n")
            return EXIT_DONE
        if len(arguments) != 1 or arguments[0] == "verify":
            sys.stderr.write(USAGE)
            return EXIT_REFUSED
        if arguments[0] in ("-h", "--help"):
            sys.stdout.write(USAGE)
            return EXIT_DONE
        from airflow_provider_snowflake_batch.worker.job import read_job, replica_from_environment

        job = read_job(Path(arguments[0]))
        replica = replica_from_environment()
        from airflow_provider_snowflake_batch.worker.run import run_job, terminate_on_sigterm

        terminate_on_sigterm()
        run_job(job, replica)
        return EXIT_DONE
    except WorkerError as error:
        sys.stdout.flush()
        sys.stderr.write(error.describe() + "\n")
        sys.stderr.flush()
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
