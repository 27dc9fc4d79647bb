"""What processes agree on that may be of different versions, and run with different libraries.

The provider runs in Airflow, the local Snowflake beside it, the worker in a container. Each imports these modules, and
nobody writes a name or a rule of theirs down again. They need the standard library alone and run on Python 3.10.

`VERSION` stands in every job file and manifest. A newer version of this package may, under the same number, add fields
that may be missing, write them only where they say something, and read what the older one wrote. It may not give a
field another meaning, nor need a new one: that takes another number, which older readers refuse. A job file holds
orders, so its reader refuses fields that it does not know. Manifests and task records tell what was done, so their
readers leave unknown fields alone.
"""

from __future__ import annotations

VERSION = 1
