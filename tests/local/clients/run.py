"""``python -m tests.local.clients.run``: try every client that this environment has; write one JSON object a line.

It needs no more than the clients: run it with the Python of any environment against a server that runs elsewhere.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import warnings
from pathlib import Path

from tests.local.clients.catalogue import FAILS, MODULES, clients, outcome


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.local.clients.run", description=__doc__)
    parser.add_argument("--state-dir", type=Path, required=True, help="that of the running local Snowflake")
    parser.add_argument("--client", action="append", choices=MODULES, help="only this one; can be repeated")
    parser.add_argument("--feature", default="", help="only features whose function's name contains this")
    parser.add_argument("--protocol", action="append", choices=["http", "https"], help="only this one")
    parser.add_argument("--output", type=Path, required=True, help="the file to write")
    options = parser.parse_args()
    bundle = str(options.state_dir.resolve() / "tls" / "ca-bundle.pem")
    os.environ |= {"REQUESTS_CA_BUNDLE": bundle, "SSL_CERT_FILE": bundle}
    warnings.simplefilter("ignore")
    # Refusals are expected here, and clients log each.
    logging.disable(logging.CRITICAL)
    # Not to the standard output: clients log there.
    results = []
    for client in clients():
        if not client.is_installed or (options.client and client.module not in options.client):
            continue
        for protocol in client.protocols:
            if options.protocol and protocol not in options.protocol:
                continue
            for feature in client.features:
                if options.feature not in feature.check.__name__:
                    continue
                result, error = outcome(feature, options.state_dir, protocol)
                results.append(
                    {
                        "client": client.module,
                        "version": client.version,
                        "protocol": protocol,
                        "feature": feature.name,
                        "outcome": result,
                    }
                )
                if error:
                    print(f"{feature.id} over {protocol}:\n{error}", file=sys.stderr, flush=True)
    options.output.write_text("".join(f"{json.dumps(result)}\n" for result in results))
    return 1 if any(result["outcome"] == FAILS for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
