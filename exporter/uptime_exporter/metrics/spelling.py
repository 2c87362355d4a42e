"""How the client library writes each family in some format, learnt from what it writes of an example.

So every format, version and escaping that it knows comes out as it would write it, whatever its release.
"""

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from uptime_exporter.metrics.family import Buckets, Family, Kind, Labels, Number, Numbers, Values
from uptime_exporter.monitor import Histogram

Encode = Callable[[Collector], bytes]
"""One of the client library's: what a collector yields → text."""

Names = tuple[bytes, ...]
"""The label values of a subject, escaped; each takes the place of its mark in a form."""

Shape = Hashable
"""Which samples there are of a subject, and how their numbers are written; the numbers themselves apart."""


class Way(NamedTuple):
    """How the samples of one family are written."""

    take: Callable[[Any, list[object]], Shape]
    """Reads a subject's numbers, and puts them behind those that are there."""
    form: Callable[[Any], bytes]
    """Shape → samples, with ``%`` for each number and a mark for each label of the subject."""


MARKS = (b"\xf8", b"\xf9", b"\xfa", b"\xfb")
"""No text can hold them: these bytes do not occur in UTF-8. A single one is replaced ten times as fast as two."""

OWN_MARKS = (b"\xf5", b"\xf6", b"\xf7")
"""For the labels that a family has beside its subject's."""

END = b"\xff"
"""What stands between two families, for the same reason."""

_SHORT, _WHOLE, _LONG = b"%a", b"%d.0", b"%b"
"""A float, an integer or truth value, and what is written already."""

LEAST_EXPONENT = 1_000_000
"""From here on Go writes numbers with an exponent."""

UNIX_TIMES = 1e9, 1e10
"""From 2001 to 2286: ten digits before the point."""

EXAMPLE = 1.0
_AN_EXAMPLE = "1.0"
_A_BOUND = "+Inf"
_STAND_IN = re.compile("\0([0-9]+)\0")


class Only(Collector):
    """A collector of families that are there already."""

    def __init__(self, families: Iterable[Metric] = ()) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """Return the families."""
        return self._families


@dataclass(frozen=True, slots=True)
class Spelling:
    """How one format writes one family."""

    head: bytes
    """The lines that open it."""
    samples: Labels
    """One line for each kind of sample, with stand-ins for label values of subject and family, and the number."""


def learn(encode: Encode, kind: Kind[Any]) -> tuple[Spelling, ...]:
    """Return how a format writes the families of one kind."""
    end = encode(Only())
    spellings = []
    for family in kind.families:
        labels = (*kind.labels, *family.labels)
        values = map(_stand_in, range(len(labels)))
        text = encode(Only([_example(family, labels, values)])).removesuffix(end).decode()
        lines = text.removesuffix("\n").split("\n")
        head = "".join(f"{line}\n" for line in lines if line.startswith("#"))
        number = f"{_stand_in(len(labels))}\n"
        samples = (line.removesuffix(_AN_EXAMPLE) + number for line in lines if not line.startswith("#"))
        spellings.append(Spelling(head.encode(), tuple(samples)))
    return tuple(spellings)


def way(family: Family[Any], samples: Labels, labels: int) -> Way:
    """Return how to write samples as those lines, for subjects that have so many labels."""
    match family:
        case Number():
            return _number(family.read, labels, *samples)
        case Numbers():
            return _numbers(family.read, labels, *samples)
        case Buckets():
            return _buckets(family.read, labels, *samples)


def _example(family: Family[Any], names: Labels, values: Iterable[str]) -> Metric:
    """Return the client library's own family with one sample of these label values."""
    if isinstance(family, Buckets):
        buckets = HistogramMetricFamily(family.name, family.about, labels=names)
        buckets.add_metric(tuple(values), [(_A_BOUND, EXAMPLE)], EXAMPLE)
        return buckets
    made = CounterMetricFamily if family.type == "counter" else GaugeMetricFamily
    metric = made(family.name, family.about, labels=names)
    metric.add_metric(tuple(values), EXAMPLE)
    return metric


def _stand_in(place: int) -> str:
    return f"\0{place}\0"


def _number(read: Callable[[Any], float | None], labels: int, sample: str) -> Way:
    forms = {field: _form(sample, labels, number=field) for field in (_SHORT, _WHOLE, _LONG)} | {None: b""}

    def take(subject: object, numbers: list[object]) -> bytes | None:
        value = read(subject)
        if value is None:
            return None
        if 0 <= value < LEAST_EXPONENT:
            numbers.append(value)
            return _SHORT if type(value) is float else _WHOLE
        numbers.append(written(value))
        return _LONG

    return Way(take, forms.__getitem__)


def _numbers(read: Callable[[Any], Values], labels: int, sample: str) -> Way:
    forms = {field: _form(sample, labels, OWN_MARKS, field) for field in (_SHORT, _WHOLE, _LONG)}

    @lru_cache(maxsize=64)  # as a rule all subjects have the same few sets of labels
    def form(shape: tuple[bytes, tuple[str | Labels, ...]]) -> bytes:
        field, keys = shape
        return b"".join([_with_own(forms[field], key) for key in keys])

    def take(subject: object, numbers: list[object]) -> tuple[bytes, tuple[str | Labels, ...]]:
        told = read(subject)
        keys, values = tuple(told), told.values()
        total = sum(values)  # no number if one of them is none
        if keys and not (min(values) >= 0 and total < LEAST_EXPONENT):
            numbers += map(written, values)
            return _LONG, keys
        if type(total) is int:
            numbers += values
            return _WHOLE, keys
        numbers += [value * 1.0 for value in values]
        return _SHORT, keys

    return Way(take, form)


def _buckets(read: Callable[[Any], Histogram], labels: int, bucket: str, count: str, total: str) -> Way:
    @lru_cache(maxsize=16)  # each histogram has one set of bounds, and keeps it
    def form(shape: tuple[bytes, bytes, tuple[float, ...]]) -> bytes:
        whole, fraction, bounds = shape
        buckets = [bucket.replace(f'"{_A_BOUND}"', f'"{bound}"') for bound in bounds]
        counts = [_form(line, labels, number=whole) for line in (*buckets, bucket, count)]
        return b"".join([*counts, _form(total, labels, number=fraction)])

    def take(subject: object, numbers: list[object]) -> tuple[bytes, bytes, tuple[float, ...]]:
        histogram = read(subject)
        counts, seconds = histogram.counts, histogram.sum
        every = counts[-1]
        if every < LEAST_EXPONENT and 0 <= seconds < LEAST_EXPONENT:
            numbers += counts
            numbers += every, seconds
            return _WHOLE, _SHORT, histogram.bounds
        numbers += map(written, (*counts, every, seconds))
        return _LONG, _LONG, histogram.bounds

    return Way(take, form)


def _form(line: str, labels: int, own: Sequence[bytes] = (), number: bytes = _LONG) -> bytes:
    """Return a line as a form: *own* stands in it, ``%`` fills in the number, and the marks are for `Names`."""
    parts = [part.encode().replace(b"%", b"%%") for part in _STAND_IN.split(line)]
    places = [*MARKS[:labels], *own[: len(parts) // 2 - labels - 1], number]
    parts[1::2] = [places[int(place)] for place in parts[1::2]]
    return b"".join(parts)


def _with_own(form: bytes, key: str | Labels) -> bytes:
    """Fill in the values of a family's own labels; a promise may have thousands of them."""
    for mark, value in zip(OWN_MARKS, (key,) if isinstance(key, str) else key, strict=False):
        form = form.replace(mark, escaped(value).replace(b"%", b"%%"))
    return form


def named(labels: Labels) -> Names:
    """Return a subject's label values as they take the places of the marks."""
    return tuple(map(escaped, labels))


def escaped(value: str) -> bytes:
    """Return a label's value as it stands between the quotes; half a surrogate pair as a question mark."""
    text = value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return text.encode(errors="replace")


def written(value: float) -> bytes:
    """Return a number as Go writes it."""
    if 0 <= value < LEAST_EXPONENT:
        return b"%a" % float(value)
    return _with_exponent(value)


@lru_cache(maxsize=64)
def _with_exponent(value: float) -> bytes:
    first, last = UNIX_TIMES
    if first <= value < last:  # the page is full of them: in half the time that the library takes
        text = repr(float(value))
        return f"{text[0]}.{text[1:10]}{text[11:]}".rstrip("0.").encode() + b"e+09"
    return str(floatToGoString(value)).encode()  # type: ignore[no-untyped-call] # has no types
