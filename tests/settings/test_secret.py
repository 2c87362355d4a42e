"""A text that nobody reads by accident."""

import copy
import pickle

from uptime_exporter.settings import Secret


def test_it_shows_stars_wherever_it_is_printed() -> None:
    """In a text, in a list, in a trace; none of its signs, and not how many."""
    secret = Secret("hunter2")
    assert f"{secret} {secret!s} {[secret]}" == "********** ********** [Secret('**********')]"
    assert str(Secret("")) == str(secret)


def test_it_says_itself_to_who_asks() -> None:
    assert Secret("hunter2").get_secret_value() == "hunter2"


def test_two_of_the_same_text_are_equal() -> None:
    """So that a reload sees which one was changed; and to its text it is not."""
    assert Secret("a") == Secret("a")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"


def test_it_comes_through_whole() -> None:
    """From one process to another."""
    secret = Secret("ü\n")
    assert pickle.loads(pickle.dumps(secret)) == copy.deepcopy(secret) == secret
