"""The page for Prometheus, put together from what was written before and what has changed since."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder

from uptime_exporter.clock import stopwatch
from uptime_exporter.metrics import names
from uptime_exporter.metrics.family import Kind, Labels
from uptime_exporter.metrics.parts import Gzipped, Plain
from uptime_exporter.metrics.sheet import Sheet
from uptime_exporter.metrics.sources import Circuits, Itself, OwnDrain, Promises, Targets
from uptime_exporter.metrics.spelling import Encode, Spelling, learn
from uptime_exporter.metrics.subjects import Books, Exporter, Reloads, Source, Watching
from uptime_exporter.metrics.told import ToldApplications, ToldChecks, ToldCircuits
from uptime_exporter.reliability.drain import GracefulShutdown

SLICE = 0.0005
"""Seconds after which the event loop has its turn: probes measure what it makes them wait."""

WAYS = 2
"""Ways of writing samples of which a page is kept; the formats differ by headings, as long as they escape alike."""

ACCEPTED = 16
"""``Accept`` headers of which it is remembered what they mean."""

Section = tuple[Kind[Any], Sequence[Source[Any, Any]]]
"""One kind of subject, and all the places where such subjects come from."""


@dataclass(frozen=True, slots=True)
class _Format:
    """What an ``Accept`` header asks for."""

    encode: Encode
    content_type: str
    spellings: tuple[tuple[Spelling, ...], ...]
    """By section and family."""

    @property
    def samples(self) -> tuple[tuple[Labels, ...], ...]:
        """What the text of the samples depends on."""
        return tuple(tuple(spelling.samples for spelling in section) for section in self.spellings)


class Exposition:
    """Renders everything that is known, in whichever of Prometheus' formats is asked for."""

    def __init__(
        self,
        monitor: Watching,
        books: Books,
        reloads: Reloads,
        *,
        drain: GracefulShutdown | None = None,
        process: bool = True,
        turn: float = SLICE,
    ) -> None:
        """Publish these, from now on.

        Args:
            monitor: What is watched.
            books: What is promised of it.
            reloads: Of the settings.
            drain: How the exporter itself stops.
            process: Whether to add the process' own figures.
            turn: Seconds after which the event loop has its turn, for as long if a probe is under way.

        """
        self._monitor = monitor
        targets, applications = Targets(monitor), ToldApplications(monitor)
        self.sections: Sequence[Section] = (
            (names.TARGETS, [targets]),
            (names.CIRCUITS, [Circuits(monitor), ToldCircuits(applications)]),
            (names.APPLICATIONS, [*([OwnDrain(drain)] if drain else []), applications]),
            (names.CHECKS, [ToldChecks(applications)]),
            (names.PROMISES, [Promises(books, targets)]),
            (names.EXPORTER, [Itself(Exporter(monitor, books, reloads))]),
        )
        self._rest = CollectorRegistry()
        if process:
            ProcessCollector(registry=self._rest)
        self._turn = turn
        self._one_at_a_time = asyncio.Lock()
        self._format = lru_cache(ACCEPTED)(self._new_format)
        self._sheets = lru_cache(WAYS)(self._new_sheets)

    def render(self, accept: str) -> tuple[bytes, str]:
        """Return body and content type for an ``Accept`` header; empty means the text format 0.0.4."""
        wanted = self._format(accept)
        return b"".join(self._parts(wanted)), wanted.content_type

    async def serve(self, accept: str, *, gzip: bool = False) -> tuple[Sequence[bytes], str]:
        """Return the same body in parts, compressed if so wished, and its content type.

        The event loop goes on meanwhile, and nobody else's page is made of half of this one's changes.
        """
        async with self._one_at_a_time:
            wanted = self._format(accept)
            taken = Gzipped() if gzip else Plain()
            began = stopwatch()
            for part in self._parts(wanted):
                if part and taken.add(part):
                    await taken.pack()
                if stopwatch() - began > self._turn:
                    await self._give_way()
                    began = stopwatch()
            return await taken.end(), wanted.content_type

    async def _give_way(self) -> None:
        """Let others have a turn; probes half of the time, for one takes several turns to its answer."""
        await asyncio.sleep(0)
        if self._monitor.busy:
            await asyncio.sleep(self._turn)

    def _parts(self, wanted: _Format) -> Iterator[bytes]:
        """Yield the page in order, and nothing where the work may pause."""
        sections = self._sheets(wanted.samples)
        for sheets in sections:
            for sheet in sheets:
                for _ in sheet.refresh():
                    yield b""
        for sheets, spellings in zip(sections, wanted.spellings, strict=True):
            for place, spelling in enumerate(spellings):
                yield spelling.head
                for sheet in sheets:
                    yield from sheet.samples(place)
        yield wanted.encode(self._rest)

    def _new_format(self, accept: str) -> _Format:
        encode, content_type = choose_encoder(accept)
        return _Format(encode, content_type, tuple(learn(encode, kind) for kind, _ in self.sections))

    def _new_sheets(self, samples: tuple[tuple[Labels, ...], ...]) -> list[list[Sheet]]:
        return [
            [Sheet(kind, source, formats) for source in sources]
            for (kind, sources), formats in zip(self.sections, samples, strict=True)
        ]
