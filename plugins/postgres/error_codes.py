"""What to do about each code of PostgreSQL; the docstrings of the errors give the causes."""

from collections.abc import Mapping

ERROR_CODES: Mapping[str, str] = {
    "database-bus-differs": "Give all hosts of the cluster the same setting `bus`; to change it,"
    " stop all of them and wait for 15 seconds.",
    "database-in-use": "Name another database in `database_url`, or start hosts on this one.",
    "database-role-unsuitable": "Name in `database_url` the role that `cordbox database init`"
    " has made, or take the right away that the message names.",
    "database-tables-not-ready": "Run the command that the message names, as an administrator of"
    " the database.",
    "database-unsuitable": "Make a database as docs/how-to/postgresql.md says, or set the server's"
    " parameter that the message names.",
    "database-url-invalid": "Write `postgresql://user@host:port/database`, or"
    " `postgresql://user@/database?host=/folder` for a UNIX socket; put the password in its file.",
    "node-schema-missing": "Restore the database: a vault is never made anew in place of a"
    " lost one.",
}
"""Code -> remedy."""
