"""The samples of one kind of subject as text, written anew where something has changed."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from uptime_exporter.metrics.family import Kind, Labels, Pace
from uptime_exporter.metrics.spelling import END, Names, Shape, Way, named, way
from uptime_exporter.metrics.subjects import Source, Stamp

STEP = 16
"""Subjects between two places where the work may pause: two tenths of a millisecond when all have changed."""

BITE = 512
"""Subjects of one family that are joined at once."""

FORMS = 64
"""Forms that a group keeps: as a rule all subjects have the same few."""

Column = list[bytes]
"""One family's samples, by subject."""

_UNSEEN: Stamp = (object(), object(), object())
"""Like no stamp."""


class _Group:
    """Families that are written together: one form for all of them costs less than one for each."""

    def __init__(self, ways: Iterable[Way], columns: Iterable[Column]) -> None:
        self._takes, self._forms = zip(*ways, strict=True)
        self._columns = tuple(columns)
        self._form = lru_cache(FORMS)(self._new_form)
        self._last: tuple[tuple[Shape, ...], bytes] = ((), b"")

    def write(self, row: int, names: Names, subject: object) -> None:
        """Write what is to be said of a subject that has these names."""
        numbers: list[object] = []
        shapes = tuple([take(subject, numbers) for take in self._takes])
        if shapes != self._last[0]:  # as a rule they are the same, and this costs less than finding them
            self._last = shapes, self._form(shapes)
        text = self._last[1] % tuple(numbers)
        for mark, name in names:
            text = text.replace(mark, name)
        for column, samples in zip(self._columns, text.split(END), strict=True):
            column[row] = samples

    def _new_form(self, shapes: tuple[Shape, ...]) -> bytes:
        return END.join([form(shape) for form, shape in zip(self._forms, shapes, strict=True)])


class Sheet:
    """All families of one kind, for all subjects of one source."""

    def __init__(self, kind: Kind[Any], source: Source[Any, Any], samples: Sequence[Labels]) -> None:
        """Write each family's samples as these lines."""
        self._source = source
        self._columns: list[Column] = [[] for _ in kind.families]
        families = list(zip(kind.families, samples, self._columns, strict=True))
        self._groups: list[tuple[Pace, _Group]] = []
        for pace in sorted({family.pace for family in kind.families}):
            ways = [
                (way(family, lines, len(kind.labels)), column)
                for family, lines, column in families
                if family.pace is pace
            ]
            self._groups.append((pace, _Group(*zip(*ways, strict=True))))
        self._items: list[Any] = []
        self._stamps: list[Stamp] = []

    def refresh(self) -> Iterator[None]:
        """Take in what has changed; pause at each step."""
        rows = 0
        for row, (labels, item) in enumerate(self._source.items()):
            if row == len(self._items):
                self._append()
            stamp = self._source.stamp(item)
            known = self._stamps[row] if item == self._items[row] else _UNSEEN
            if stamp != known:
                names, subject = named(labels), self._source.subject(item, stamp)
                for pace, group in self._groups:
                    if stamp[pace] != known[pace]:
                        group.write(row, names, subject)
                self._items[row], self._stamps[row] = item, stamp
            rows = row + 1
            if rows % STEP == 0:
                yield
        for each in (self._items, self._stamps, *self._columns):
            del each[rows:]

    def samples(self, place: int) -> Iterator[bytes]:
        """Yield the samples of the family at that place, bite by bite."""
        texts = self._columns[place]
        for start in range(0, len(texts), BITE):
            yield b"".join(texts[start : start + BITE])

    def _append(self) -> None:
        self._items.append(None)
        self._stamps.append(_UNSEEN)
        for column in self._columns:
            column.append(b"")
