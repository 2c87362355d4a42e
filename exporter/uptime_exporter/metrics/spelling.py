"""How the client library writes each family in some format, learnt from what it writes of an example.

So every format, version and escaping that it knows comes out as it would write it, whatever its release.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from uptime_exporter.metrics.family import Buckets, Family, Kind, Labels, Number, Numbers

Encode = Callable[[Collector], bytes]
"""One of the client library's: what a collector yields → text."""

Names = tuple[tuple[bytes, bytes], ...]
"""The mark that stands for each label of a subject in a form, and its value, escaped."""

Write = Callable[[Names, Any], bytes]
"""A subject's labels and a family's snapshot → the subject's samples."""

MARKS = (b"\xf8", b"\xf9", b"\xfa", b"\xfb")
"""No text can hold them: these bytes do not occur in UTF-8. A single one is replaced ten times as fast as two."""

LEAST_EXPONENT = 1_000_000
"""From here on Go writes numbers with an exponent."""

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


def writer(family: Family[Any], samples: Labels, labels: int) -> Write:
    """Return what writes samples as those lines, for subjects that have so many labels."""
    match family:
        case Number():
            return _number(labels, *samples)
        case Numbers():
            return _numbers(labels, *samples)
        case Buckets():
            return _buckets(labels, *samples)


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


def _number(labels: int, sample: str) -> Write:
    form, short = _form(sample, labels), _form(sample, labels, number=b"%a")

    def write(names: Names, value: float | None) -> bytes:
        if value is None:
            return b""
        is_short = type(value) is float and 0 <= value < LEAST_EXPONENT
        text = short % value if is_short else form % written(value)
        return (
            text.replace(*names[0]) if labels == 1 else _named(text, names)
        )  # a scrape does this most of all

    return write


def _numbers(labels: int, sample: str) -> Write:
    @lru_cache(maxsize=64)  # as a rule all subjects have the same few sets of labels
    def block(keys: tuple[str | Labels, ...]) -> bytes:
        own = [[key] if isinstance(key, str) else key for key in keys]
        return b"".join(_form(sample, labels, map(escaped, each)) for each in own)

    def write(names: Names, snapshot: tuple[tuple[str | Labels, ...], tuple[float, ...]]) -> bytes:
        keys, values = snapshot
        return _named(block(keys) % tuple(map(written, values)), names)

    return write


def _buckets(labels: int, bucket: str, count: str, total: str) -> Write:
    @lru_cache(maxsize=16)  # each histogram has one set of bounds, and keeps it
    def block(bounds: tuple[float, ...], number: bytes) -> bytes:
        buckets = [bucket.replace(f'"{_A_BOUND}"', f'"{bound}"') for bound in bounds]
        counts = [_form(line, labels, number=number) for line in (*buckets, bucket, count)]
        return b"".join([*counts, _form(total, labels)])

    def write(names: Names, snapshot: tuple[tuple[float, ...], tuple[int, ...], float]) -> bytes:
        bounds, counts, seconds = snapshot
        every = counts[-1]
        if every < LEAST_EXPONENT:
            text = block(bounds, b"%d.0") % (*counts, every, written(seconds))
        else:
            text = block(bounds, b"%b") % (*map(written, counts), written(every), written(seconds))
        return _named(text, names)

    return write


def _form(line: str, labels: int, own: Iterable[bytes] = (), number: bytes = b"%b") -> bytes:
    """Return a line as a form: `_named` fills in the subject's labels, ``%`` the number, and the family's stand."""
    parts = [part.encode().replace(b"%", b"%%") for part in _STAND_IN.split(line)]
    fields = [*MARKS[:labels], *(value.replace(b"%", b"%%") for value in own), number]
    parts[1::2] = [fields[int(place)] for place in parts[1::2]]
    return b"".join(parts)


def _named(text: bytes, names: Names) -> bytes:
    for mark, name in names:
        text = text.replace(mark, name)
    return text


def named(labels: Labels) -> Names:
    """Return a subject's label values as `Write` takes them."""
    return tuple(zip(MARKS, map(escaped, labels), strict=False))


@lru_cache(maxsize=1024)
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
    return str(floatToGoString(value)).encode()  # type: ignore[no-untyped-call] # has no types
