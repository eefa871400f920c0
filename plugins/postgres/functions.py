"""Functions of JSON and of order keys that statements of features use, in a schema of their own."""

from importlib.resources import files

from host.ports.database import Schema
from plugins.postgres.connections import Access
from plugins.postgres.tables import FUNCTIONS, make_schema

FUNCTIONS_SCHEMA = Schema(
    name="functions",
    statements={"postgresql": (files(__package__).joinpath("functions.sql").read_text("utf-8"),)},
)


def make_functions(access: Access) -> None:
    """Create or migrate the functions, as their owner; of several processes, one at a time does.

    Raises:
        SchemaTooNewError: a newer release has written the database.
        StorageError: the database cannot be written.
    """
    make_schema(access, FUNCTIONS, FUNCTIONS_SCHEMA)
