"""Which files lie below a folder, links included, each of them once.

Links to folders are followed, since stages and configuration volumes are made with them. But no folder is entered
twice, and a file that is found by its own name is not found again by a link. A link to a folder that holds the place
where the search began is a loop, and is refused.

Where a file's whole path decides whether it counts, it may count by a link's path and not by its own. Then each link to
a folder is followed wherever it leads, though no folder twice behind the same link.
"""

from __future__ import annotations

import contextlib
import operator
import os
import stat
from array import array
from collections.abc import Callable, Iterable
from pathlib import Path

from airflow_provider_snowflake_batch.worker.errors import Refused

# Device and inode of a folder.
_Place = tuple[int, int]


class _Search:
    """One search.

    :param enter: whether a folder of that name is looked into. :param take: whether a file counts, by its path.
    :param by_path: whether ``take`` looks at the folders in a path.
    """

    def __init__(
        self, root: Path, enter: Callable[[str], bool], take: Callable[[str], bool], skip: Iterable[Path], by_path: bool
    ) -> None:
        self._root = str(root)
        self._enter, self._take, self._by_path = enter, take, by_path
        self._inside = os.path.realpath(root)
        self._skipped: set[_Place] = set()
        for folder in skip:
            with contextlib.suppress(OSError):
                self._skipped.add(_place(folder.stat()))
        # Folders that were entered by their own names, and behind the link that is being followed.
        self._own: dict[_Place, str] = {}
        self._entered = self._own
        # Where the files are that were found, since a folder may be entered again.
        self._taken: set[tuple[_Place, str]] | None = None
        self._found: list[str] = []
        # The inode of each file, since a link may lead to it. The folder's entry tells it, without a look at the file.
        self._inodes = array("Q")
        self._devices: dict[int, int] = {}
        self._folder_links: list[tuple[str, dict[_Place, str]]] = []
        self._file_links: list[str] = []
        self.outside: list[str] = []

    def run(self) -> list[str]:
        self._walk("")
        # Links come last, so that a file that lies below the root is found by its own name.
        while self._folder_links:
            links, self._folder_links = sorted(self._folder_links, key=operator.itemgetter(0)), []
            for link, entered in links:
                self._follow(link, entered)
        self._add_file_links()
        self._found.sort()
        return self._found

    def _path(self, relative: str) -> str:
        return f"{self._root}/{relative}" if relative else self._root

    def _walk(self, relative: str) -> None:
        waiting = [relative]
        while waiting:
            relative = waiting.pop()
            here = Path(self._path(relative)).stat()
            place = _place(here)
            if place in self._entered or place in self._skipped:
                continue
            self._entered[place] = relative
            prefix = f"{relative}/" if relative else ""
            with os.scandir(self._path(relative)) as entries:
                for entry in entries:
                    self._look_at(entry, prefix, place, waiting)
            self._devices[len(self._found)] = here.st_dev

    def _look_at(self, entry: os.DirEntry[str], prefix: str, place: _Place, waiting: list[str]) -> None:
        name = prefix + entry.name
        if entry.is_dir(follow_symlinks=False):
            if self._enter(entry.name):
                waiting.append(name)
        elif entry.is_symlink():
            if _leads_to_a_folder(entry):
                if self._enter(entry.name):
                    self._folder_links.append((name, self._entered))
            elif self._take(name):
                self._file_links.append(name)
        elif (self._taken is None or (place, entry.name) not in self._taken) and self._take(name):
            if not entry.is_file(follow_symlinks=False):
                # Opening a pipe would wait for whoever writes into it.
                raise Refused(f"{self._path(name)} is no file, but a pipe, a socket or a device")
            self._found.append(name)
            self._inodes.append(entry.inode())
            if self._taken is not None:
                self._taken.add((place, entry.name))

    def _follow(self, link: str, entered: dict[_Place, str]) -> None:
        """Look into the folder that a link leads to. :param entered: what was entered on the way to the link."""
        target = os.path.realpath(self._path(link))
        if self._inside.startswith(target.rstrip("/") + "/"):
            raise Refused(f"{self._path(link)} is a link to {target}, which holds {self._root} itself: a loop")
        self.outside.append(target)
        self._entered = entered
        if self._by_path and entered is self._own:
            self._entered = {}
            if self._taken is None:
                self._taken = self._taken_so_far()
        self._walk(link)

    def _taken_so_far(self) -> set[tuple[_Place, str]]:
        places = {relative: place for place, relative in self._own.items()}
        parts = (name.rpartition("/") for name in self._found)
        return {(places[folder], file) for folder, _, file in parts}

    def _add_file_links(self) -> None:
        if not self._file_links:
            return
        seen = self._identities()
        for link in sorted(self._file_links):
            try:
                there = Path(self._path(link)).stat()
            except OSError:
                # It leads nowhere, which is an error when the file is read.
                self._found.append(link)
                continue
            if not stat.S_ISREG(there.st_mode):
                raise Refused(f"{self._path(link)} leads to no file, but to a pipe, a socket or a device")
            if (there.st_dev, there.st_ino) not in seen:
                seen.add((there.st_dev, there.st_ino))
                self._found.append(link)
                self.outside.append(os.path.realpath(self._path(link)))

    def _identities(self) -> set[tuple[int, int]]:
        """Device and inode of each file found so far: those of one folder were added together."""
        identities, first = set[tuple[int, int]](), 0
        for end, device in self._devices.items():
            identities.update((device, inode) for inode in self._inodes[first:end])
            first = end
        return identities


def _place(status: os.stat_result) -> _Place:
    return status.st_dev, status.st_ino


def _leads_to_a_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def files_below(
    root: Path,
    enter: Callable[[str], bool] = lambda name: True,
    take: Callable[[str], bool] = lambda path: True,
    skip: Iterable[Path] = (),
    *,
    by_path: bool = False,
) -> tuple[list[str], list[str]]:
    """The files below a folder.

    :param enter: whether a folder, or a link to one, is looked into; asked by its name alone.
    :param take: whether a file counts; asked by its path.
    :param skip: folders that are not looked into, wherever they are met.
    :param by_path: whether ``take`` looks at the folders in a path, not at the file's name and content alone.
    :return: paths relative to the folder with ``/`` as separator, sorted; and the real places outside of it or inside
        that links among them lead to.
    :raises Refused: a link leads to a folder that holds ``root`` itself.
    :raises OSError: a folder cannot be read.
    """
    search = _Search(root, enter, take, skip, by_path)
    return search.run(), search.outside


def holds(folder: str | Path, place: str | Path) -> bool:
    """Whether a place is a folder or lies inside it; links are resolved."""
    outer = os.path.realpath(folder)
    return os.path.commonpath([outer, os.path.realpath(place)]) == outer


def overlap(one: str | Path, other: str | Path) -> bool:
    """Whether two paths are the same place, or one lies inside the other; links are resolved."""
    return holds(one, other) or holds(other, one)


def check_links(led_to: Iterable[str], apart_from: Path, what: str) -> None:
    """Hold that links do not lead where something is to be written.

    :param led_to: the places that they lead to.
    :raises Refused: one does.
    """
    for place in led_to:
        if overlap(place, apart_from):
            raise Refused(f"a link in {what} leads to {place}, which does not lie apart from the output {apart_from}")
