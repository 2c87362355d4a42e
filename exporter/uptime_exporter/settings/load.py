"""From defaults, file, environment and command line to usable settings, or to every mistake at once."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from pydantic import ValidationError

from uptime_exporter.errors import SettingsError
from uptime_exporter.later import Later
from uptime_exporter.settings.checked import SETTINGS, checked_as
from uptime_exporter.settings.files import (
    FileUnusableError,
    authorities_in,
    client_certificate,
    client_key,
    secret_in,
    writable,
)
from uptime_exporter.settings.layer import TLS_FILES, Key, Layer, Mistake, Source, Tree, shown
from uptime_exporter.settings.model import Settings
from uptime_exporter.settings.schema import names_at
from uptime_exporter.settings.variables import CONFIG, read_environment, read_overrides
from uptime_exporter.settings.wording import did_you_mean, tell

if TYPE_CHECKING:
    from uptime_exporter.settings import yaml_file
else:
    yaml_file = Later("uptime_exporter.settings.yaml_file")  # not every installation has a file

NOTHING: Mapping[str, object] = MappingProxyType({})


def _well() -> Tree:
    return {"status": ["healthy", "degraded"]}


DEFAULT_TARGETS: Tree = {
    "model_server": {"kind": "http", "url": "http://localhost:8001/health", "expect_json": _well()},
    "asr_ocr_server": {"kind": "http", "url": "http://localhost:8002/health", "expect_json": _well()},
    "mysql": {"kind": "mysql"},
}
SYSTEM = "system"
"""The promise over all targets, where nothing else is said."""
INHERITED = ("interval", "timeout", "retries", "retry_backoff", "failure_threshold", "recovery_timeout")
UNREAD = "unread"
"""Stands for a secret whose file cannot be read, so that nothing complains of its absence as well."""
OLD_NAMES = {"mysql": "database"}
"""Target → the name of its check in `/health` and `/reliability`, where clients know it by another."""


def load_settings(
    config: Path | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    overrides: Mapping[str, object] = NOTHING,
) -> Settings:
    """Return the settings: defaults, under the file, under the environment, under the command line.

    A file's `targets` and `slas` stand instead of the default ones; the environment and the command line lie
    over whichever there are. An SLA without `targets` is about the target that it is named like, or, if it is
    `system`, about all that somebody calls. Files that the settings name (secrets, TLS) are read and checked too.

    Args:
        config: The YAML file; None: the one that ``UPTIME_CONFIG`` names, or none.
        environ: ``UPTIME_…``, nested with ``__``; an empty variable counts as unset.
        overrides: Dotted key → value, such as ``targets.mysql.port``.

    Raises:
        SettingsError: With every mistake that there is, each with its place.

    """
    file = config or (Path(environ[CONFIG]) if environ.get(CONFIG) else None)
    layer = yaml_file.read_file(file) if file else Layer()
    over = (read_environment(environ), read_overrides(overrides))
    if not layer.usable:
        # What is only wrong because the file is missing would hide what is wrong with the file.
        raise _error([mistake for one in (layer, *over) for mistake in one.mistakes])
    _settle(layer, over)
    settings = _validated(layer)
    if settings is None or layer.mistakes:
        raise _error(layer.mistakes)
    return settings


def _error(mistakes: Iterable[Mistake]) -> SettingsError:
    return SettingsError(list(dict.fromkeys(mistake.text for mistake in sorted(mistakes))))


def _settle(layer: Layer, over: Iterable[Layer]) -> None:
    """Lay all sources over each other in *layer*, resolve what they leave open, and note what is wrong."""
    layer.each_secret_comes_one_way()
    layer.tree.setdefault("targets", deepcopy(DEFAULT_TARGETS))
    layer.tree.setdefault("slas", {SYSTEM: {}})
    for one in over:
        one.each_secret_comes_one_way()
        layer.cover(one)
    _inherit(layer)
    _read_secrets(layer)
    _check_tls(layer)
    _check_ledger(layer)
    targets = layer.tree["targets"]
    if isinstance(targets, dict) and targets:
        _name_slas_targets(layer, targets)
        _check_names(layer, targets)
    else:
        layer.told.add(("slas", SYSTEM, "targets"))


def _validated(layer: Layer) -> Settings | None:
    tree = {}
    for name, value in layer.tree.items():
        if name.startswith("_"):  # to pydantic-settings these are orders, such as `_env_file`
            layer.mistake((name,), f"unknown setting `{shown(name)}`; remove it")
        else:
            tree[name] = value
    try:
        return checked_as(Settings, tree)
    except ValidationError as error:
        tell(error, layer)
        return None


def _inherit(layer: Layer) -> None:
    for key, target in layer.mappings("targets"):
        for name in INHERITED:
            if name in layer.tree and name not in target:
                target[name] = layer.tree[name]
                if (name,) in layer.places:
                    layer.places[*key, name] = layer.places[(name,)]


def _read_secrets(layer: Layer) -> None:
    for key, holder, name in list(layer.secrets()):
        file, setting = holder.get(f"{name}_file"), (*key, f"{name}_file")
        known = name in names_at(key, holder)
        if not known or holder.get(name) is not None or not isinstance(file, str | Path):
            continue
        if place := layer.place(setting):
            layer.places[*key, name] = place
        holder[name] = UNREAD
        with _noting(layer, setting):
            holder[name] = secret_in(Path(file))


@contextmanager
def _noting(layer: Layer, setting: Key) -> Iterator[None]:
    """Note that the file that *setting* names is unusable, without its name: it may be the secret itself."""
    try:
        yield
    except FileUnusableError as error:
        place = layer.place(setting)
        from_file = place is not None and place.source is Source.FILE
        start = "the settings file's folder" if from_file else "the working directory"
        layer.mistake(setting, f"{error}{f'; relative names start at {start}' * error.missing}")


def _check_tls(layer: Layer) -> None:
    for key, target in layer.mappings("targets"):
        tls = target.get("tls")
        if not isinstance(tls, dict):
            continue
        ca, certificate, private = (_path(tls.get(name)) for name in TLS_FILES)
        if ca:
            with _noting(layer, (*key, "tls", "ca_file")):
                authorities_in(ca)
        if certificate and private:
            with _noting(layer, (*key, "tls", "cert_file")):
                client_certificate(certificate)
            with _noting(layer, (*key, "tls", "key_file")):
                client_key(certificate, private)


def _path(value: object) -> Path | None:
    return Path(value) if isinstance(value, str | Path) else None


def _check_ledger(layer: Layer) -> None:
    ledger = _path(layer.tree.get("ledger", SETTINGS.model_fields["ledger"].default))
    if ledger:
        with _noting(layer, ("ledger",)):
            writable(ledger)


def _name_slas_targets(layer: Layer, targets: Tree) -> None:
    """Fill in what a promise is about where its name says it."""
    for (_, name), sla in layer.mappings("slas"):
        if name == SYSTEM:
            served = [of for of, target in targets.items() if not _is_file(target)]
            sla.setdefault("targets", served or list(targets))
        elif name in targets:
            sla.setdefault("targets", [name])


def _is_file(target: object) -> bool:
    """Return whether *target* is one by whose absence nobody is served worse."""
    return isinstance(target, dict) and target.get("kind") == "file"


def _check_names(layer: Layer, targets: Tree) -> None:
    for key, sla in layer.mappings("slas"):
        names = _listed(sla.get("targets"))
        _check_promise(layer, key, names, targets)
        if key[-1] in targets and names and names != [key[-1]]:
            _taken(layer, key)
    for name, old in OLD_NAMES.items():
        if name in targets and old in targets:
            layer.mistake(
                ("targets", old), f"/health shows the target {name} under this name; choose another"
            )


def _taken(layer: Layer, key: Key) -> None:
    if layer.place(key):
        layer.mistake(key, "is the name of a target, whose own SLA is called so; name the SLA otherwise")
    else:
        layer.mistake(("targets", *key[1:]), "is the name of the SLA over all targets; choose another")


def _check_promise(layer: Layer, key: Key, names: list[object], targets: Tree) -> None:
    seen: set[object] = set()
    for at, name in enumerate(names):
        if name not in targets:
            meant = did_you_mean(str(name), targets)
            known = f"did you mean `{meant}`?" if meant else f"there are {', '.join(targets)}"
            layer.mistake((*key, "targets", at), f"there is no target `{shown(str(name))}`; {known}")
        elif name in seen:
            layer.mistake((*key, "targets", at), f"names `{name}` twice; keep one of them")
        seen.add(name)


def _listed(value: object) -> list[object]:
    names = value if isinstance(value, list | tuple) else [value]
    return [name for name in names if isinstance(name, str)]
