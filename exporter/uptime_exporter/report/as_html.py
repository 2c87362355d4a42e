"""A report as one file that can be mailed and printed: no script, and nothing to load."""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from importlib.resources import files

from uptime_exporter import __version__
from uptime_exporter.html import Html, element
from uptime_exporter.report.findings import Findings
from uptime_exporter.report.picture import picture, unit
from uptime_exporter.report.sentences import allowance, allowed, borders, made, notes, short_gaps, used
from uptime_exporter.report.statement import Judgement, Statement, Stretch
from uptime_exporter.report.wording import (
    Dates,
    coverage,
    kept,
    lasting,
    left,
    marks,
    objective,
    reasons,
    title,
    verdict,
)
from uptime_exporter.words import count

STYLE = Html(files(__package__).joinpath("report.css").read_text(encoding="utf-8"))

POLICY = (
    "default-src 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
)
"""What a browser may do with the file: show it."""

SHAPES = {
    Judgement.KEPT: ("M12 1a11 11 0 1 0 0 22 11 11 0 0 0 0-22z", "M7 12.5l3.5 3.5 6.5-7.5"),
    Judgement.KEPT_IF: ("M12 1.5 23.5 22H.5z", "M12 8.5v6M12 18v.5"),
    Judgement.BROKEN: ("M7.5 1h9L23 7.5v9L16.5 23h-9L1 16.5v-9z", "M8 8l8 8M16 8l-8 8"),
    Judgement.UNKNOWN: (
        "M12 .5 23.5 12 12 23.5.5 12z",
        "M9.5 9.8a2.6 2.6 0 1 1 3.7 2.4q-1.2.6-1.2 2M12 17v.5",
    ),
}
"""Outline and mark on a square of 24: those of the exporter's own page."""

KINDS = {
    Judgement.KEPT: "up",
    Judgement.KEPT_IF: "doubt",
    Judgement.BROKEN: "down",
    Judgement.UNKNOWN: "unknown",
}

BAR, BAR_HEIGHT = 1000, 22


def as_html(findings: Findings) -> str:
    """Return the report as a document."""
    main = element("main", *_overview(findings), *(_promise(findings, each) for each in findings.statements))
    body = element("body", _patterns(), _header(findings), main, _footer(findings))
    return "<!doctype html>\n" + element("html", _head(findings), body, lang="en") + "\n"


def _head(findings: Findings) -> Html:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"Uptime in {title(findings.period)}"),
        element("style", STYLE),
    )


def _patterns() -> Html:
    """Return the hatching of what nobody knows, once for the document."""
    line = element("path", d="M-1 1L1-1M0 6L6 0M5 7L7 5", class_="line")
    hatch = element("pattern", line, id="hatch", width="6", height="6", patternUnits="userSpaceOnUse")
    return element("svg", element("defs", hatch), class_="away", aria_hidden="true")


def _header(findings: Findings) -> Html:
    return element(
        "header",
        element("p", "Uptime report", class_="kicker"),
        element("h1", title(findings.period)),
        element("p", borders(findings)),
        element("p", made(findings)),
        *(element("p", note, class_="note") for note in notes(findings)),
    )


def _overview(findings: Findings) -> Iterator[Html]:
    if len(findings.statements) == 1:
        return
    heads = ["Promise", "Promised", "Kept", "Downtime", "Seen", "Verdict"]
    rows = [
        [each.name, objective(each), kept(each), used(each), coverage(each), verdict(each)]
        for each in findings.statements
    ]
    yield element("section", element("h2", "All promises"), _table(heads, rows, "summary"), class_="overview")


def _promise(findings: Findings, statement: Statement) -> Html:
    kind = KINDS[statement.judgement]
    return element(
        "section",
        element("h2", statement.name),
        element(
            "p",
            "All of these up together: " if len(statement.targets) > 1 else "About ",
            ", ".join(statement.targets),
            class_="about",
        ),
        element(
            "p", _mark(statement.judgement), element("span", _capital(verdict(statement))), class_="verdict"
        ),
        _facts(statement),
        _budget(findings, statement),
        _figure(findings, statement),
        *_outages(findings, statement),
        *_gaps(findings, statement),
        class_=f"promise {kind}",
    )


def _mark(judgement: Judgement) -> Html:
    outline, mark = SHAPES[judgement]
    paths = element("path", class_="shape", d=outline), element("path", class_="stroke", d=mark)
    return element("svg", *paths, class_="mark", viewBox="0 0 24 24", aria_hidden="true")


def _facts(statement: Statement) -> Html:
    unknown = f"{lasting(statement.unknown)} unseen" if statement.unknown else "nothing unseen"
    facts = [
        ("Promised", objective(statement), allowed(statement)),
        ("Kept", kept(statement), "of the time that was seen"),
        ("Downtime", used(statement).partition(" (")[0], left(statement)),
        ("Seen", coverage(statement), unknown),
    ]
    return element("dl", *(_fact(*fact) for fact in facts))


def _fact(label: str, figure: str, rest: str) -> Html:
    return element(
        "div", element("dt", label), element("dd", element("b", figure), " ", element("small", rest))
    )


def _budget(findings: Findings, statement: Statement) -> Html:
    unseen = "; hatched: what nobody saw" if statement.unknown else ""
    over = "; the line is its end" if statement.remaining < 0 else ""
    caption = f"The allowance: {allowance(findings, statement)}{over}{unseen}."
    return element("figure", _allowance_bar(statement), element("figcaption", caption))


def _allowance_bar(statement: Statement) -> Html:
    """Return downtime as part of the allowance, and beyond it what nobody saw, to scale."""
    scale = max(statement.allowance, statement.down, 1)
    down, unknown, allowed = (
        BAR * part // scale for part in (statement.down, statement.unknown, statement.allowance)
    )
    unknown = min(unknown, BAR - down)
    parts = [
        _bar("ground", 0, BAR),
        _bar("unknown", down, unknown),
        _bar("down", 0, max(down, 4) if statement.down else 0),
    ]
    if statement.remaining < 0:
        end = f"M{allowed} -5V{BAR_HEIGHT + 5}"
        parts += [element("path", class_=kind, d=end) for kind in ("limit edge", "limit")]
    return element(
        "svg",
        *parts,
        class_="budget",
        role="img",
        aria_label=f"Downtime: {used(statement)}",
        viewBox=f"-1 -6 {BAR + 2} {BAR_HEIGHT + 12}",
        preserveAspectRatio="none",
    )


def _bar(kind: str, x: int, width: int) -> Html:
    return element("rect", class_=f"bar {kind}", x=str(x), y="0", width=str(width), height=str(BAR_HEIGHT))


def _figure(findings: Findings, statement: Statement) -> Html:
    a_cell = f"A cell is one {unit(findings)}; numbers are minutes of downtime."
    legend = [
        element("span", _swatch(kind), said)
        for kind, said in (
            ("up", "up"),
            ("down", "down"),
            ("unknown", "nobody saw"),
            ("none", "outside the account"),
        )
    ]
    caption = element("figcaption", element("span", a_cell), *legend)
    return element("figure", caption, element("div", picture(findings, statement), class_="month"))


def _swatch(kind: str) -> Html:
    box = element("rect", class_=f"cell {kind}", x="1", y="1", width="18", height="10")
    return element("svg", box, class_="swatch", viewBox="0 0 20 12", aria_hidden="true")


def _outages(findings: Findings, statement: Statement) -> Iterator[Html]:
    number = len(statement.outages)
    yield element("h3", count(number, "outage") if number else "No outage was seen")
    if number:
        yield _stretches(findings, statement, statement.outages)


def _gaps(findings: Findings, statement: Statement) -> Iterator[Html]:
    listed, rest = findings.long_gaps(statement), short_gaps(findings, statement)
    if listed:
        yield element("h3", f"{count(len(listed), 'gap')} in which nobody saw anything")
        yield _stretches(findings, statement, listed)
    if rest:
        yield element("p", f"{rest}.", class_="rest")


def _stretches(findings: Findings, statement: Statement, stretches: Sequence[Stretch]) -> Html:
    period = findings.period
    dates = Dates(findings.timeline, period.zone, period.spans_years)
    rows = [
        [
            dates.say(each.begin),
            dates.until(each.begin, each.end),
            lasting(each.length),
            "; ".join([reasons(each), *marks(each, statement)]),
        ]
        for each in stretches
    ]
    return _table(["Begin", "End", "Length", "Reason"], rows, "stretches")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], kind: str) -> Html:
    head = element("tr", *(element("th", each, scope="col") for each in heads))
    body = [element("tr", *(element("td", cell) for cell in row)) for row in rows]
    return element("table", element("thead", head), element("tbody", *body), class_=kind)


def _footer(findings: Findings) -> Html:
    zone = findings.period.zone.key
    return element(
        "footer",
        element(
            "p",
            "Kept is uptime / (uptime + downtime). Time of which nobody knows counts as neither; where it could "
            "decide whether the promise was kept, the verdict says so. Outages that touch are one, with their "
            f"reasons in order. Dates are of the time zone {zone}, with their offset from UTC.",
        ),
        element("p", f"uptime-exporter {__version__}"),
    )


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]
