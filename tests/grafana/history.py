"""Thirty days of a system that had everything happen to it, as the exporter would have published them.

The exporter's own watches, circuits, ledger and exposition say what it publishes; what an application and
Prometheus itself would add is written down here. Quiet stretches are scraped seldom, what happens closely.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from alerts.replay.exporter import BEAT, REFUSED, SILENT, Exporter, Fate
from alerts.replay.samples import SCRAPED, Samples, empty
from support.loop import FakeClock
from uptime_exporter.metrics import Exposition, Reloads
from uptime_exporter.outcome import Outcome, OwnFault, Seen

START = 1_767_225_600.0
"""2026-01-01."""
MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
END = START + 30 * DAY

OUTAGE = (START + 3 * DAY, START + 3 * DAY + 40 * MINUTE)
"""The database is gone: nearly all of the month's budget."""
GAP = (START + 9 * DAY, START + 9 * DAY + 3 * HOUR)
"""The exporter is stopped, and started again."""
DEAF = (START + 12 * DAY, START + 12 * DAY + HOUR)
"""It cannot look up names, so it knows nothing."""
BURN = (START + 16 * DAY, START + 16 * DAY + 6 * HOUR)
"""Every 24th probe of the model server fails."""
OPENING = (START + 22 * DAY + 7 * MINUTE, START + 22 * DAY + 9 * MINUTE)
"""The backend's circuit to the model server is open for two minutes, and nothing else is wrong; between two steps
of a month, so that no step finds it by luck."""
RESTART = START + 25 * DAY
"""Of the backend; its drain had reached the time limit."""
FAILING = (END - 30 * MINUTE, END)
"""Some of the backend's requests fail; more of them while its database was gone."""
DEGRADED = (END - 2 * HOUR, END)
"""The ASR/OCR server has lost a model."""

HEALTHY = START + 2 * DAY
DOWN = OUTAGE[0] + 20 * MINUTE

SELDOM = 20 * MINUTE
"""Divides the steps that Grafana takes for a month, so that each finds a sample."""
CLOSE = 30.0
CLOSELY = (
    (HEALTHY - 2 * HOUR, HEALTHY),
    (OUTAGE[0] - HOUR, OUTAGE[1]),
    (GAP[1], GAP[1] + 5 * MINUTE),
    (DEAF[0] + 20 * MINUTE, DEAF[0] + 30 * MINUTE),
    (BURN[0] + 2 * HOUR - 10 * MINUTE, BURN[0] + 2 * HOUR),
    (OPENING[0] - 5 * MINUTE, OPENING[1] + 5 * MINUTE),
    (RESTART - 5 * MINUTE, RESTART + 10 * MINUTE),
    (END - 4 * HOUR, END),
)

APP = 'instance="127.0.0.1:8000",job="backend"'
ROUTES = {"/health": 0.5, "/v1/chat": 3.0, "/v1/transcribe": 1.0}
"""Route → requests a second."""
FAILED_PART = {FAILING: 0.004, OUTAGE: 0.05}
"""Of the requests to /v1/chat, while they fail: over all routes, first more than the alert's limit, at the end
only more than the aim."""
BOUNDS = ("0.05", "0.25", "1.0", "+Inf")
WITHIN = (0.5, 0.9, 0.99, 1.0)


def within(at: float, stretch: tuple[float, float]) -> bool:
    return stretch[0] <= at < stretch[1]


def story(target: str, at: float) -> Fate:
    """Return what becomes of a probe."""
    if target == "mysql" and within(at, OUTAGE):
        return REFUSED
    if target == "model_server" and within(at, BURN) and int((at - BURN[0]) // BEAT) % 24 == 0:
        return SILENT
    if target == "asr_ocr_server":
        lost = within(at, DEGRADED)
        models = {"whisper": True, "dots_ocr": not lost}
        return Fate(seen=Seen(degraded=lost, models=models, certificate_expires=END + 10 * DAY))
    return Fate()


class Watched(Exporter):
    """The exporter with what a real one learns on the way: phases, lateness, and what it could not find out."""

    _page: tuple[float, Exposition] | None = None

    def exposition(self) -> str:
        """Return the page, of one exposition for each run, as in earnest; or nothing while it does not run."""
        if not self.runs:
            return ""
        if self._page is None or self._page[0] != self.began:
            reloads = Reloads(successful=True, at=self.began)
            self._page = self.began, Exposition(self, self, reloads, process=False)
        return self._page[1].render("")[0].decode()

    def ask(self, name: str) -> None:
        self.lateness.observe(0.004)
        super().ask(name)

    def take(self, outcome: Outcome) -> None:
        phases = {"connect": 0.02, "auth": 0.02, "query": 0.01}
        if outcome.target != "mysql":
            phases = {"resolve": 0.001, "connect": 0.004, "processing": 0.04, "transfer": 0.005}
        reason = OwnFault.RESOLVER if within(outcome.at, DEAF) else outcome.reason
        super().take(replace(outcome, phases=phases, reason=reason))


def scrapes() -> Iterator[float]:
    """Yield when Prometheus looks."""
    at = START + CLOSE
    while at <= END:
        yield at
        close = any(begin <= at < end for begin, end in CLOSELY)
        following = at + CLOSE if close else at - (at - START) % SELDOM + SELDOM
        nearest = min((begin for begin, _ in CLOSELY if begin > at), default=END + SELDOM)
        at = following if close else min(following, nearest)


@dataclass(slots=True)
class Diary:
    """Samples as they come in."""

    samples: Samples
    _known: dict[tuple[str, str], list[tuple[float, str]]] = field(default_factory=dict)

    def page(self, exposition: str, at: float) -> None:
        """Take in a whole page of the exporter."""
        for line in exposition.splitlines():
            if not line.startswith("#"):
                series, _, value = line.rpartition(" ")
                self._of(series, SCRAPED).append((at, value))

    def add(self, at: float, scraped: str, values: Mapping[str, float]) -> None:
        """Take in single values of another target of Prometheus."""
        for series, value in values.items():
            self._of(series, scraped).append((at, repr(value)))

    def _of(self, series: str, scraped: str) -> list[tuple[float, str]]:
        known = self._known.get((series, scraped))
        if known is None:
            name, brace, labels = series.partition("{")
            labelled = f"{name}{{{labels[:-1]},{scraped}}}" if brace else f"{name}{{{scraped}}}"
            known = self._known[series, scraped] = self.samples[labelled]
        return known


def happened() -> Samples:
    """Return everything that Prometheus scraped."""
    exporter, diary = Watched(FakeClock(START), story), Diary(empty())
    for at in scrapes():
        _stop_and_go(exporter, at)
        exporter.advance(at)
        diary.page(exporter.exposition(), at)
        diary.add(at, SCRAPED, _process(exporter.began, at, up=exporter.runs))
        began = START if at < RESTART else RESTART
        diary.add(at, APP, _process(began, at, up=True) | application(at, began))
    return diary.samples


def _stop_and_go(exporter: Exporter, at: float) -> None:
    if exporter.runs and within(at, GAP):
        exporter.advance(GAP[0])
        exporter.stop()
    if not exporter.runs and at >= GAP[1]:
        exporter.advance(GAP[1])
        exporter.start()


def _process(began: float, at: float, *, up: bool) -> dict[str, float]:
    """Return what Prometheus and the client library say of a process."""
    scrape = {"up": float(up), "scrape_duration_seconds": 0.003 * up, "scrape_samples_scraped": 228.0 * up}
    if not up:
        return scrape
    return scrape | {
        "process_start_time_seconds": began,
        "process_cpu_seconds_total": 0.02 * (at - began),
        "process_resident_memory_bytes": 5e7,
        "process_open_fds": 20.0,
        "process_max_fds": 1024.0,
    }


def application(at: float, began: float) -> dict[str, float]:
    """Return what an application with the toolkit publishes that serves evenly since it began."""
    app = 'app="main-backend"'
    said: dict[str, float] = {}
    for route, rate in ROUTES.items():
        count = rate * (at - began)
        failed = _failed(at, began) if route == "/v1/chat" else 0.0
        of = f'{app},method="GET",route="{route}"'
        said[f'uptime_requests_total{{{of},code="200"}}'] = count - failed
        said[f'uptime_requests_total{{{of},code="500"}}'] = failed
        for bound, part in zip(BOUNDS, WITHIN, strict=True):
            said[f'uptime_request_duration_seconds_bucket{{{app},route="{route}",le="{bound}"}}'] = (
                count * part
            )
    return (
        said
        | _circuit(app, at, began)
        | _pool(app, at, began)
        | {
            f"uptime_request_failures_total{{{app}}}": _failed(at, began),
            f"uptime_requests_in_flight{{{app}}}": 2.0,
            f'uptime_check_up{{{app},check="database"}}': float(not within(at, OUTAGE)),
            f"uptime_shutdown_in_progress{{{app}}}": 0.0,
            f'uptime_shutdowns_total{{{app},result="clean"}}': 3.0,
            f'uptime_shutdowns_total{{{app},result="timeout"}}': float(at >= RESTART),
            f"uptime_shutdown_seconds{{{app}}}": 30.0 if at >= RESTART else 4.2,
            f'uptime_retries_total{{{app},policy="model_server",outcome="success"}}': 0.01 * (at - began),
        }
    )


def _failed(at: float, began: float) -> float:
    """Return how many requests have failed since it began."""
    spells = ((max(begin, began), min(end, at), part) for (begin, end), part in FAILED_PART.items())
    return sum(part * ROUTES["/v1/chat"] * max(0.0, end - begin) for begin, end, part in spells)


def _circuit(app: str, at: float, began: float) -> dict[str, float]:
    opened = within(at, OPENING)
    of = f'{app},circuit="model_server"'
    times = float(OPENING[0] <= at < RESTART)
    closed = {"closed": float(not opened), "open": float(opened), "half_open": 0.0}
    said = {f'uptime_circuit_state{{{of},state="{state}"}}': value for state, value in closed.items()}
    said |= {f'uptime_circuit_transitions_total{{{of},to="{to}"}}': times for to in ("open", "closed")}
    calls = {"success": 3.0 * (at - began), "failure": 5.0 * times, "rejected": 40.0 * times}
    said |= {f'uptime_circuit_calls_total{{{of},outcome="{what}"}}': value for what, value in calls.items()}
    return said | {f"uptime_circuit_state_since_timestamp_seconds{{{of}}}": OPENING[1] if times else began}


def _pool(app: str, at: float, began: float) -> dict[str, float]:
    of = f'{app},pool="mysql"'
    count = 4.0 * (at - began)
    said = {
        f'uptime_pool_checkout_seconds_bucket{{{of},le="{le}"}}': count * part
        for le, part in zip(BOUNDS, WITHIN, strict=True)
    }
    return said | {
        f'uptime_pool_connections{{{of},state="in_use"}}': 6.0,
        f'uptime_pool_connections{{{of},state="idle"}}': 9.0,
        f"uptime_pool_limit{{{of}}}": 15.0,
        f"uptime_pool_checkout_timeouts_total{{{of}}}": 0.0,
    }
