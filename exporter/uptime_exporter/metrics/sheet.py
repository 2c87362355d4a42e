"""The samples of one kind of subject as text, written anew where something has changed."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from uptime_exporter.metrics.family import Kind, Labels
from uptime_exporter.metrics.spelling import Names, Write, named, writer
from uptime_exporter.metrics.subjects import Source, Stamp

STEP = 8
"""Subjects between two places where the work may pause: a tenth of a millisecond when all of them have changed."""

BITE = 512
"""Subjects of one family that are joined at once."""

_NEVER = object()
_UNKNOWN: Stamp = (_NEVER, _NEVER)


class _Column(NamedTuple):
    """One family's samples, by subject."""

    snapshot: Callable[[Any], object]
    write: Write
    seen: list[object]
    texts: list[bytes]


class Sheet:
    """All families of one kind, for all subjects of one source."""

    def __init__(self, kind: Kind[Any], source: Source[Any, Any], samples: Sequence[Labels]) -> None:
        """Write each family's samples as these lines."""
        self._source = source
        self._columns = [
            _Column(family.snapshot, writer(family, lines, len(kind.labels)), [], [])
            for family, lines in zip(kind.families, samples, strict=True)
        ]
        self._frequent = [
            c for c, family in zip(self._columns, kind.families, strict=True) if not family.rare
        ]
        self._items: Sequence[tuple[Labels, Any]] = ()
        self._stamps: list[Stamp] = []

    def refresh(self) -> Iterator[None]:
        """Take in what has changed; pause at each step."""
        items = self._source.items()
        if [labels for labels, _ in items] != [labels for labels, _ in self._items]:
            self._begin_anew(len(items))
            self._items = items
        former, self._items = self._items, items
        for row, (labels, item) in enumerate(items):
            stamp = self._source.stamp(item)
            known = self._stamps[row] if item is former[row][1] else _UNKNOWN
            if stamp != known:
                self._stamps[row] = stamp
                columns = self._frequent if stamp[0] == known[0] else self._columns
                _update(columns, row, named(labels), self._source.subject(item, stamp))
            if row % STEP == 0:
                yield

    def samples(self, place: int) -> Iterator[bytes]:
        """Yield the samples of the family at that place, bite by bite."""
        texts = self._columns[place].texts
        for start in range(0, len(texts), BITE):
            yield b"".join(texts[start : start + BITE])

    def _begin_anew(self, rows: int) -> None:
        self._stamps = [_UNKNOWN] * rows
        for column in self._columns:
            column.seen[:], column.texts[:] = [_NEVER] * rows, [b""] * rows


def _update(columns: Iterable[_Column], row: int, names: Names, subject: object) -> None:
    """Write the samples of one subject that are not what they were."""
    for snapshot, write, seen, texts in columns:
        now = snapshot(subject)
        if now != seen[row]:
            seen[row] = now
            texts[row] = write(names, now)
