"""Refusals of entity schemas: what is declared, and what a vault holds already."""

from host.domain.errors import ConflictError, InvalidInputError


class EntityDeclarationError(InvalidInputError):
    """A CPK declares a query, migration or index of an entity that cannot work."""

    code = "entity-declaration-invalid"


class EntityMigrationError(InvalidInputError):
    """A stored entity does not fit the new schema: the vault stays as it was."""

    code = "entity-migration-failed"


class EntitySchemaTooNewError(ConflictError):
    """The vault's entities were migrated to a newer version than this CPI's."""

    code = "entity-schema-too-new"
