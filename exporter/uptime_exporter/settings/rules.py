"""What settings that are fine by themselves get wrong together."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from uptime_exporter.settings.model import HttpTarget, ReliabilityTarget, Target, Tls


class Broken(NamedTuple):
    """A rule that is not kept."""

    text: str
    fields: tuple[str, ...]
    """That it is about; one of them is blamed."""


def broken_rules(value: object) -> Iterator[Broken]:
    """Yield every rule that *value* breaks: a reader of `check` wants all of them."""
    if isinstance(value, Tls):
        yield from _certificate_and_key_go_together(value)
    if isinstance(value, Target):
        yield from _answer_before_the_next_question(value)
    if isinstance(value, HttpTarget | ReliabilityTarget):
        yield from _name_and_password_go_together(value)
        yield from _authorize_one_way(value)
        yield from _send_each_header_once(value)


def _certificate_and_key_go_together(tls: Tls) -> Iterator[Broken]:
    if (tls.cert_file is None) != (tls.key_file is None):
        yield Broken("cert_file and key_file go together: give both, or neither", ("cert_file", "key_file"))


def _answer_before_the_next_question(target: Target) -> Iterator[Broken]:
    timeout, interval = target.timeout, target.interval
    longest = target.retry_policy.longest(timeout)
    if timeout >= interval:
        yield Broken(
            f"timeout ({timeout:g}s) must be shorter than interval ({interval:g}s)", ("timeout", "interval")
        )
    elif longest >= interval:
        yield Broken(
            f"{target.retries + 1} attempts of {timeout:g}s and the pauses between them can take "
            f"{longest:g}s, which must be shorter than interval ({interval:g}s); "
            "lower timeout, retries or retry_backoff, or raise interval",
            ("timeout", "retries", "retry_backoff", "interval"),
        )


def _name_and_password_go_together(target: HttpTarget | ReliabilityTarget) -> Iterator[Broken]:
    if target.password is None and target.username is not None:
        yield Broken("username needs a password; add password_file, or password", ("username",))
    if target.password is not None and target.username is None:
        yield Broken("a password needs a username; add it", ("password_file", "password"))


def _authorize_one_way(target: HttpTarget | ReliabilityTarget) -> Iterator[Broken]:
    by_hand = [f"headers.{name}" for name in target.headers if name.lower() == "authorization"]
    ways = [
        *(["username"] if target.username is not None or target.password is not None else []),
        *(["bearer_token"] if target.bearer_token is not None else []),
        *by_hand,
    ]
    if len(ways) > 1:
        yield Broken(
            f"{' and '.join(ways)} would each set the Authorization header; keep one",
            ("bearer_token", "bearer_token_file", "username"),
        )


def _send_each_header_once(target: HttpTarget | ReliabilityTarget) -> Iterator[Broken]:
    seen = Counter(name.lower() for name in target.headers)
    for name, times in seen.items():
        if times > 1:
            yield Broken(f"the header {name} is given {times} times; keep one", ("headers",))
