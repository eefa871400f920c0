"""JSON forms of unions: what was sent is what is received.

An arm whose values JSON could take for another arm's is tagged: `{"$type": tag, "$value": form}`, a
record by `$type` beside its own members. null, true, false, numbers and plain texts stand for
themselves and are never tagged, except where a whole float stands beside integers, and an integer
beyond 2^53-1 beside texts.
"""

from collections.abc import Sequence
from typing import Any

from cordapp.constraints import small_schema
from cordapp.forms import (
    TAG,
    VALUE,
    CodecError,
    Definitions,
    FloatForm,
    Form,
    IntForm,
    Read,
    SchemaError,
    decoded,
    mismatch,
)
from cordapp.records import RecordForm


class UnionForm(Form):
    """One of several types."""

    tag = "union"

    def __init__(self, arms: Sequence[Form], tag: str) -> None:
        # Floats last: a JSON number that is whole is an integer's, where there are integers.
        self.arms = tuple(sorted(arms, key=lambda arm: isinstance(arm.base, FloatForm)))
        self.tag = tag
        self.is_hashable = all(arm.is_hashable for arm in arms)
        self.tagged_arms: tuple[Form, ...] = ()
        self._wide_integers = _has(arms, IntForm) and self._overlaps_text()
        self._whole_floats = _has(arms, FloatForm) and any(
            "number" in arm.kinds and not isinstance(arm.base, FloatForm) for arm in arms
        )
        self.tagged_arms = self._find_tagged()
        for number, arm in enumerate(arms):
            for other in arms[:number]:
                if arm.tag == other.tag and arm in self.tagged_arms and not _same_type(arm, other):
                    raise SchemaError(f"two alternatives have the name {arm.tag}")
        kinds = {kind for arm in arms if arm not in self.tagged_arms for kind in arm.kinds}
        self.kinds = frozenset(kinds | ({"object"} if self._is_tagging else set()))

    @property
    def hashed(self) -> Sequence[Form]:
        return self.arms

    def _overlaps_text(self) -> bool:
        return any("string" in arm.kinds and not isinstance(arm.base, IntForm) for arm in self.arms)

    @property
    def _is_tagging(self) -> bool:
        return bool(self.tagged_arms) or self._wide_integers or self._whole_floats

    def _find_tagged(self) -> tuple[Form, ...]:
        found = [
            arm
            for arm in self.arms
            if not arm.is_native and any(_overlap(arm, o) for o in self.arms if o is not arm)
        ]
        if found or self._wide_integers or self._whole_floats:
            # A tagged form is an object: what could have a member `$type` itself is tagged, too.
            found += [
                arm
                for arm in self.arms
                if arm not in found and "object" in arm.kinds and not _is_closed(arm)
            ]
        return tuple(found)

    def schema(self, defs: Definitions) -> dict[str, Any]:
        schemas: list[dict[str, Any]] = []
        for arm in self.arms:
            if arm in self.tagged_arms:
                schemas.append(arm.tagged_schema(defs))
            elif isinstance(arm.base, IntForm) and self._wide_integers:
                schemas += [small_schema(arm), arm.tagged_schema(defs)]
            elif isinstance(arm.base, FloatForm) and self._whole_floats:
                schemas += [arm.schema(defs), arm.tagged_schema(defs)]
            else:
                schemas.append(arm.schema(defs))
        return {"anyOf": [found for n, found in enumerate(schemas) if found not in schemas[:n]]}

    def holds(self, value: object) -> bool:
        return any(arm.holds(value) for arm in self.arms)

    def encode(self, value: Any, path: str) -> Any:
        exact = [arm for arm in self.arms if arm.holds(value)]
        problems, written = [], []
        # Arms of one class differ in what they contain: the first that gives the value back.
        for arm in [*exact, *(arm for arm in self.arms if arm not in exact)]:
            try:
                form = self._written(arm, value, path)
            except CodecError as exc:
                if arm in exact and len(exact) == 1:
                    raise
                problems.append(exc)
                continue
            if len(exact) < 2 or arm not in exact or self._gives_back(form, value, path):
                return form
            written.append(form)
        if written:
            return written[0]
        raise self.misfit(path, problems)

    def _gives_back(self, form: Any, value: object, path: str) -> bool:
        try:
            return _has_types_of(self.decode(form, path), value)
        except CodecError:
            return False

    def _written(self, arm: Form, value: Any, path: str) -> Any:
        if arm in self.tagged_arms:
            return arm.tagged(value, path)
        plain = arm.encode(value, path)
        wide = self._wide_integers and isinstance(arm.base, IntForm) and isinstance(plain, str)
        whole = (
            self._whole_floats
            and isinstance(arm.base, FloatForm)
            and isinstance(plain, float)
            and plain.is_integer()
        )
        return {TAG: arm.tag, VALUE: plain} if wide or whole else plain

    def decode(self, value: Any, path: str, _read: Read = decoded) -> Any:
        if self._is_tagging and isinstance(value, dict) and TAG in value:
            return self._by_tag(value, path)
        problems = []
        for arm in self.arms:
            if arm not in self.tagged_arms:
                try:
                    return self._read(arm, value, path)
                except CodecError as exc:
                    if self.is_optional and value is not None and arm.tag != "none":
                        raise  # its own complaint is the useful one
                    problems.append(exc)
        raise self.misfit(path, problems)

    @property
    def is_optional(self) -> bool:
        """Whether it is one type or None."""
        return len(self.arms) == 2 and any(arm.tag == "none" for arm in self.arms)

    def _read(self, arm: Form, value: Any, path: str) -> Any:
        if self.is_of_others(arm, value):
            raise mismatch("an integer", value, path)
        return arm.decode(value, path)

    def is_of_others(self, arm: Form, value: Any) -> bool:
        """Whether a text is none of integers: those that JSON has no number for are tagged."""
        return self._wide_integers and isinstance(arm.base, IntForm) and isinstance(value, str)

    def _by_tag(self, value: dict[str, Any], path: str) -> Any:
        problems = []
        for arm in self.arms:
            special = isinstance(arm.base, IntForm) and self._wide_integers
            special = special or (isinstance(arm.base, FloatForm) and self._whole_floats)
            if arm.tag == value[TAG] and (arm in self.tagged_arms or special):
                try:
                    return arm.untagged(value, path)
                except CodecError as exc:
                    problems.append(exc)
        if len(problems) == 1:
            raise problems[0]
        if problems:
            raise self.misfit(path, problems)
        names = ", ".join(arm.tag for arm in self.arms)
        raise CodecError(f"{path}.{TAG}", f"expected one of {names}, found {value[TAG]!r:.80}")

    def misfit(self, path: str, problems: Sequence[CodecError]) -> CodecError:
        """The error of a value that fits no alternative, with what each of them said."""
        told = "; ".join(str(problem) for problem in problems)
        if self.tagged_arms:
            names = ", ".join(arm.tag for arm in self.tagged_arms)
            told += f"{'; ' if told else ''}no {TAG} out of {names}"
        return CodecError(path, f"fits no alternative: {told}"[:1000])


def _has(arms: Sequence[Form], kind: type[Form]) -> bool:
    return any(isinstance(arm.base, kind) for arm in arms)


def _has_types_of(one: Any, other: Any) -> bool:
    """Whether two values have the same types, also of their parts: a text may stand for an enum."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (set, frozenset)):
        return {type(item) for item in one} == {type(item) for item in other}
    if isinstance(one, dict):
        one, other = [*one, *one.values()], [*other, *other.values()]
    names = getattr(one, "__dataclass_fields__", None)
    if names is not None:
        one, other = [[getattr(each, name) for name in names] for each in (one, other)]
    return not isinstance(one, (list, tuple)) or all(map(_has_types_of, one, other))


def _same_type(arm: Form, other: Form) -> bool:
    one, two = arm.base, other.base
    return type(one) is type(two) and getattr(one, "cls", None) is getattr(two, "cls", None)


def _overlap(arm: Form, other: Form) -> bool:
    """Whether a JSON value could be a form of both."""
    if arm.choices and other.choices:
        return not arm.choices.isdisjoint(other.choices)
    kinds = arm.kinds & other.kinds
    if isinstance(arm.base, IntForm) or isinstance(other.base, IntForm):
        kinds -= {"string"}  # beside texts, an integer beyond 2^53-1 is tagged
    return bool(kinds)


def _is_closed(arm: Form) -> bool:
    return isinstance(arm.base, RecordForm) and not arm.base.takes_more
