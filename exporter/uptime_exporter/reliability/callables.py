"""What calling something gives: an answer, a promise of one, or a stream."""

import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from functools import partial
from types import AsyncGeneratorType, GeneratorType
from typing import Any, Literal, TypeGuard

Kind = Literal["plain", "coroutine", "generator", "async_generator"]

_KINDS: tuple[tuple[Callable[[Any], bool], Kind], ...] = (
    (inspect.iscoroutinefunction, "coroutine"),
    (inspect.isasyncgenfunction, "async_generator"),
    (inspect.isgeneratorfunction, "generator"),
)
STREAMS = (AsyncGeneratorType, GeneratorType)
"""Types of results whose work is still to be done; so is that of what has an ``__await__``."""


def kind(function: Callable[..., Any]) -> Kind:
    """Return what *function* is, be it a function, a method, a partial or an object that can be called.

    A lambda that calls a coroutine function is "plain": only its result shows what it is (`STREAMS`).

    Raises:
        TypeError: It can't be called.

    """
    target: Any = function
    if isinstance(target, classmethod | staticmethod) or not callable(target):
        raise TypeError(f"{target!r} is no function; put the decorator below @classmethod and @staticmethod")
    while isinstance(target, partial):
        target = target.func
    for candidate in (target, type(target).__call__):
        for is_one, found in _KINDS:
            if is_one(candidate):
                return found
    return "plain"


def is_async_stream(result: object) -> TypeGuard[AsyncGenerator[Any, Any]]:
    """Return whether *result* is an async generator."""
    return isinstance(result, AsyncGeneratorType)


def is_stream(result: object) -> TypeGuard[Generator[Any, Any, Any]]:
    """Return whether *result* is a generator."""
    return isinstance(result, GeneratorType)
