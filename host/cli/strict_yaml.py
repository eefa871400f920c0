"""YAML restricted to what JSON can express: plain values, no aliases, no repeated keys, bounded."""

from typing import Any

import yaml

_DEPTH_MAX = 64
_TAG = "tag:yaml.org,2002:"
_TYPES = ("str", "int", "float", "bool", "null", "map", "seq")
_TAGS = frozenset(f"{_TAG}{name}" for name in _TYPES)


class YamlRefusedError(ValueError):
    """The text is not such YAML; the message names the reason and the position."""


class _Loader(yaml.SafeLoader):
    """Refuses aliases, deep nesting, repeated or non-text keys, and types that JSON lacks."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise _refused("an alias", event.start_mark)
        self._depth = getattr(self, "_depth", 0) + 1
        if self._depth > _DEPTH_MAX:
            raise YamlRefusedError(f"it is nested deeper than {_DEPTH_MAX}")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set[str]()
        for key, _ in node.value:
            if key.tag != f"{_TAG}str":
                raise _refused("a key that is no text", key.start_mark)
            if key.value in seen:
                raise _refused(f"key {key.value!r} twice", key.start_mark)
            seen.add(key.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        if node.tag not in _TAGS:
            raise _refused(f"a value of type {node.tag.removeprefix(_TAG)}", node.start_mark)
        return super().construct_object(node, deep=deep)


def parse_yaml(data: bytes, *, bytes_max: int) -> Any:
    """Parse one YAML document.

    Raises:
        YamlRefusedError: it is too long, not UTF-8, not YAML, or has parts that JSON cannot
            express.
    """
    if len(data) > bytes_max:
        raise YamlRefusedError(f"it has more than {bytes_max} bytes")
    try:
        loader = _Loader(data.decode())
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except YamlRefusedError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise YamlRefusedError(" ".join(str(error).split())) from error


def _refused(what: str, mark: Any) -> YamlRefusedError:
    return YamlRefusedError(f"line {mark.line + 1}, column {mark.column + 1}: {what}")
