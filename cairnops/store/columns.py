"""The texts of a table: of any length, in one order, and refused alike on every database."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from cairnops.errors import InputError


class Text(TypeDecorator[str]):
    """Text of any length, ordered by code point.

    Raises:
        InputError: on binding a text with a NUL character, which SQLite would keep and PostgreSQL cannot.
    """

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """PostgreSQL would refuse what is longer than stated, and order by the rules of some language."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.Text(collation="C"))
        return super().load_dialect_impl(dialect)

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """The text, if every database can keep it."""
        if value is not None and "\x00" in value:
            raise InputError("The text holds a NUL character, which cannot be kept.", hint="Delete it.")
        return value


class String(Text):
    """A short text; the length says what is usual and is not enforced."""

    impl = sa.String
    cache_ok = True
