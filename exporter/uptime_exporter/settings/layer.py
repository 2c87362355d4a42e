"""What one source says, where it says it, and how one source lies over another."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

Key = tuple[str | int, ...]
"""Where a value stands in the tree: names, and positions in lists."""
Tree = dict[str, Any]

_INSIDE_A_TARGET = 3
TARGET_SECRETS = ("password", "bearer_token")
TARGET_FILES = ("path", "password_file", "bearer_token_file")
TLS_FILES = ("ca_file", "cert_file", "key_file")


class Source(IntEnum):
    """Where settings come from; the higher one wins."""

    FILE = 1
    ENVIRONMENT = 2
    OVERRIDE = 3


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was written."""

    source: Source
    name: str
    """The file, the variable, or the dotted key."""
    key: Key
    """What it sets there."""
    line: int = 0
    """In the file, from 1."""

    def says(self, key: Key, text: str) -> str:
        """Return the line that tells of the mistake *text* in the value of *key*."""
        if self.source is Source.FILE:
            return f"{self.name}:{self.line}: {dotted(key)}: {text}"
        where = f"--set {shown(self.name)}" if self.source is Source.OVERRIDE else self.name
        return f"{where}: {text}" if key == self.key else f"{where}: {dotted(key)}: {text}"


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One line of `check`, and what puts the lines in order."""

    source: int
    line: int
    name: str
    text: str


@dataclass(slots=True)
class Layer:
    """What one source says, or several one over another."""

    tree: Tree = field(default_factory=dict)
    places: dict[Key, Place] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    told: set[Key] = field(default_factory=set)
    """Whose values could not be read; that is all there is to say about them."""
    usable: bool = True
    """Whether the source could be read at all."""

    def mistake(self, key: Key, text: str) -> None:
        """Note that the value of *key* is wrong, at the place that it came from."""
        place, placed = self.place(key), self._placed(key)
        if place and placed:
            # What a target inherits is to be mended where it is written.
            key = (*place.key, *key[len(placed) :])
        if key in self.told:
            return
        if place:
            self.mistake_at(place, key, text)
        else:
            self.mistakes.append(Mistake(0, 0, "", f"{dotted(key)}: {text}"))

    def mistake_at(self, place: Place, key: Key, text: str) -> None:
        """Note that the value of *key* is wrong at *place*."""
        self.mistakes.append(Mistake(place.source, place.line, place.name, place.says(key, text)))

    def place(self, key: Key) -> Place | None:
        """Return where the value of *key* came from: its own place, one around it, or one beside it."""
        placed = self._placed(key)
        if placed:
            return self.places[placed]
        inside = next(self.places_below(key), None) if key else None
        # In an unmarked target all that is marked stands beside; further out, beside is somewhere else.
        return inside or (next(self.places_below(key[:-1]), None) if len(key) >= _INSIDE_A_TARGET else None)

    def places_below(self, key: Key) -> Iterator[Place]:
        """Yield the places of all values inside that of *key*."""
        return (place for known, place in self.places.items() if known[: len(key)] == key)

    def _placed(self, key: Key) -> Key:
        return next((key[:end] for end in range(len(key), 0, -1) if key[:end] in self.places), ())

    def at(self, key: Key) -> Any:
        """Return the value of *key*, or None."""
        value: Any = self.tree
        for part in key:
            value = value.get(part) if isinstance(value, dict) else None
        return value

    def mappings(self, name: str) -> Iterator[tuple[Key, Tree]]:
        """Yield key and value of all that is in the mapping *name*, where it is a mapping itself."""
        whole = self.tree.get(name)
        for part, value in (whole if isinstance(whole, dict) else {}).items():
            if isinstance(value, dict):
                yield (name, part), value

    def secrets(self) -> Iterator[tuple[Key, Tree, str]]:
        """Yield each mapping that may hold a secret, with its key and the secret's name."""
        yield (), self.tree, "admin_token"
        for key, target in self.mappings("targets"):
            for secret in TARGET_SECRETS:
                yield key, target, secret

    def files(self) -> Iterator[tuple[Key, Tree, str]]:
        """Yield each mapping that names a file, with its key and the setting that names it."""
        top: Key = ()
        every = [(top, self.tree, name) for name in ("ledger", "admin_token_file")]
        for key, target in self.mappings("targets"):
            every += [(key, target, name) for name in TARGET_FILES]
            tls = target.get("tls")
            if isinstance(tls, dict):
                every += [((*key, "tls"), tls, name) for name in TLS_FILES]
        return (found for found in every if isinstance(found[1].get(found[2]), str))

    def relative_to(self, folder: Path) -> None:
        """Read relative file names from *folder*."""
        for _, holder, name in self.files():
            holder[name] = str(folder / holder[name])

    def each_secret_comes_one_way(self) -> None:
        """Note where a secret and the file that holds it are both given."""
        for key, holder, name in self.secrets():
            if holder.get(name) is not None and holder.get(f"{name}_file") is not None:
                self.mistake((*key, f"{name}_file"), f"{name} is given too; keep one of them")

    def cover(self, over: "Layer") -> None:
        """Lay *over* on top of this layer."""
        for key, holder, name in over.secrets():
            below = self.at(key)
            for given, other in ((name, f"{name}_file"), (f"{name}_file", name)):
                if isinstance(below, dict) and given in holder and other not in holder:
                    below.pop(other, None)
        self._merge(self.tree, over.tree, ())
        self.places.update(over.places)
        self.mistakes += over.mistakes

    def _merge(self, below: Tree, over: Tree, at: Key) -> None:
        for name, value in over.items():
            key = (*at, name)
            if isinstance(value, dict) and isinstance(below.get(name), dict):
                self._merge(below[name], value, key)
            else:
                below[name] = value
                self.places = {
                    known: place for known, place in self.places.items() if known[: len(key)] != key
                }

    def put(self, place: Place, value: object) -> None:
        """Set the value of the place's key, over and beside what is there."""
        *around, last = place.key
        tree: Tree = {str(last): deepcopy(value)}
        for part in reversed(around):
            tree = {str(part): tree}
        self._merge(self.tree, tree, ())
        self.places[place.key] = place


def dotted(key: Key) -> str:
    """Return *key* for people, without what cannot be a name: it may be a secret at the wrong place."""
    return ".".join(shown(str(part)) for part in key) or "the settings"


def shown(name: str) -> str:
    """Return *name* up to the first character that no name of ours has.

    ``{password:hunter2}`` is a mapping with one odd key; nobody else needs to read it.
    """
    end = next((at for at, char in enumerate(name) if not (char.isalnum() or char in "_-.")), len(name))
    return name if end == len(name) <= 64 else f"{name[: min(end, 64)]}…"  # noqa: PLR2004 - a line stays readable
