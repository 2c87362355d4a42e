"""What a family of metrics is called, and how its values are read off whatever it is about."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from uptime_exporter.monitor import Histogram

Labels = tuple[str, ...]

Values = Mapping[Any, float]
"""Label value, or a tuple of them where there are several labels → number."""

S = TypeVar("S")
"""What a family is about: a watch, a circuit, a promise."""


@dataclass(frozen=True, slots=True)
class Number(Generic[S]):
    """One number for each subject; None is no sample."""

    type: Literal["counter", "gauge"]
    name: str
    about: str
    read: Callable[[S], float | None]
    rare: bool
    """Whether it is read only when the first part of the source's stamp has changed."""
    labels: Labels = ()

    @property
    def snapshot(self) -> Callable[[S], float | None]:
        """Return what reads the present value."""
        return self.read


@dataclass(frozen=True, slots=True)
class Numbers(Generic[S]):
    """Several numbers for each subject, told apart by labels of their own."""

    type: Literal["counter", "gauge"]
    name: str
    about: str
    read: Callable[[S], Values]
    rare: bool
    labels: Labels

    def snapshot(self, subject: S) -> tuple[Hashable, Hashable]:
        """Return the present values as something that later ones can be compared with."""
        values = self.read(subject)
        return tuple(values), tuple(values.values())


@dataclass(frozen=True, slots=True)
class Buckets(Generic[S]):
    """One histogram for each subject."""

    name: str
    about: str
    read: Callable[[S], Histogram]
    rare: bool = False
    type: Literal["histogram"] = "histogram"
    labels: Labels = ()

    def snapshot(self, subject: S) -> tuple[tuple[float, ...], tuple[int, ...], float]:
        """Return the upper bounds, the counts up to each and of all, and the sum."""
        histogram = self.read(subject)
        return histogram.bounds, histogram.counts, histogram.sum


Family = Number[S] | Numbers[S] | Buckets[S]


@dataclass(frozen=True, slots=True)
class Kind(Generic[S]):
    """What there is to say about one kind of subject."""

    labels: Labels
    """Which name the subject in every sample."""
    families: tuple[Family[S], ...]


def gauge(name: str, about: str, read: Callable[[S], float | None], *, rare: bool = False) -> Number[S]:
    """Declare a number that may fall."""
    return Number("gauge", name, about, read, rare)


def counter(name: str, about: str, read: Callable[[S], float | None], *, rare: bool = False) -> Number[S]:
    """Declare a number that only grows; its name ends in ``_total``."""
    return Number("counter", name, about, read, rare)


def gauges(
    name: str, about: str, labels: Labels, read: Callable[[S], Values], *, rare: bool = False
) -> Numbers[S]:
    """Declare numbers that may fall, one for each value of *labels*."""
    return Numbers("gauge", name, about, read, rare, labels)


def counters(
    name: str, about: str, labels: Labels, read: Callable[[S], Values], *, rare: bool = False
) -> Numbers[S]:
    """Declare numbers that only grow, one for each value of *labels*."""
    return Numbers("counter", name, about, read, rare, labels)


def histogram(name: str, about: str, read: Callable[[S], Histogram]) -> Buckets[S]:
    """Declare observations in seconds."""
    return Buckets(name, about, read)
