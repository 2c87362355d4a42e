"""How the measured table reads, and where it goes."""

from alerts.replay import table
from alerts.replay.months import Rate
from alerts.replay.replay import Measured

NOTHING = Measured(
    pages=0,
    firing=0,
    page_after=None,
    resolved_after=None,
    midway=False,
    false=0,
    others=frozenset({"UptimeIt"}),
)
BAD = Measured(
    pages=3, firing=9, page_after=86.7, resolved_after=3725.0, midway=True, false=2, others=frozenset()
)


def test_a_cell_says_what_was_seen_and_marks_what_is_wrong() -> None:
    """Who was not woken may have been told otherwise."""
    assert table.cell(NOTHING, told=True) == "no page; `UptimeIt`"
    assert table.cell(NOTHING, told=False) == "no page; a ticket"
    assert table.cell(BAD, told=True) == (
        "paged after 1:27, resolved 1:02:05 after the end, **3 pages**, **resolved in between**, **2 false**"
    )


def test_only_the_measured_part_is_written_anew() -> None:
    """What others wrote above and below it stays."""
    first = table.put("# Alerts\n", "one", "abc")
    assert first == "# Alerts\n\n<!-- measured with abc -->\none\n<!-- end of measured -->\n"
    again = table.put(first + "\nbelow\n", "two", "def")
    assert again == "# Alerts\n\n<!-- measured with def -->\ntwo\n<!-- end of measured -->\n\nbelow\n"
    assert table.told(again) == "def"
    assert table.told("# Alerts\n") is None


def test_a_rate_has_an_interval_that_holds_it() -> None:
    """By Byar's approximation; Breslow and Day's example: 95 % of 7 is 2.8 to 14.4."""
    low, high = Rate(7, 1).interval
    assert (round(low, 1), round(high, 1)) == (2.8, 14.4)
    assert Rate(0, 10).interval[0] == 0
