"""The four formats: every byte of one eventful month, and what must hold for any."""

import csv
import io
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.golden import agrees
from support.histories import BERLIN, UTC, at, eventful, history, of_spans, record
from uptime_exporter import __version__
from uptime_exporter.errors import ReportError
from uptime_exporter.ledger.history import History
from uptime_exporter.ledger.span import Span, State
from uptime_exporter.ledger.timeline import Timeline
from uptime_exporter.report import Request, report, write
from uptime_exporter.report.calendar import Period, month
from uptime_exporter.report.findings import find
from uptime_exporter.report.picture import cells
from uptime_exporter.report.render import FORMATS
from uptime_exporter.report.request import Format

GOLDEN = Path(__file__).parent / "golden"
NOVEMBER = month(2026, 11, BERLIN)
LATER = at("2026-12-02T08:00:17", BERLIN)
SUFFIXES: dict[Format, str] = {"text": "txt", "json": "json", "csv": "csv", "html": "html"}


def said(
    ledger: History, form: Format = "text", *, period: Period = NOVEMBER, now: float = LATER, sla: str = ""
) -> str:
    return report(ledger, Request(period, now, (sla,) if sla else (), form))


def facts(text: str) -> dict[str, str]:
    """Return label → what is said, of a report's only promise."""
    return dict(re.findall(r"^  (\w+) +(\S.*)$", text, flags=re.MULTILINE))


class Page(HTMLParser):
    """What a browser would do with the file."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.titles: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["title"]:
            self.titles.append(data)


@pytest.mark.parametrize("form", SUFFIXES)
def test_an_eventful_month(form: Format) -> None:
    """A ledger that begins on the third, two promises, outages over midnight and over the border, gaps."""
    assert set(FORMATS) == set(SUFFIXES)
    document = said(eventful(), form).replace(f"uptime-exporter {__version__}", "uptime-exporter")
    assert ("\r\n" in document) == (form == "csv")
    assert agrees(GOLDEN / f"november.{SUFFIXES[form]}", document.replace("\r\n", "\n"))


def test_the_same_figures_in_every_format() -> None:
    """Who reads one of them knows what the others say."""
    (sla,) = json.loads(said(eventful(), "json", sla="system"))["slas"]
    row, *others = csv.DictReader(io.StringIO(said(eventful(), "csv", sla="system"), newline=""))
    told = facts(said(eventful(), sla="system"))

    for figure in ("downtime_seconds", "unknown_seconds", "uptime_seconds", "availability_ratio"):
        assert float(row[figure]) == sla[figure]
    assert (
        sum(float(each["seconds"]) for each in others if each["kind"] == "outage") == sla["downtime_seconds"]
    )
    assert sum(float(each["seconds"]) for each in others if each["kind"] == "gap") == sla["unknown_seconds"]
    assert sla["uptime_seconds"] + sla["downtime_seconds"] + sla["unknown_seconds"] == sla["elapsed_seconds"]
    assert sla["downtime_seconds"] == 24 * 60 + 18
    assert told["downtime"].startswith("24.3 of 39.7 min")
    assert "24.3 of 39.7 min" in said(eventful(), "html", sla="system")


def test_a_month_under_way_says_so() -> None:
    """And an outage that has not ended."""
    until = "2026-11-21T17:40:20"
    down = record(
        "system",
        ("2026-11-01", State.UP, ""),
        ("2026-11-21T17:30", State.DOWN, "mysql: auth"),
        until=until,
        zone=BERLIN,
    )

    text = said(history(down), now=at("2026-11-21T17:40:50", BERLIN))

    assert "Made 21 Nov 2026 17:40 +01:00: the period is under way, and this is so far." in text
    assert "system: KEPT SO FAR\n" in text
    assert "mysql: auth; still under way" in text
    assert facts(text)["promised"].startswith("99.9 % of 30 d: at most 43.2 min of downtime")


@pytest.mark.parametrize(
    ("lost", "kept", "verdict"),
    [
        (0, "100 %", "KEPT"),
        (1, "99.999 %", "KEPT"),
        (2_592_000, "99.900 %", "KEPT"),
        (2_592_001, "99.899 %", "BROKEN"),
        (30 * 86_400_000, "0.000 %", "BROKEN"),
    ],
)
def test_nothing_is_rounded_in_favour_of_the_promise(lost: int, kept: str, verdict: str) -> None:
    """A millisecond of downtime is no 100 %, and a millisecond too much is no 99.9 %."""
    begin, end = NOVEMBER.begin * 1000, NOVEMBER.end * 1000
    spans = [Span(begin, begin + lost, State.DOWN, "dns"), Span(begin + lost, end, State.UP)]

    text = said(history(of_spans("system", [span for span in spans if span.length])))

    assert facts(text)["kept"] == f"{kept} of the time that was seen"
    assert f"system: {verdict}\n" in text


def test_a_finer_promise_has_more_digits() -> None:
    """Otherwise 99.9995 % and a little less would look the same."""
    begin, end = NOVEMBER.begin * 1000, NOVEMBER.end * 1000
    spans = [Span(begin, begin + 13_000, State.DOWN, "dns"), Span(begin + 13_000, end, State.UP)]

    text = said(history(of_spans("system", spans, objective=0.999995)))

    assert facts(text)["kept"].startswith("99.9994 %")
    assert facts(text)["downtime"].startswith("13.0 of 12.9 s (101 %); over by 0.04 s")


@pytest.mark.parametrize("hours", [1, -1])
def test_a_step_of_the_clock_is_told(hours: int) -> None:
    """Somebody who compares dates and lengths would wonder."""
    timeline = Timeline()
    timeline.adjust(round(at("2026-11-15T12:00", BERLIN) * 1000), hours * 3_600_000)
    timeline.adjust(round(at("2026-11-16T12:00", BERLIN) * 1000), hours * 3_600_000 + 800)
    steady = record("system", ("2026-10-01", State.UP, ""), until="2026-12-02")

    text = " ".join(said(history(steady, timeline=timeline)).split())

    way = "forward" if hours > 0 else "back"
    assert f"clock was set {way} by 1 h at 15 Nov 2026 {12 + hours}:00:00 +01:00; lengths are not" in text
    assert text.count("clock was set") == 1


def test_a_promise_of_which_nothing_is_known() -> None:
    """No figure is made up."""
    october = record("system", ("2026-10-01", State.UP, ""), until="2026-10-02")
    september = month(2026, 9, BERLIN)

    text = said(history(october), period=september)

    assert "system: CANNOT BE KNOWN: nothing is recorded of this time" in text
    assert facts(text)["kept"].startswith("not known")
    assert facts(text)["promised"].startswith("99.9 % of time before the ledger's beginning")
    assert all(said(history(october), form, period=september) for form in SUFFIXES)


KNOWN = set(
    re.findall(
        r"\w+",
        "html head meta title style body header p h1 main section h2 h3 span dl div dt dd b small figure "
        "figcaption table thead tbody tr th td footer svg path rect text g defs pattern",
    )
)
"""Elements of the page."""

TEXT = st.text(st.sampled_from("<>&\"'=+-@\t\r\n,;/! ascript\u202e\x00é€"), max_size=40)
MOMENTS = st.integers(NOVEMBER.begin * 1000 - 10**8, NOVEMBER.end * 1000 + 10**8)


@st.composite
def ledgers(draw: st.DrawFn) -> History:
    """Draw a ledger in which names and reasons are anything."""
    borders = sorted(draw(st.sets(MOMENTS, min_size=2, max_size=12)))
    spans = [Span(begin, end, draw(st.sampled_from(State)), draw(TEXT)) for begin, end in pairwise(borders)]
    return history(of_spans(draw(TEXT), spans, targets=(draw(TEXT), draw(TEXT))))


@settings(max_examples=30)
@given(ledgers())
def test_the_cells_of_the_picture_add_up(ledger: History) -> None:
    """To the report's downtime and unknown time, by the hour and by the day."""
    for period in (NOVEMBER, Period(NOVEMBER.begin - 86_400, NOVEMBER.end + 10 * 86_400, BERLIN)):
        findings = find(ledger, Request(period, LATER))
        for statement in findings.statements:
            shown = cells(findings, statement)
            assert {s: sum(cell.sums[s] for cell in shown) for s in State} == statement.sums


@settings(max_examples=30)
@given(ledgers())
def test_a_page_that_can_do_nothing(ledger: History) -> None:
    """Whatever a ledger holds: no script, nothing to load, every element closed, every string escaped."""
    html = said(ledger, "html")
    page = Page(html)

    assert page.open == []
    assert {tag for tag, _ in page.tags} <= KNOWN
    assert not {name for _, attributes in page.tags for name in attributes} & {
        "src",
        "href",
        "style",
        "onerror",
    }
    assert re.findall(r"url\(([^)]*)\)|@import", html) == ["#hatch"] * html.count("url(#hatch)")


@settings(max_examples=30)
@given(ledgers())
def test_a_table_that_no_spreadsheet_computes(ledger: History) -> None:
    """Each row has every column, and no cell begins like a formula."""
    document = said(ledger, "csv")
    head, *rows = csv.reader(io.StringIO(document, newline=""))

    assert all(len(row) == len(head) for row in rows)
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert document.endswith("\r\n")


@settings(max_examples=30)
@given(ledgers())
def test_lines_that_fit_a_mail(ledger: History) -> None:
    """At most a hundred characters, no colour and no control character."""
    lines = said(ledger).split("\n")

    assert max(map(len, lines)) <= 100
    assert all(line.isprintable() for line in lines)


def test_a_night_with_two_hours_of_the_same_name() -> None:
    """Both cells are there, each with its own offset; in spring there is none."""
    system = record("system", ("2026-01-01", State.UP, ""), until="2026-12-01")
    autumn, spring = (
        [
            title
            for title in Page(said(history(system), "html", period=month(2026, number, BERLIN))).titles
            if day in title
        ]
        for number, day in ((10, "Sun 25 Oct"), (3, "Sun 29 Mar"))
    )

    assert (len(autumn), len(spring)) == (25, 23)
    assert autumn[2:4] == [
        "Sun 25 Oct 2026 02:00 +02:00 to 02:00 +01:00: 1 h up",
        "Sun 25 Oct 2026 02:00 to 03:00 +01:00: 1 h up",
    ]
    assert spring[1:3] == [
        "Sun 29 Mar 2026 01:00 +01:00 to 03:00 +02:00: 1 h up",
        "Sun 29 Mar 2026 03:00 to 04:00 +02:00: 1 h up",
    ]


def test_half_an_hour_of_daylight_saving() -> None:
    """Lord Howe Island has a day with an hour of ninety minutes: in two cells, that last as long as it."""
    zone = ZoneInfo("Australia/Lord_Howe")
    system = record("system", ("2026-01-01", State.UP, ""), until="2026-12-01")

    titles = Page(said(history(system), "html", period=month(2026, 4, zone))).titles

    assert [title for title in titles if "Sun 5 Apr 2026 01" in title] == [
        "Sun 5 Apr 2026 01:00 +11:00 to 01:30 +10:30: 1 h up",
        "Sun 5 Apr 2026 01:30 to 02:00 +10:30: 30 min up",
    ]


def test_a_cell_tells_its_minutes() -> None:
    """In its title and, for paper, in itself; a begun minute counts, so that no outage looks like none."""
    html = said(eventful(), "html", sla="system")

    assert "Thu 5 Nov 2026 14:00 to 15:00 +01:00: 47 min 42 s up, 12 min 18 s down" in Page(html).titles
    assert ">13</text>" in html


def test_a_year_is_shown_by_the_day() -> None:
    """A row for each month; 2028 has a 29 February."""
    leap = record("system", ("2028-01-01", State.UP, ""), until="2029-01-02")
    year = Period(int(at("2028-01-01")), int(at("2029-01-01")), UTC)

    titles = Page(said(history(leap), "html", period=year, now=at("2029-01-02"))).titles

    assert titles[0] == "Uptime in 2028"
    assert len(titles) == 1 + 366
    assert "Tue 29 Feb 2028: 1 d up" in titles


def test_periods_have_names() -> None:
    """As people say them."""
    system = eventful()
    day, days = (Period(NOVEMBER.begin, NOVEMBER.begin + n * 86_400, BERLIN) for n in (1, 9))

    assert said(system).startswith("UPTIME IN NOVEMBER 2026\n")
    assert said(system, period=day).startswith("UPTIME IN 1 NOV 2026\n")
    assert said(system, period=days).startswith("UPTIME IN 1 NOV 2026 TO 9 NOV 2026\n")


def test_dates_over_the_turn_of_the_year_have_their_year() -> None:
    """Elsewhere it goes without saying."""
    system = record(
        "system",
        ("2026-12-01", State.UP, ""),
        ("2026-12-31T23:50", State.DOWN, "dns"),
        ("2027-01-01T00:10", State.UP, ""),
        until="2027-02-01",
    )

    text = said(
        history(system),
        period=Period(int(at("2026-12-31")), int(at("2027-01-02")), UTC),
        now=at("2027-02-01"),
    )

    assert re.search(r"31 Dec 2026 23:50:00 \+00:00 +01 Jan 2027 00:10:00 \+00:00 +20 min", text)


def test_many_reasons_are_counted() -> None:
    """A line names three."""
    reasons = ["dns", "connect", "tls", "status", "body"]
    changes = [(f"2026-11-05T14:0{n}", State.DOWN, reason) for n, reason in enumerate(reasons)]
    system = record("system", *changes, ("2026-11-05T14:10", State.UP, ""), until="2026-12-02")

    assert "dns, then connect, then tls and 2 more" in " ".join(said(history(system)).split())


@pytest.mark.parametrize("form", SUFFIXES)
def test_a_report_is_written_as_it_is(form: Format, tmp_path: Path) -> None:
    """As UTF-8, and with the line breaks of its format."""
    document = said(eventful(), form)

    write(document, tmp_path / "report")

    assert (tmp_path / "report").read_bytes() == document.encode()


def test_a_place_where_nothing_can_be_written(tmp_path: Path) -> None:
    """The message names it and says what to do."""
    with pytest.raises(
        ReportError, match=r"cannot be written \(No such file or directory\); give --output a file"
    ):
        write("", tmp_path / "missing" / "report.html")
