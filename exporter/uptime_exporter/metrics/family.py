"""What a family of metrics is called, and how its values are read off whatever it is about."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Generic, Literal, TypeVar

from uptime_exporter.monitor import Histogram

Labels = tuple[str, ...]

Values = Mapping[Any, float]
"""Label value, or a tuple of them where there are several labels → number."""

S = TypeVar("S")
"""What a family is about: a watch, a circuit, a promise."""


class Pace(IntEnum):
    """When the values of a family may change: with which part of the source's stamp."""

    RARE = 0
    """With the settings."""
    SELDOM = 1
    """When something is not as it was; while all is well it stays the same."""
    OFTEN = 2
    """From probe to probe."""


@dataclass(frozen=True, slots=True)
class Number(Generic[S]):
    """One number for each subject; None is no sample."""

    type: Literal["counter", "gauge"]
    name: str
    about: str
    read: Callable[[S], float | None]
    pace: Pace
    labels: Labels = ()


@dataclass(frozen=True, slots=True)
class Numbers(Generic[S]):
    """Several numbers for each subject, told apart by labels of their own."""

    type: Literal["counter", "gauge"]
    name: str
    about: str
    read: Callable[[S], Values]
    pace: Pace
    labels: Labels


@dataclass(frozen=True, slots=True)
class Buckets(Generic[S]):
    """One histogram for each subject."""

    name: str
    about: str
    read: Callable[[S], Histogram]
    pace: Pace = Pace.OFTEN
    type: Literal["histogram"] = "histogram"
    labels: Labels = ()


Family = Number[S] | Numbers[S] | Buckets[S]


@dataclass(frozen=True, slots=True)
class Kind(Generic[S]):
    """What there is to say about one kind of subject."""

    labels: Labels
    """Which name the subject in every sample."""
    families: tuple[Family[S], ...]


def gauge(name: str, about: str, read: Callable[[S], float | None], *, pace: Pace = Pace.OFTEN) -> Number[S]:
    """Declare a number that may fall."""
    return Number("gauge", name, about, read, pace)


def counter(
    name: str, about: str, read: Callable[[S], float | None], *, pace: Pace = Pace.OFTEN
) -> Number[S]:
    """Declare a number that only grows; its name ends in ``_total``."""
    return Number("counter", name, about, read, pace)


def gauges(
    name: str, about: str, labels: Labels, read: Callable[[S], Values], *, pace: Pace = Pace.OFTEN
) -> Numbers[S]:
    """Declare numbers that may fall, one for each value of *labels*."""
    return Numbers("gauge", name, about, read, pace, labels)


def counters(
    name: str, about: str, labels: Labels, read: Callable[[S], Values], *, pace: Pace = Pace.OFTEN
) -> Numbers[S]:
    """Declare numbers that only grow, one for each value of *labels*."""
    return Numbers("counter", name, about, read, pace, labels)


def histogram(name: str, about: str, read: Callable[[S], Histogram]) -> Buckets[S]:
    """Declare observations in seconds."""
    return Buckets(name, about, read)
