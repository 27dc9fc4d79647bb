"""The files of a registered model's version, put into one archive for a job of the worker.

``LIST`` and ``GET`` take the version's place as a URL:
https://docs.snowflake.com/en/developer-guide/snowflake-ml/model-registry/overview
"""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_snowflake_batch.contract.zip_archive import add_file
from airflow_provider_snowflake_batch.exceptions import JobInputError
from airflow_provider_snowflake_batch.hooks.models import (
    check_function_and_params,
    existing_rows,
    find_version,
    specification_of,
)
from airflow_provider_snowflake_batch.jobs import statements
from airflow_provider_snowflake_batch.jobs.errors import InvalidJobError
from airflow_provider_snowflake_batch.jobs.identifiers import Identifier, QualifiedName
from airflow_provider_snowflake_batch.jobs.models.registry import RegistryModel

if TYPE_CHECKING:
    from airflow_provider_snowflake_batch.hooks.batch_inference import SnowflakeBatchHook
    from airflow_provider_snowflake_batch.jobs.specs import InputSpec

_METADATA = "model.yaml"


@dataclass(frozen=True)
class RegisteredFiles:
    """The packed directory of a version.

    :param url: where it is.
    :param files: paths below it.
    :param digest: another one for other files, as far as size and MD5 tell.
    """

    url: str
    files: tuple[str, ...]
    digest: str

    @property
    def name(self) -> str:
        """Name of the archive."""
        return f"model-{self.digest[:12]}.zip"


def check_registered(hook: SnowflakeBatchHook, model: RegistryModel, given: InputSpec) -> RegistryModel:
    """Look whether the registry has the version with its function, which takes the job's parameters and a partition if
    it needs one, and lets its files be read.

    :returns: the model with the version that is meant at this moment: the default one may be another when its files are
        copied, or when a next try goes on.
    :raises JobInputError: it does not.
    """
    name, version = _version(hook, model)
    specification = specification_of(hook, name, version)
    if specification is not None:
        try:
            whose = f"version {version} of {name}"
            method = check_function_and_params(specification, model.function, given.params or {}, whose)
            if method is not None and method.partitioned and given.partition_column is None:
                raise InvalidJobError(
                    "input_spec.partition_column",
                    f"is needed: the function {method.name!r} of {whose} works on whole partitions.",
                )
        except InvalidJobError as error:
            raise JobInputError(str(error).replace("function_name:", "model.function:", 1)) from None
    _listed(hook, name, version)
    return replace(model, version=str(version))


def find_registered(hook: SnowflakeBatchHook, model: RegistryModel) -> RegisteredFiles:
    """The files of the version that is meant at this moment.

    :raises JobInputError: there is none, or its files cannot be read.
    """
    return _listed(hook, *_version(hook, model))


def _version(hook: SnowflakeBatchHook, model: RegistryModel) -> tuple[QualifiedName, Identifier]:
    name = QualifiedName.parse(model.name, field="model.name")
    wanted = Identifier.parse(model.version, field="model.version") if model.version is not None else None
    version = find_version(hook, name, wanted, fields=("model.name", "model.version"))
    if version is None:
        raise JobInputError(f"model.version: the registry does not tell the default version of {name}. Name a version.")
    return name, version


def _listed(hook: SnowflakeBatchHook, name: QualifiedName, version: Identifier) -> RegisteredFiles:
    url = statements.model_version_url(name, version)
    rows = existing_rows(hook, statements.list_url(url)) or []
    # LIST writes them as versions/<version>/<path>.
    files = {str(row["name"]).split("/", 2)[2]: row for row in rows if str(row["name"]).count("/") >= 2}
    folders = sorted(path.removesuffix(_METADATA) for path in files if path.rpartition("/")[2] == _METADATA)
    if not folders:
        raise JobInputError(
            f"model.name: the files of version {version} of {name} cannot be listed by this role, or hold no "
            f"{_METADATA}: it needs OWNERSHIP or READ on the model."
        )
    root = folders[0]
    packed = sorted(path for path in files if path.startswith(root))
    told = [(path, int(files[path]["size"]), str(files[path].get("md5"))) for path in packed]
    digest = hashlib.sha256(repr(told).encode()).hexdigest()
    return RegisteredFiles(url + root, tuple(path.removeprefix(root) for path in packed), digest)


def fetch_registered(hook: SnowflakeBatchHook, found: RegisteredFiles, folder: Path) -> Path:
    """Fetch the files, one by one, and put them into one archive.

    :param folder: for temporary files; it needs room for the model.
    """
    archive = folder / found.name
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as opened:
        for number, path in enumerate(found.files):
            # A folder for each file: GET drops the path before the name, and may fetch files whose URLs begin the same.
            into = folder / str(number)
            into.mkdir()
            hook.rows(statements.get_url(found.url + path, str(into)))
            local = into / path.rpartition("/")[2]
            if not local.is_file():
                raise JobInputError(
                    f"model.name: {found.url}{path} is listed, but GET has brought no such file. Fetch it by hand with "
                    "this role to see why, or log the version again."
                )
            add_file(opened, path, local)
            for one in into.iterdir():
                one.unlink()
    return archive
