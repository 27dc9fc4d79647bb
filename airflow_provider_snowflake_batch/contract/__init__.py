"""What processes agree on that may be of different versions, and run with different libraries.

The provider runs in Airflow, the local Snowflake beside it, the worker in a container. Each imports these modules, and
nobody writes a name or a rule of theirs down again. They need the standard library alone and run on Python 3.10. A
newer version may add fields that may be missing, and reads what the older one wrote.
"""
