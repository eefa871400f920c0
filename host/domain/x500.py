"""Members' X.500 names as values. How they are read and written: `cpi.package.member_names`."""

from dataclasses import dataclass
from functools import lru_cache

from cpi.package.member_names import MemberNameError, member_name_text, read_member_name
from host.domain.errors import InvalidInputError


class InvalidX500NameError(InvalidInputError):
    """The text is not a member X.500 name."""

    code = "x500-name-invalid"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class MemberX500Name:
    """A member's name: O, L and C are mandatory, CN, OU and ST optional.

    `str()` gives Corda's canonical text, attributes in the order CN, OU, O, L, ST, C.
    """

    organization: str
    locality: str
    country: str
    common_name: str | None = None
    organization_unit: str | None = None
    state: str | None = None

    @staticmethod
    def parse(text: str) -> "MemberX500Name":
        """Parse the text of a name as Java does, attributes in any order.

        Raises:
            InvalidX500NameError: unknown, repeated, missing, empty or overlong attribute.
        """
        return _parsed(text)

    def __str__(self) -> str:
        values = {
            "CN": self.common_name,
            "OU": self.organization_unit,
            "O": self.organization,
            "L": self.locality,
            "ST": self.state,
            "C": self.country,
        }
        return member_name_text({kind: v for kind, v in values.items() if v is not None})


@lru_cache(maxsize=1024)
def _parsed(text: str) -> MemberX500Name:
    # Cached: every step of a flow parses its parties' names.
    try:
        values = read_member_name(text)
    except MemberNameError as error:
        raise InvalidX500NameError(str(error)) from error
    return MemberX500Name(
        organization=values["O"],
        locality=values["L"],
        country=values["C"],
        common_name=values.get("CN"),
        organization_unit=values.get("OU"),
        state=values.get("ST"),
    )
