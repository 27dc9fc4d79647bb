"""What the package index shows: the README, its links made absolute, and the project's addresses.

A build hook of hatchling. The package index resolves no relative link and shows no picture of the source distribution,
and only who releases knows the repository's address: the release workflow gives it in ``PROJECT_URL``. A build without
it takes the README as it is.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hatchling.metadata.plugin.interface import MetadataHookInterface

# [words](target) and ![words](target), but for targets with a scheme and those within the page.
_LINK = re.compile(r"(?P<picture>!?)\[(?P<words>[^\]]*)\]\((?!#|[a-z+]+:)(?P<target>[^)\s]+)\)")


def absolute_links(text: str, url: str, tag: str) -> str:
    """The text of a Markdown page in a repository's root with links to the files of one tag.

    :param url: the repository's address, such as ``https://github.com/OWNER/NAME``.
    """

    def link(match: re.Match[str]) -> str:
        view = "raw" if match["picture"] else "blob"
        return f"{match['picture']}[{match['words']}]({url}/{view}/{tag}/{match['target']})"

    return _LINK.sub(link, text)


class ProjectPage(MetadataHookInterface):
    def update(self, metadata: dict[str, Any]) -> None:
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        url = os.environ.get("PROJECT_URL", "").rstrip("/")
        metadata["urls"] = {}
        if url:
            if urlsplit(url).scheme != "https" or not urlsplit(url).path.strip("/"):
                raise ValueError(f"PROJECT_URL is {url!r}; expected a repository's address, https://HOST/OWNER/NAME")
            tag = f"v{metadata['version']}"
            text = absolute_links(text, url, tag)
            metadata["urls"] = {
                "Documentation": f"{url}/blob/{tag}/docs/index.md",
                "Changelog": f"{url}/blob/{tag}/CHANGELOG.md",
                "Source": url,
                "Issues": f"{url}/issues",
            }
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
