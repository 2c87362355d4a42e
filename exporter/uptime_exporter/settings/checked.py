"""What checks the settings: pydantic's models, made of the names, kinds and defaults of the plain ones."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from functools import partial, reduce
from operator import or_
from typing import Annotated, Any, TypeVar, get_type_hints

import pydantic
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, create_model
from pydantic_core import InitErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from uptime_exporter.settings import kinds
from uptime_exporter.settings.model import KINDS as PLAIN_KINDS
from uptime_exporter.settings.model import Settings, Sla, Tls
from uptime_exporter.settings.rules import broken_rules

Plain = TypeVar("Plain")


class _Strict(BaseModel):
    """A typing error in a key is a mistake, and no message shows what it is about."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class _Top(BaseSettings):
    """The whole of the settings; what `load_settings` hands in is its only source."""

    model_config = SettingsConfigDict(extra="forbid", hide_input_in_errors=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings passes all of them by name
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read what is handed in and nothing else: its layers know where each value was written."""
        return (init_settings,)


def _model(plain: type, base: type[BaseModel] = _Strict, **others: object) -> type[BaseModel]:
    """Return what checks the settings of *plain*; in its annotations, *others* stand for what they name."""
    known = {**vars(kinds), "Mapping": Mapping, **others}
    hints = get_type_hints(plain, localns=known, include_extras=True)
    settings: dict[str, Any] = {each.name: (hints[each.name], _default(each)) for each in fields(plain)}
    return create_model(plain.__name__, __base__=base, **settings)


def _default(setting: Field[Any]) -> object:
    if setting.default_factory is not MISSING:
        return pydantic.Field(default_factory=setting.default_factory)
    return ... if setting.default is MISSING else setting.default


def _inside(plain: type, model: type[BaseModel]) -> Any:
    """Return the kind of a setting that holds a *plain* value."""
    return Annotated[model, AfterValidator(partial(_plainly, plain))]


def _plainly(plain: type[Plain], found: BaseModel) -> Plain:
    """Return the plain value of settings of which each is fine by itself, unless they are not so together."""
    value = plain(**dict(found))
    broken = [
        InitErrorDetails(type=kinds.wrong(rule.text, *rule.fields), loc=(), input=None)
        for rule in broken_rules(value)
    ]
    if broken:
        raise ValidationError.from_exception_data(plain.__name__, broken, hide_input=True)
    return value


_MODELS = {Tls: _model(Tls), Sla: _model(Sla)}
_MODELS |= {plain: _model(plain, Tls=_inside(Tls, _MODELS[Tls])) for plain in PLAIN_KINDS.values()}
_TARGET: Any = reduce(or_, (_inside(plain, _MODELS[plain]) for plain in PLAIN_KINDS.values()))

KINDS: Mapping[str, type[BaseModel]] = {kind: _MODELS[plain] for kind, plain in PLAIN_KINDS.items()}
"""What checks a target of that kind."""
SETTINGS = _MODELS[Settings] = _model(
    Settings,
    _Top,
    Target=Annotated[_TARGET, pydantic.Field(discriminator="kind")],
    Sla=_inside(Sla, _MODELS[Sla]),
)
"""What checks the whole."""


def checked_as(plain: type[Plain], tree: Mapping[str, object]) -> Plain:
    """Return the *plain* value (the settings, or a part of them such as a target) that *tree* describes.

    Raises:
        ValidationError: They cannot be used.

    """
    return _plainly(plain, _MODELS[plain].model_validate(tree))
