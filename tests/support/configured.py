"""Shapes of the fixtures that load settings."""

import ast
import inspect
from collections.abc import Callable
from dataclasses import asdict, fields
from itertools import pairwise
from textwrap import dedent
from typing import TypeVar

from uptime_exporter.settings import Settings, Tls
from uptime_exporter.settings.checked import checked_as

Load = Callable[..., Settings]
"""The text of a file, variables, and overrides with ``__`` for dots → settings."""
Complain = Callable[..., list[str]]
"""The same → all that is said against them."""

Plain = TypeVar("Plain")


def made(plain: type[Plain], **settings: object) -> Plain:
    """Return the target, or whatever *plain* is, that a file would give with these settings."""
    given = {name: asdict(value) if isinstance(value, Tls) else value for name, value in settings.items()}
    return checked_as(plain, given)


def undescribed(model: type) -> list[str]:
    """Return the settings of *model*, inherited ones apart, that no sentence follows in the source."""
    (class_,) = ast.parse(dedent(inspect.getsource(model))).body
    assert isinstance(class_, ast.ClassDef)
    return [
        line.target.id
        for line, following in pairwise([*class_.body, ast.Pass()])
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
        if line.target.id in {each.name for each in fields(model)}
        if not (isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant))
    ]
