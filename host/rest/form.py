"""Forms of uploads: each part is what the operation expects, and there as often as it expects.

A parser of forms takes the last of two parts with one name, and gives a part without a file name as
text. Both would lose what a client sent, so they are refused. As in Corda, text parts that an
operation does not have are ignored; files are not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_origin

from fastapi import Request, params
from fastapi._compat import ModelField
from starlette.datastructures import FormData, UploadFile

from host.domain.errors import InvalidInputError
from host.domain.refused import CHARACTERS_MAX, cut, shown


class FormPartInvalidError(InvalidInputError):
    """A part of a form is missing, repeated, unknown, or a file where text is expected."""

    code = "form-part-invalid"


@dataclass(frozen=True, slots=True)
class _Part:
    is_file: bool
    is_list: bool
    is_required: bool


class FormParts:
    """The parts that an operation expects in its form."""

    def __init__(self, fields: Sequence[ModelField]) -> None:
        self._parts: Mapping[str, _Part] = {
            field.alias: _Part(
                is_file=isinstance(field.field_info, params.File),
                is_list=get_origin(field.field_info.annotation) is list,
                is_required=field.field_info.is_required(),
            )
            for field in fields
        }

    async def check(self, request: Request) -> None:
        """Read the form, which the handler then gets, and check its parts.

        Raises:
            FormPartInvalidError: names the first part that is not as expected.
        """
        form = await request.form()
        try:
            self._check(form)
        except FormPartInvalidError:
            await form.close()
            raise

    def _check(self, form: FormData) -> None:
        for name, part in self._parts.items():
            found = len(form.getlist(name))
            if found > 1 and not part.is_list:
                raise _invalid(name, f"is there {found} times, expected once")
            if not found and part.is_required:
                raise _invalid(name, f"is missing: expected {'a file' if part.is_file else 'text'}")
        for name, value in form.multi_items():
            if name in self._parts:
                _check_kind(name, self._parts[name], value)
            elif isinstance(value, UploadFile):
                expected = ", ".join(self._parts)
                raise _invalid(name, f"is a file that is not expected; expected {expected}")


def _check_kind(name: str, part: _Part, value: UploadFile | str) -> None:
    if part.is_file and isinstance(value, str):
        raise _invalid(name, f"has no file name: expected a file, with curl -F {name}=@FILE")
    if not part.is_file and isinstance(value, UploadFile):
        raise _invalid(name, f"is a file, expected text, with curl -F {name}=TEXT")


def _invalid(name: str, reason: str) -> FormPartInvalidError:
    return FormPartInvalidError(
        f"Form part {shown(name)} {reason}.", fields=cut(name, CHARACTERS_MAX)
    )
