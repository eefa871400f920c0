from typing import Annotated, assert_never

from typing_extensions import TypedDict, get_type_hints, override


def check():
    class Trade(TypedDict, total=False):
        isin: Annotated[str, "12 letters"]

    class Base:
        def name(self) -> str:
            return "base"

    class Derived(Base):
        @override
        def name(self) -> str:
            return "derived"

    assert get_type_hints(Trade)["isin"] is str
    assert Derived().name() == "derived"
    assert Derived.name.__override__
    assert callable(assert_never)
