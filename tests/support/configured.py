"""Shapes of the fixtures that load settings."""

import ast
import inspect
from collections.abc import Callable
from itertools import pairwise
from textwrap import dedent

from pydantic import BaseModel

from uptime_exporter.settings import Settings

Load = Callable[..., Settings]
"""The text of a file, variables, and overrides with ``__`` for dots → settings."""
Complain = Callable[..., list[str]]
"""The same → all that is said against them."""


def undescribed(model: type[BaseModel]) -> list[str]:
    """Return the settings of *model*, inherited ones apart, that no sentence follows in the source."""
    (class_,) = ast.parse(dedent(inspect.getsource(model))).body
    assert isinstance(class_, ast.ClassDef)
    return [
        line.target.id
        for line, following in pairwise([*class_.body, ast.Pass()])
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
        if line.target.id in model.model_fields
        if not (isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant))
    ]
