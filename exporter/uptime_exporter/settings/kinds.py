"""The kinds of value that a setting can have, each with its bounds and with words for what is wrong."""

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetPydanticSchema,
    HttpUrl,
    StringConstraints,
)
from pydantic_core import PydanticCustomError, core_schema

from uptime_exporter.settings.secret import Secret
from uptime_exporter.settings.values import DAY, HOST_NAME, duration, host_and_port, is_address, seconds_in

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, 5.6.2
_HEADER_VALUE = re.compile(r"(?! )[\t -~]*(?<! )")
_TOKEN = re.compile(r"[!-~]+")
_FRAMING = frozenset({"connection", "content-length", "transfer-encoding"})


def wrong(text: str, *fields: str) -> PydanticCustomError:
    """Return the exception by which a validator says *text*, which is about *fields* beside each other."""
    return PydanticCustomError("wrong", "{text}", {"text": text, "fields": fields})


def _from_to(least: float, most: float) -> Callable[[object], float]:
    def a_duration(value: object) -> float:
        seconds = seconds_in(value) if isinstance(value, str) else value
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise wrong("must be a duration: seconds, or numbers with ms, s, m, h, d or w, such as 30s")
        if not least <= seconds <= most:
            raise wrong(f"must be from {duration(least)} to {duration(most)}")
        return float(seconds)

    return a_duration


def _a_number(value: object) -> object:
    if isinstance(value, bool):
        raise wrong("must be a number")  # True would pass for 1
    return value


def _a_part(value: float) -> float:
    if not 0 < value < 1:
        raise wrong("must be more than 0 and less than 1: 99.9 % is 0.999")
    return value


def _a_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise wrong("a name begins with a letter and is made of a-z, 0-9 and _, at most 63 of them")
    return value


def _a_host(value: str) -> str:
    host = value.strip().removeprefix("[").removesuffix("]")
    if not is_address(host) and not HOST_NAME.fullmatch(host):
        raise wrong("must be a host name or an IP address and nothing else: the port is a setting of its own")
    return host


def _an_address(url: HttpUrl) -> str:
    # An @ behind a slash may still be a password's end: in http://me:12/34@host/, 12 would pass for the port.
    if "@" in str(url):
        raise wrong(
            "must not carry a user name or a password; put them in `username` and `password_file`, "
            "and write any other @ as %40"
        )
    if url.port == 0:
        raise wrong("must not name port 0")
    return str(url)


def _a_header_name(value: str) -> str:
    if not _HEADER_NAME.fullmatch(value):
        raise wrong("is no name of a header")
    if value.lower() in _FRAMING:
        raise wrong("is a header that the exporter itself sets; remove it")
    return value


def _a_header_value(value: Secret) -> Secret:
    if not _HEADER_VALUE.fullmatch(value.get_secret_value()):
        raise wrong("must be one line of ASCII, without spaces around it")
    return value


def _a_token(value: Secret) -> Secret:
    if not _TOKEN.fullmatch(value.get_secret_value()):
        raise wrong("must be one word of visible ASCII characters, and not empty")
    return value


def _one_line(value: str) -> str:
    if any(ord(char) < ord(" ") for char in value):
        raise wrong("must not contain line breaks or other control characters")
    return value


def _a_user_name(value: str) -> str:
    if ":" in value:
        raise wrong("must not contain a colon: basic authentication cannot send it")
    return _one_line(value)


def _a_password(value: Secret) -> Secret:
    _one_line(value.get_secret_value())
    return value


def _a_method(value: str) -> str:
    if not re.fullmatch(r"[A-Z]{1,16}", value):
        raise wrong("must be an HTTP method in capital letters, such as GET")
    return value


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str | bool | int | float) else value


def _plain_values(value: object) -> object:
    if isinstance(value, list | tuple) and all(isinstance(item, str | bool | int | float) for item in value):
        return value
    raise wrong("must be a list of texts, numbers, true or false")


def _a_place_to_listen(value: object) -> object:
    try:
        host_and_port(value if isinstance(value, str) else "")
    except ValueError as error:
        raise wrong(str(error)) from None
    return value


def _read_as(kind: object, kept: Callable[[Any], object]) -> GetPydanticSchema:
    """Read a value as if it were of that *kind*, and keep what is made of it."""
    return GetPydanticSchema(
        lambda _, schema: core_schema.no_info_after_validator_function(kept, schema.generate_schema(kind))
    )


Seconds = Annotated[float, BeforeValidator(_from_to(0.001, DAY))]
Pause = Annotated[float, BeforeValidator(_from_to(0, 3600))]
Age = Annotated[float, BeforeValidator(_from_to(1, 400 * DAY))]
Window = Annotated[float, BeforeValidator(_from_to(3600, 400 * DAY))]
Part = Annotated[float, AfterValidator(_a_part), BeforeValidator(_a_number)]
Retries = Annotated[int, BeforeValidator(_a_number), Field(ge=0, le=10)]
Count = Annotated[int, BeforeValidator(_a_number), Field(ge=0, le=1 << 30)]
Threshold = Annotated[int, BeforeValidator(_a_number), Field(ge=1, le=10_000)]
Redirects = Annotated[int, BeforeValidator(_a_number), Field(ge=0, le=20)]
Port = Annotated[int, BeforeValidator(_a_number), Field(ge=1, le=65535)]
Status = Annotated[int, BeforeValidator(_a_number), Field(ge=100, le=599)]
Name = Annotated[str, AfterValidator(_a_name)]
"""Lower case, so that an environment variable can name it too."""
Host = Annotated[str, StringConstraints(min_length=1, max_length=253), AfterValidator(_a_host)]
"""A name or an address; IPv6 without brackets."""
Url = Annotated[str, _read_as(HttpUrl, _an_address)]
"""Spelt in one way: a host in small letters, no port that goes without saying, a path of at least a slash."""
Listen = Annotated[str, BeforeValidator(_a_place_to_listen)]
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=4096), AfterValidator(_one_line)]
"""Of a file's path, with the wildcards of a shell."""
Method = Annotated[str, AfterValidator(_a_method)]
HeaderName = Annotated[str, AfterValidator(_a_header_name)]
Hidden = Annotated[Secret, _read_as(str, Secret)]
HeaderValue = Annotated[Hidden, AfterValidator(_a_header_value)]
Token = Annotated[Hidden, AfterValidator(_a_token)]
Password = Annotated[Hidden, AfterValidator(_a_password)]
UserName = Annotated[str, AfterValidator(_a_user_name)]
DatabaseUser = Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(_one_line)]
Scalar = str | bool | int | float
AtLeastOne = Field(min_length=1)
Statuses = Annotated[tuple[Status, ...], BeforeValidator(_listed)]
Names = Annotated[tuple[str, ...], AtLeastOne, BeforeValidator(_listed)]
Scalars = Annotated[tuple[Scalar, ...], AtLeastOne, BeforeValidator(_plain_values), BeforeValidator(_listed)]
