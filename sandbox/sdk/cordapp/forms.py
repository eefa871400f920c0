"""JSON forms: what all have in common, and those that JSON has itself.

A form says how values of one type are written, read and described by JSON Schema. The three agree:
what the schema takes is what `decode` takes, and what `encode` writes.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any

INTEGER_MAX = 2**53 - 1
"""The largest integer that canonical JSON (RFC 8785) carries as a number; a larger one is text."""
DIGITS_MAX = 1024
"""Characters of a number that is written as text."""

TAG, VALUE = "$type", "$value"
"""Members of a tagged form: `{"$type": tag, "$value": form}`, or a record's own members and
`$type` beside them."""


class CodecError(ValueError):
    """A value does not fit its type. `path` names the place, for example `$.items[2].amount`.

    Uncaught, it ends a flow with its code.
    """

    code = "value-not-of-type"

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path


class SchemaError(TypeError):
    """A type hint has no JSON form.

    Attributes:
        problem: what is wrong, without the place.
        owner: the class whose field has the hint, if it is a field's.
        field: the field's name.
    """

    def __init__(self, problem: str, owner: type | None = None, field: str | None = None) -> None:
        place = "" if owner is None else owner.__qualname__
        place += "" if field is None else f".{field}"
        super().__init__(f"{place}: {problem}" if place else problem)
        self.problem = problem
        self.owner = owner
        self.field = field


def dumps(value: Any) -> str:
    """Compact JSON text of a JSON value.

    Half a character, which no text can hold, is left to JSON's escapes: the host mends it in
    failures and log lines, and refuses it elsewhere.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text


def decoded(form: "Form", value: Any, path: str) -> Any:
    """The value of a JSON form."""
    return form.decode(value, path)


Read = Callable[["Form", Any, str], Any]
"""How the parts of a value are read: `decoded`, or another function of these arguments."""


class Form:
    """The JSON form of one type.

    Attributes:
        tag: names the type in `$type`.
        kinds: JSON types of the form: null, boolean, number, string, array, object.
        is_native: JSON tells its values apart by itself, so that they are never tagged.
        is_hashable: whether its values can be elements of sets.
        choices: the texts of a form that has few; empty for others.
    """

    tag = ""
    kinds: frozenset[str] = frozenset()
    is_native = False
    is_hashable = True
    choices: frozenset[str] = frozenset()

    @property
    def hashed(self) -> Iterable["Form"]:
        """The forms of the parts that have to be hashable for a value to be."""
        return ()

    @property
    def sent_tag(self) -> str:
        """Names the type where the sender knew the value alone: without type parameters."""
        return self.tag

    def is_called(self, tag: object) -> bool:
        """Whether `tag` names the type, given by a sender that knew the hint or did not."""
        return tag in (self.tag, self.sent_tag)

    @property
    def base(self) -> "Form":
        """The form without the constraints that an annotation adds."""
        return self

    def schema(self, defs: "Definitions") -> dict[str, Any]:
        """The JSON Schema of the form."""
        raise NotImplementedError

    def holds(self, value: object) -> bool:
        """Whether `value` has exactly the form's type; does not look into it."""
        raise NotImplementedError

    def encode(self, value: Any, path: str) -> Any:
        """The JSON form of a value.

        Raises:
            CodecError: it is none of the form's type.
        """
        raise NotImplementedError

    def decode(self, value: Any, path: str, read: Read = decoded) -> Any:
        """The value of a JSON form, whose parts `read` reads.

        Raises:
            CodecError: it does not fit.
        """
        raise NotImplementedError

    def tagged(self, value: Any, path: str) -> dict[str, Any]:
        """The JSON form of a value, with its type."""
        return {TAG: self.tag, VALUE: self.encode(value, path)}

    def untagged(self, value: Mapping[str, Any], path: str, read: Read = decoded) -> Any:
        """The value of a tagged form, whose tag is this form's."""
        expect(value.keys() == {TAG, VALUE}, f"an object of {TAG} and {VALUE}", value, path)
        return self.decode(value[VALUE], f"{path}.{VALUE}", read)

    def tagged_schema(self, defs: "Definitions") -> dict[str, Any]:
        """The JSON Schema of the tagged form."""
        return {
            "title": self.tag,
            "type": "object",
            "properties": {TAG: {"const": self.tag}, VALUE: self.schema(defs)},
            "required": [TAG, VALUE],
            "additionalProperties": False,
        }


class Definitions:
    """Schemas of one document that others refer to, as classes that contain themselves need it."""

    def __init__(self) -> None:
        self.schemas: dict[str, Any] = {}
        self._open: list[tuple[Form, bool]] = []
        self._names: dict[tuple[Form, bool], str] = {}

    def define(self, key: "tuple[Form, bool]", write: Callable[[], dict[str, Any]]) -> Any:
        """The schema that `write` writes, or a reference to it if it contains itself.

        Args:
            key: the form, and whether its tagged schema is meant.
            write: called at most once, unless the schema is not recursive.
        """
        if key in self._names:
            return self._ref(key)
        if key in self._open:
            name = re.sub(r"[^A-Za-z0-9_.]+", "-", key[0].tag)
            same = sum(known.partition("#")[0] == name for known in self._names.values())
            self._names[key] = f"{name}-{same + 1}" if same else name
            return self._ref(key)
        self._open.append(key)
        written = write()
        self._open.pop()
        if key not in self._names:
            return written
        self.schemas[self._names[key]] = written
        return self._ref(key)

    def _ref(self, key: "tuple[Form, bool]") -> dict[str, Any]:
        return {"$ref": f"#/$defs/{self._names[key]}"}


def expect(fits: object, expected: str, value: Any, path: str) -> Any:
    """`value`, if it fits."""
    if not fits:
        raise mismatch(expected, value, path)
    return value


def mismatch(expected: str, value: Any, path: str) -> CodecError:
    """The error of a value that is not what is expected."""
    text = repr(value)
    return CodecError(path, f"expected {expected}, found {text[:40]}{'..' * (len(text) > 40)}")


class NoneForm(Form):
    tag, kinds, is_native = "none", frozenset({"null"}), True

    def schema(self, _defs: Definitions) -> dict[str, Any]:
        return {"type": "null"}

    def holds(self, value: object) -> bool:
        return value is None

    def encode(self, value: Any, path: str) -> Any:
        return expect(value is None, "null", value, path)

    def decode(self, value: Any, path: str, _read: Read = decoded) -> Any:
        return self.encode(value, path)


class BoolForm(Form):
    tag, kinds, is_native = "bool", frozenset({"boolean"}), True

    def schema(self, _defs: Definitions) -> dict[str, Any]:
        return {"type": "boolean"}

    def holds(self, value: object) -> bool:
        return isinstance(value, bool)

    def encode(self, value: Any, path: str) -> Any:
        return expect(isinstance(value, bool), "a boolean", value, path)

    def decode(self, value: Any, path: str, _read: Read = decoded) -> Any:
        return self.encode(value, path)


class IntForm(Form):
    """A JSON number up to 2^53-1, beyond it decimal text."""

    tag, kinds, is_native = "int", frozenset({"number", "string"}), True
    TEXT = r"-?([1-9][0-9]{16,}|9[0-9]{15})"
    _TEXT = re.compile(TEXT)

    def schema(self, _defs: Definitions) -> dict[str, Any]:
        return {
            **self.small_schema(),
            "type": ["integer", "string"],
            "format": "integer",
            "pattern": f"^{self.TEXT}$",
            "maxLength": DIGITS_MAX,
        }

    def small_schema(self) -> dict[str, Any]:
        """The schema of the integers that are numbers."""
        return {"type": "integer", "minimum": -INTEGER_MAX, "maximum": INTEGER_MAX}

    def holds(self, value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, (bool, Enum))

    def encode(self, value: Any, path: str) -> Any:
        fits = isinstance(value, int) and not isinstance(value, bool)
        expect(fits, "an integer", value, path)
        number = int(value)
        if abs(number) <= INTEGER_MAX:
            return number
        if number.bit_length() < 4 * DIGITS_MAX and len(text := str(number)) <= DIGITS_MAX:
            return text
        raise CodecError(path, f"an integer has at most {DIGITS_MAX} characters")

    def decode(self, value: Any, path: str, _read: Read = decoded) -> Any:
        if isinstance(value, str):
            fits = len(value) <= DIGITS_MAX and self._TEXT.fullmatch(value)
            return int(expect(fits, "an integer", value, path))
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        whole = isinstance(value, int) or (number and value.is_integer())
        expect(number and whole, "an integer", value, path)
        if abs(value) > INTEGER_MAX:
            raise CodecError(path, "an integer beyond 2^53-1 is written as text")
        return int(value)


class FloatForm(Form):
    tag, kinds, is_native = "float", frozenset({"number"}), True

    def schema(self, _defs: Definitions) -> dict[str, Any]:
        return {"type": "number"}

    def holds(self, value: object) -> bool:
        return isinstance(value, float) and not isinstance(value, Enum)

    def encode(self, value: Any, path: str) -> Any:
        number = self._number(value, path)
        if number != value:
            raise CodecError(path, f"no float is exactly {value}")
        return number if isinstance(value, float) else value

    def decode(self, value: Any, path: str, _read: Read = decoded) -> Any:
        return self._number(value, path)

    @staticmethod
    def _number(value: Any, path: str) -> float:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        try:
            number = float(expect(is_number, "a number", value, path))
        except OverflowError:
            raise mismatch("a number of double precision", value, path) from None
        if not math.isfinite(number):
            raise CodecError(path, f"{number} has no JSON form")
        return number
