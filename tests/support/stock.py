"""The client library's own rendering of what the exposition says, which holds nothing and spares nothing."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from uptime_exporter.metrics import Exposition
from uptime_exporter.metrics.family import Buckets, Family, Kind, Labels, Numbers
from uptime_exporter.metrics.subjects import Source


class Stock(Collector):
    """Reads everything anew each time, as the client library's users do."""

    def __init__(self, exposition: Exposition) -> None:
        self._sections = exposition.sections
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def render(self, accept: str) -> tuple[bytes, str]:
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def collect(self) -> Iterator[Metric]:
        for kind, sources in self._sections:
            subjects = [subject for source in sources for subject in _subjects(source)]
            for family in kind.families:
                yield _metric(kind, family, subjects)


def _subjects(source: Source[Any, Any]) -> Iterable[tuple[Labels, Any]]:
    return [
        (source.labels(item), source.subject(item, source.stamp(item, source.mark(item))))
        for item in source.items()
    ]


def _metric(kind: Kind[Any], family: Family[Any], subjects: Sequence[tuple[Labels, Any]]) -> Metric:
    names = (*kind.labels, *family.labels)
    if isinstance(family, Buckets):
        return _histograms(family, names, subjects)
    made = CounterMetricFamily if family.type == "counter" else GaugeMetricFamily
    metric = made(family.name, family.about, labels=names)
    for labels, subject in subjects:
        values = family.read(subject) if isinstance(family, Numbers) else {(): family.read(subject)}
        for key, value in values.items():
            if value is not None:
                metric.add_metric((*labels, *((key,) if isinstance(key, str) else key)), float(value))
    return metric


def _histograms(family: Buckets[Any], names: Labels, subjects: Sequence[tuple[Labels, Any]]) -> Metric:
    metric = HistogramMetricFamily(family.name, family.about, labels=names)
    for labels, subject in subjects:
        histogram = family.read(subject)
        buckets = [("+Inf" if le == float("inf") else str(le), float(n)) for le, n in histogram.cumulative()]
        metric.add_metric(labels, buckets, histogram.sum)
    return metric
