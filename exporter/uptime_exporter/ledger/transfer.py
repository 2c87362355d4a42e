"""A way out of a ledger's file and into a new one, as lines of JSON, and a check whether all in it agrees."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from tempfile import mkstemp
from typing import Any, TextIO

from uptime_exporter.errors import LedgerError
from uptime_exporter.ledger.account import Terms
from uptime_exporter.ledger.span import Millis, Span, State
from uptime_exporter.ledger.store import NOT_KEPT, Batch, Kept, Standing, Store, load, reading, spans
from uptime_exporter.ledger.timeline import Adjustment, Timeline
from uptime_exporter.ledger.trouble import CorruptError

FORMAT = 1
"""Version of the lines."""

MOST_MISTAKES = 20
"""Mistakes that are told one by one."""

Fields = Mapping[str, Any]


def check(path: Path) -> list[str]:
    """Return what does not agree in the ledger *path*, in words; nothing if all is well.

    Raises:
        LedgerError: There is no ledger that could be looked at.

    """
    try:
        with reading(path) as connection:
            kept = load(connection)
            return [] if kept is None else list(_disagreements(kept, spans(connection)))
    except CorruptError as error:
        return [str(error)]


def export(path: Path, stream: TextIO) -> None:
    """Write all that the ledger *path* holds to *stream*: a header, then a line per adjustment, account and span.

    Moments are milliseconds of ledger time; the dates beside them are for people.

    Raises:
        LedgerError: There is no such file, or it cannot be read.

    """
    with reading(path) as connection:
        kept = load(connection)
        if kept is None:
            raise LedgerError(f"{path} is empty: nothing was ever written to it")
        timeline = Timeline(list(kept.adjustments))
        _put(stream, _header(kept))
        for adjustment in kept.adjustments:
            _put(stream, {"adjustment": {"at": adjustment.at, "offset": adjustment.offset}})
        for standing in kept.standings:
            _put(stream, {"account": _account(standing, timeline)})
        for name, span in spans(connection):
            _put(stream, {"span": {"account": name, **_span(span, timeline)}})


def import_(stream: Iterable[str], path: Path) -> None:
    """Make a new ledger *path* of what `export` has written; all of it or, if anything is wrong, nothing.

    Raises:
        LedgerError: Every mistake with its line, or *path* holds something already.

    """
    for part in (path, path.with_name(f"{path.name}-wal")):  # an old log would be played into the new file
        if part.exists() and part.stat().st_size:
            raise LedgerError(f"{part} exists; move it away, or name another file")
    content = _Content()
    for number, line in enumerate(stream, 1):
        content.take(number, line)
    batch = content.batch()
    with _beside(path) as draft:
        store = Store(draft)
        store.write(batch)
        store.close()
        problems = check(draft)
        if problems:
            raise LedgerError("\n".join(problem.replace(str(draft), "the export") for problem in problems))
        draft.replace(path)


def _disagreements(kept: Kept, closed: Iterable[tuple[str, Span]]) -> Iterator[str]:
    yield from _order(kept)
    by_name: dict[str, list[Span]] = {standing.name: [] for standing in kept.standings}
    for name, span in closed:
        by_name[name].append(span)
    for standing in kept.standings:
        last = [] if standing.open is None else [standing.open]
        for problem in _of_one(standing, [*by_name[standing.name], *last]):
            yield f"{standing.name}: {problem}"


def _order(kept: Kept) -> Iterator[str]:
    for before, after in pairwise(kept.adjustments):
        if after.at < before.at:
            yield f"the adjustment at {after.at} follows the one at {before.at}"
    for standing in kept.standings:
        if standing.settled > kept.moment:
            yield f"{standing.name}: settled up to {standing.settled}, later than the last commit at {kept.moment}"


def _of_one(standing: Standing, spans: Sequence[Span]) -> Iterator[str]:
    """Say what is wrong with an account and its spans, the one under way last."""
    if not spans:
        if standing.settled > standing.born:
            yield "there is time but no span"
        return
    for before, after in pairwise(spans):
        if before.end != after.start:
            yield f"a span ends at {before.end} and the next begins at {after.start}"
        elif (before.state, before.reason) == (after.state, after.reason) != (State.UNKNOWN, NOT_KEPT):
            yield f"two spans of the same state and reason meet at {after.start}"
    if spans[0].start < standing.born:
        yield f"the first span begins at {spans[0].start}, before the account at {standing.born}"
    if spans[-1].end != standing.settled:
        yield f"the last span ends at {spans[-1].end}, but the account is settled up to {standing.settled}"
    if all(span.reason != NOT_KEPT for span in spans):
        yield from _sums(standing, spans)


def _sums(standing: Standing, spans: Sequence[Span]) -> Iterator[str]:
    sums = dict.fromkeys(State, 0)
    for span in spans:
        sums[span.state] += span.length
    complete = spans[0].start == standing.born
    for state, total in standing.totals.items():
        if total < sums[state] or (complete and total != sums[state]):
            yield f"{total} ms {state} in all, but {sums[state]} ms in its spans"


def _put(stream: TextIO, fields: Fields) -> None:
    stream.write(json.dumps(fields, ensure_ascii=False) + "\n")


def _header(kept: Kept) -> Fields:
    return {
        "uptime_ledger": FORMAT,
        "id": kept.id,
        "moment": kept.moment,
        "wall": kept.wall,
        "date": _date(kept.wall / 1000),
    }


def _account(standing: Standing, timeline: Timeline) -> Fields:
    return {
        "name": standing.name,
        "targets": standing.terms.targets,
        "objective": standing.terms.objective,
        "window": standing.terms.window,
        "watched": standing.watched,
        "born": standing.born,
        "born_date": _date(timeline.unix(standing.born)),
        "settled": standing.settled,
        "settled_date": _date(timeline.unix(standing.settled)),
        **{str(state): total for state, total in standing.totals.items()},
        "open": None if standing.open is None else _span(standing.open, timeline),
    }


def _span(span: Span, timeline: Timeline) -> Fields:
    return {
        "start": span.start,
        "start_date": _date(timeline.unix(span.start)),
        "end": span.end,
        "end_date": _date(timeline.unix(span.end)),
        "state": str(span.state),
        "reason": span.reason,
    }


def _date(unix: float) -> str | None:
    """Return a date for people; None where the clock showed none that a calendar has."""
    try:
        return datetime.fromtimestamp(unix, UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError, OSError):
        return None


@dataclass
class _Content:
    """What the lines of an export add up to, and what is wrong with them."""

    header: Fields | None = None
    adjustments: list[Adjustment] = field(default_factory=list)
    standings: dict[str, Standing] = field(default_factory=dict)
    spans: list[tuple[str, Span]] = field(default_factory=list)
    ends: dict[str, tuple[int, Millis]] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)

    def take(self, number: int, line: str) -> None:
        """Take in a line, or note what is wrong with it."""
        try:
            fields = _object(json.loads(line))
            if number == 1:
                self._take_header(fields)
                return
            self._take_content(number, fields)
        except KeyError as error:
            self.mistakes.append(f"line {number}: {error.args[0]} is missing")
        except (ValueError, RecursionError) as error:
            self.mistakes.append(f"line {number}: {error}")

    def batch(self) -> Batch:
        """Return all of it.

        Raises:
            LedgerError: Every mistake with its line.

        """
        if self.header is None and not self.mistakes:
            self.mistakes.append("line 1: there is none; an export begins with a header")
        self.mistakes += self._breaks()
        if self.mistakes or self.header is None:
            more = len(self.mistakes) - MOST_MISTAKES
            told = self.mistakes[:MOST_MISTAKES] + ([f"and {more} more"] if more > 0 else [])
            raise LedgerError("\n".join(told))
        header, standings = self.header, list(self.standings.values())
        kept = Kept(header["id"], header["moment"], header["wall"], self.adjustments, standings)
        return Batch(kept, self.spans)

    def _breaks(self) -> Iterator[str]:
        for name, (line, end) in self.ends.items():
            last = self.standings[name].open
            if last is not None and last.start != end:
                yield f"line {line}: it ends at {end}, but the open span of {name} starts at {last.start}"

    def _take_content(self, number: int, fields: Fields) -> None:
        kind, content = next(iter(fields.items()), ("", None))
        kinds: Mapping[str, Callable[[int, Fields], None]] = {
            "adjustment": self._take_adjustment,
            "account": self._take_account,
            "span": self._take_span,
        }
        if kind not in kinds or len(fields) != 1:
            raise ValueError(f"it holds no {', '.join(kinds)}")
        kinds[kind](number, _object(content))

    def _take_header(self, fields: Fields) -> None:
        version = fields.get("uptime_ledger")
        if version != FORMAT:
            raise ValueError(f"no header of an export, or of another version than {FORMAT}")
        self.header = {
            "id": _text(fields, "id"),
            "moment": _whole(fields, "moment"),
            "wall": _whole(fields, "wall"),
        }

    def _take_adjustment(self, _number: int, fields: Fields) -> None:
        self.adjustments.append(Adjustment(_whole(fields, "at"), _whole(fields, "offset")))

    def _take_account(self, _number: int, fields: Fields) -> None:
        name = _text(fields, "name")
        if name in self.standings:
            raise ValueError(f"a second account {name!r}")
        settled = _whole(fields, "settled")
        last = fields["open"] if fields["open"] is None else _a_span(_object(fields["open"]))
        if last is not None and last.end != settled:
            raise ValueError(f"the open span ends at {last.end}, but the account is settled up to {settled}")
        totals = [_whole(fields, state) for state in State]
        born = _whole(fields, "born")
        if min(totals) < 0 or sum(totals) != settled - born:
            raise ValueError(f"the totals of {name!r} do not add up to settled - born")
        self.standings[name] = Standing(
            name,
            _terms(fields),
            born,
            _flag(fields, "watched"),
            settled,
            totals[0],
            totals[1],
            totals[2],
            last,
        )

    def _take_span(self, number: int, fields: Fields) -> None:
        name, span = _text(fields, "account"), _a_span(fields)
        if name not in self.standings:
            raise ValueError(f"no line before it has an account {name!r}")
        line, end = self.ends.get(name, (number, span.start))
        self.ends[name] = (number, span.end)
        if span.start != end:
            raise ValueError(f"it starts at {span.start}, but the one before it (line {line}) ends at {end}")
        self.spans.append((name, span))


def _terms(fields: Fields) -> Terms:
    targets = fields["targets"]
    if not isinstance(targets, list) or not targets or not all(isinstance(t, str) for t in targets):
        raise ValueError("targets must be names, at least one")
    objective = fields["objective"]
    if not isinstance(objective, float) or not 0 < objective <= 1:
        raise ValueError("objective must be more than 0 and at most 1")
    window = _whole(fields, "window")
    if window <= 0:
        raise ValueError("window must be more than 0 ms")
    return Terms(tuple(targets), objective, window)


def _a_span(fields: Fields) -> Span:
    state = _text(fields, "state")
    if state not in list(State):
        raise ValueError(f"state must be one of {', '.join(State)}")
    span = Span(_whole(fields, "start"), _whole(fields, "end"), State(state), _text(fields, "reason"))
    if span.length <= 0:
        raise ValueError(f"it ends at {span.end}, not after its start at {span.start}")
    return span


def _object(value: object) -> Fields:
    if not isinstance(value, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - a mistake of the file, like all the others
    return value


def _whole(fields: Fields, key: str) -> int:
    value = fields[key]
    if type(value) is not int or abs(value) >= 1 << 62:
        raise ValueError(f"{key} must be a whole number")
    return value


def _text(fields: Fields, key: str) -> str:
    value = fields[key]
    if not isinstance(value, str) or "\0" in value or not _encodable(value):
        raise ValueError(f"{key} must be text")
    return value


def _encodable(text: str) -> bool:
    return text == text.encode(errors="replace").decode()


def _flag(fields: Fields, key: str) -> bool:
    if not isinstance(fields[key], bool):
        raise ValueError(f"{key} must be true or false")  # noqa: TRY004 - as above
    return bool(fields[key])


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Name a new file in the same directory; remove it and what SQLite puts beside it unless it was moved."""
    try:
        file, name = mkstemp(prefix=f"{path.name}.import-", dir=path.parent)
    except OSError as error:
        raise LedgerError(
            f"{path.parent} must be a directory that can be written to ({error.strerror})"
        ) from error
    os.close(file)
    draft = Path(name)
    try:
        draft.chmod(0o644)
        yield draft
    finally:
        for end in ("", "-wal", "-shm"):
            draft.with_name(draft.name + end).unlink(missing_ok=True)
