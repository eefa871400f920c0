"""Refusals of entity schemas: invalid declarations, and stored entities that do not fit."""

from host.domain.errors import ConflictError, InvalidInputError


class EntityDeclarationError(InvalidInputError):
    """A CPK declares an invalid query, migration or index of an entity."""

    code = "entity-declaration-invalid"


class EntityMigrationError(InvalidInputError):
    """A stored entity does not fit the new schema; the vault is unchanged."""

    code = "entity-migration-failed"


class EntitySchemaTooNewError(ConflictError):
    """The vault's entities have a newer version than this CPI's."""

    code = "entity-schema-too-new"
