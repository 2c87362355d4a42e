"""Which strings of the settings nobody may read."""

import base64
from collections.abc import Iterator
from urllib.parse import urlsplit

from uptime_exporter.settings.model import HttpTarget, MysqlTarget, ReliabilityTarget, Settings

SHORTEST = 4
"""Characters; blotting out anything shorter would blot out words."""

_HARMLESS = frozenset(
    {"accept", "accept-encoding", "accept-language", "cache-control", "content-type", "host", "user-agent"}
)


def secrets_of(settings: Settings) -> frozenset[str]:
    """Return every secret string that *settings* hold, in each form in which it is sent.

    Headers that are known to carry no secret (``Accept``, ``Host`` and the like) are left out, or the log
    could not name the host any more. A password of fewer than four characters is left out too.
    """
    found = {settings.admin_token.get_secret_value()} if settings.admin_token else set()
    for target in settings.targets.values():
        if isinstance(target, HttpTarget | ReliabilityTarget):
            found.update(_sent_over_http(target))
        if isinstance(target, HttpTarget | MysqlTarget | ReliabilityTarget) and target.password is not None:
            found.add(target.password.get_secret_value())
    return frozenset(secret for secret in found if len(secret) >= SHORTEST)


def _sent_over_http(target: HttpTarget | ReliabilityTarget) -> Iterator[str]:
    yield urlsplit(target.url).query
    if target.bearer_token is not None:
        yield target.bearer_token.get_secret_value()
    if target.username is not None and target.password is not None:
        pair = f"{target.username}:{target.password.get_secret_value()}"
        yield base64.b64encode(pair.encode()).decode()
    for name, value in target.headers.items():
        if name.lower() not in _HARMLESS:
            yield value.get_secret_value()
            yield value.get_secret_value().rpartition(" ")[2]
