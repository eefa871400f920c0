"""The runtime of world `contract`."""

# ruff: noqa: INP001  # a folder of top-level modules of the guest, not a package of this project

import guest_side
import wit_world


class WitWorld(wit_world.WitWorld):
    """The world's exports."""

    def load(self, last: bool, part: str) -> str:  # noqa: FBT001  # the WIT's signature
        return guest_side.load(last, part)

    def describe(self) -> str:
        return guest_side.describe()

    def verify(self, transaction: str) -> None:
        guest_side.verify(transaction)
