"""The samples of one kind of subject as text, written anew where something has changed."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from uptime_exporter.metrics.family import Kind, Labels
from uptime_exporter.metrics.spelling import END, MARKS, Names, Shape, Way, named, way
from uptime_exporter.metrics.subjects import Source, Stamp

STEP = 16
"""Subjects between two places where the work may pause: two tenths of a millisecond when all have changed."""

BITE = 512
"""Subjects of one family that are joined at once."""

FORMS = 64
"""Forms that a group keeps: as a rule all subjects have the same few."""

Column = list[bytes]
"""One family's samples, by subject."""

_UNMARKED: object = object()
"""Like no mark."""
_UNSEEN: Stamp = (object(), object(), object())
"""Like no stamp."""


class _Group:
    """Families that are written together: one form for all of them costs less than one for each."""

    def __init__(self, ways: Iterable[Way], columns: Iterable[Column]) -> None:
        self._takes, self._forms = zip(*ways, strict=True)
        self._columns = tuple(columns)
        self._form = lru_cache(FORMS)(self._new_form)
        self._last: tuple[list[Shape], bytes] = ([], b"")

    def write(self, row: int, names: Names, subject: object) -> None:
        """Write what is to be said of a subject that has these label values."""
        numbers: list[object] = []
        shapes = [take(subject, numbers) for take in self._takes]
        if shapes != self._last[0]:  # as a rule they are the same, and this costs less than finding them
            self._last = shapes, self._form(tuple(shapes))
        text = self._last[1] % tuple(numbers)
        for place, name in enumerate(names):
            text = text.replace(MARKS[place], name)
        for column, samples in zip(self._columns, text.split(END), strict=True):
            column[row] = samples

    def _new_form(self, shapes: tuple[Shape, ...]) -> bytes:
        return END.join([form(shape) for form, shape in zip(self._forms, shapes, strict=True)])


class _Row:
    """One subject, as it was last."""

    __slots__ = ("item", "mark", "names", "stamp")

    def __init__(self, item: object, names: Names) -> None:
        self.item = item
        self.names = names
        self.mark = _UNMARKED
        self.stamp = _UNSEEN


class Sheet:
    """All families of one kind, for all subjects of one source."""

    def __init__(self, kind: Kind[Any], source: Source[Any, Any], samples: Sequence[Labels]) -> None:
        """Write each family's samples as these lines."""
        self._source = source
        self._columns: list[Column] = [[] for _ in kind.families]
        families = list(zip(kind.families, samples, self._columns, strict=True))
        self._groups: list[tuple[int, _Group]] = []
        for pace in sorted({family.pace for family in kind.families}):
            ways = [
                (way(family, lines, len(kind.labels)), column)
                for family, lines, column in families
                if family.pace is pace
            ]
            self._groups.append((int(pace), _Group(*zip(*ways, strict=True))))
        self._rows: list[_Row] = []

    def refresh(self) -> Iterator[None]:
        """Take in what has changed; pause at each step."""
        number, rows, mark_of = 0, self._rows, self._source.mark
        for item in self._source.items():
            if number == len(rows):
                self._append(self._row(item))
            row = rows[number]
            if item != row.item:
                row = rows[number] = self._row(item)
            mark = mark_of(item)
            if mark != row.mark:
                self._write(number, row, mark)
            number += 1
            if number % STEP == 0:
                yield
        del rows[number:]
        for column in self._columns:
            del column[number:]

    def samples(self, place: int) -> Iterator[bytes]:
        """Yield the samples of the family at that place, bite by bite."""
        texts = self._columns[place]
        for start in range(0, len(texts), BITE):
            yield b"".join(texts[start : start + BITE])

    def _row(self, item: object) -> _Row:
        return _Row(item, named(self._source.labels(item)))

    def _write(self, number: int, row: _Row, mark: object) -> None:
        source, item = self._source, row.item
        known, stamp = row.stamp, source.stamp(item, mark)
        if stamp != known:
            names, subject = row.names, source.subject(item, stamp)
            for pace, group in self._groups:
                if stamp[pace] != known[pace]:
                    group.write(number, names, subject)
        row.mark, row.stamp = mark, stamp

    def _append(self, row: _Row) -> None:
        self._rows.append(row)
        for column in self._columns:
            column.append(b"")
