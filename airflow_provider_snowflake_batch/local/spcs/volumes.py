"""Mount paths of a container that is a plain process.

A process cannot mount anything without privileges, so every place where the specification itself names a mount path
is rewritten to the folder behind it: the words of ``command`` and ``args`` and the values of ``env``. Code that has a
mount path built in finds the folders in ``SNOWFLAKE_LOCAL_MOUNTS``, a JSON object of mount path → folder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

MOUNTS_VARIABLE = "SNOWFLAKE_LOCAL_MOUNTS"


def rewrite(text: str, mounts: Mapping[str, str]) -> str:
    """The text with every mount path replaced by its folder.

    A mount path counts where a path begins: not inside a longer path, a word or a URL. The longest one wins.

    >>> rewrite("--in=/data/x:/data2", {"/data": "/stage"})
    '--in=/stage/x:/data2'
    """
    if not mounts:
        return text
    longest_first = sorted(mounts, key=len, reverse=True)
    alternatives = "|".join(re.escape(path) for path in longest_first)
    # `/` before: the middle of a path or of `scheme://`; a word character after: another, longer name.
    pattern = rf"(?<![\w./~-])({alternatives})(?=/|$|[^\w.-])"
    return re.sub(pattern, lambda match: mounts[match[1]], text)
