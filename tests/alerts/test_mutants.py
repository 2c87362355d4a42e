"""The rules' tests are worth something: what weakens a rule, a test notices."""

import os
from typing import Any

import pytest

from alerts import mutate, pack
from support.servers import need

ONE_IN = int(os.environ.get("ONE_MUTANT_IN", "8"))
"""All of them take minutes, so the same sample is tried each time; 1 tries all."""


@pytest.mark.timeout(1200 if ONE_IN < 8 else 300)
def test_no_weakness_goes_unnoticed() -> None:
    """Who survives is known, and why; who is known survives."""
    alive, tried = mutate.survivors(need("promtool"), one_in=ONE_IN)
    assert alive == sorted(mutate.accepted().keys() & set(tried))


def test_every_survivor_is_a_mutant_and_has_a_reason() -> None:
    """The list names nothing that is gone."""
    known = mutate.accepted()
    assert known.keys() <= {mutant.name for mutant in mutate.mutants()}
    assert all(known.values())


@pytest.mark.parametrize("rule", pack.alerts(), ids=mutate.title)
def test_a_rule_that_is_not_weakened_survives(rule: dict[str, Any]) -> None:
    """So that a test that fails, fails because of the weakness."""
    assert mutate.unchanged(rule).survives(need("promtool"))
