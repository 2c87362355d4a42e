"""A settings file as a layer, with the line of every value."""

import re
from collections.abc import Iterator
from pathlib import Path

import yaml
from yaml.constructor import ConstructorError, SafeConstructor

from uptime_exporter.settings.files import MAX_SETTINGS_BYTES, FileUnusableError, text_of
from uptime_exporter.settings.layer import Key, Layer, Mistake, Place, Source, Tree

MAX_VALUES = 100_000
"""Aliases of aliases can make a short file endless."""

_TAG = "tag:yaml.org,2002:"
_TYPED = frozenset(_TAG + kind for kind in ("null", "bool", "int", "float"))
_TEXT = frozenset(_TAG + kind for kind in ("str", "timestamp", "value"))
_MERGE = _TAG + "merge"
_QUOTED = re.compile(r"'([^']*)'")


def read_file(file: Path) -> Layer:
    """Return what *file* says, relative file names read from its folder.

    Returns:
        A layer, its mistakes included; not usable, with one mistake, where nothing can be made of the file.

    """
    layer = Layer()
    text = ""
    try:
        text = text_of(file, MAX_SETTINGS_BYTES)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is not None:
            layer.tree = _Reader(str(file), layer).settings(node)
    except FileUnusableError as error:
        return _unreadable(layer, file, 0, str(error))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = (mark.line, mark.column) if mark else (0, 0)
        return _unreadable(
            layer, file, where[0] + 1, f"column {where[1] + 1}: {_in_words(error, text, where)}"
        )
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        return _unreadable(layer, file, line, "a control character, which YAML does not allow; remove it")
    except RecursionError:
        return _unreadable(layer, file, 0, "nested too deeply")
    layer.relative_to(file.parent)
    return layer


def _unreadable(layer: Layer, file: Path, line: int, text: str) -> Layer:
    where = f"{file}:{line}" if line else str(file)
    layer.mistakes.append(Mistake(Source.FILE, line, str(file), f"{where}: {text}"))
    layer.usable = False
    return layer


def _in_words(error: yaml.MarkedYAMLError, text: str, where: tuple[int, int]) -> str:
    """Return what is wrong with the syntax, without a word of the file: it may be a secret's."""
    lines = text.splitlines()
    if where[0] < len(lines) and lines[where[0]][where[1] : where[1] + 1] == "\t":
        return "a tab; YAML is indented with spaces"
    parts = (error.context, error.problem) if (error.problem or "").startswith("but ") else (error.problem,)
    problem = _QUOTED.sub(_harmless, ", ".join(filter(None, parts)))
    return f"{problem}; check the indentation, and put values with special characters in quotes"


def _harmless(quoted: re.Match[str]) -> str:
    """Leave only tokens (``'<block end>'``) and single signs of what PyYAML quotes."""
    inside = quoted[1]
    return quoted[0] if inside.startswith("<") or (len(inside) == 1 and not inside.isalnum()) else "…"


class _Reader:
    """Turns nodes into a tree and remembers where they stood."""

    def __init__(self, file: str, layer: Layer) -> None:
        self._file = file
        self._layer = layer
        self._around: list[yaml.Node] = []
        self._values = 0
        self._constructor = SafeConstructor()

    def settings(self, node: yaml.Node) -> Tree:
        """Return the tree of the whole file."""
        value = self._value(node, ())
        if isinstance(value, dict):
            return value
        if value is not None:
            self._mistake(node, (), "must be a mapping (name: value) at the top")
        return {}

    def _value(self, node: yaml.Node, key: Key) -> object:
        self._values += 1
        if node in self._around:
            return self._lost(node, key, "an alias stands inside what it repeats; remove it")
        if self._values > MAX_VALUES:
            if self._values == MAX_VALUES + 1:
                self._lost(node, (), f"more than {MAX_VALUES} values; use fewer aliases")
                self._layer.usable = False
            return None
        self._around.append(node)
        try:
            return self._by_kind(node, key)
        finally:
            self._around.pop()

    def _by_kind(self, node: yaml.Node, key: Key) -> object:
        match node:
            case yaml.MappingNode(tag=tag) if tag == _TAG + "map":
                return self._mapping(node, key)
            case yaml.SequenceNode(tag=tag) if tag == _TAG + "seq":
                return self._sequence(node, key)
            case yaml.ScalarNode(tag=tag) if tag in _TEXT:
                return node.value
            case yaml.ScalarNode(tag=tag) if tag in _TYPED:
                return self._typed(node, key)
            case _:
                return self._lost(
                    node, key, "tags (!…) are not supported; put text that begins with ! in quotes"
                )

    def _typed(self, node: yaml.ScalarNode, key: Key) -> object:
        try:
            return self._constructor.construct_object(node)
        except (ValueError, KeyError, ConstructorError):
            return self._lost(node, key, "is not what its tag says; remove the tag")

    def _sequence(self, node: yaml.SequenceNode, key: Key) -> list[object]:
        items = []
        for at, item in enumerate(node.value):
            self._place(item, (*key, at))
            items.append(self._value(item, (*key, at)))
        return items

    def _mapping(self, node: yaml.MappingNode, key: Key) -> Tree:
        tree: Tree = {}
        lines: dict[str, int] = {}
        for merged in self._merged(node, key):
            tree = {**self._mapping(merged, key), **tree}
        for name, value in node.value:
            if name.tag == _MERGE:
                continue
            if not isinstance(name, yaml.ScalarNode):
                self._mistake(name, key, "a name must be text, not a list or a mapping")
            elif name.value in lines:
                first = lines[name.value]
                self._mistake(
                    name, (*key, name.value), f"is given twice, first in line {first}; keep one of them"
                )
            else:
                lines[name.value] = name.start_mark.line + 1
                self._place(name, (*key, name.value))
                tree[name.value] = self._value(value, (*key, name.value))
        return tree

    def _merged(self, node: yaml.MappingNode, key: Key) -> Iterator[yaml.MappingNode]:
        for name, value in node.value:
            if name.tag == _MERGE:
                for one in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    if isinstance(one, yaml.MappingNode) and one not in self._around:
                        yield one
                    else:
                        self._mistake(name, key, "<< must be followed by aliases of mappings")

    def _place(self, node: yaml.Node, key: Key) -> Place:
        place = Place(Source.FILE, self._file, key, node.start_mark.line + 1)
        self._layer.places[key] = place
        return place

    def _lost(self, node: yaml.Node, key: Key, text: str) -> object:
        """Note what is wrong with *node*, and return what stands for its value."""
        self._mistake(node, key, text)
        self._layer.told.add(key)
        return None

    def _mistake(self, node: yaml.Node, key: Key, text: str) -> None:
        place = Place(Source.FILE, self._file, key, node.start_mark.line + 1)
        self._layer.mistake_at(place, key, text)
