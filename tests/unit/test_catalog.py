"""The live schema in one picture: what is remembered of it from one look to the next."""

import sqlalchemy as sa

from aegis.db.catalog import read_catalog


def test_a_table_is_another_one_when_anything_of_it_changed() -> None:
    """As long as it stands as before it is the same object; a column, key, rule or type more makes it new."""
    with sa.create_engine("sqlite://").connect() as connection:

        def look() -> object:
            return read_catalog(connection).tables["t"]

        connection.exec_driver_sql("CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR(9))")
        seen = [look()]
        assert look() is seen[0]
        for change in (
            "ALTER TABLE t ADD COLUMN b INT",
            "CREATE INDEX t_a ON t (a)",
            "CREATE UNIQUE INDEX t_b ON t (b)",
            "DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR(8))",
            "DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR(8) NOT NULL)",
            "DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, a VARCHAR(8) NOT NULL DEFAULT 'x')",
            "DROP TABLE t; CREATE TABLE t (id INTEGER, a VARCHAR(8) NOT NULL DEFAULT 'x' PRIMARY KEY)",
        ):
            for statement in change.split("; "):
                connection.exec_driver_sql(statement)
            assert all(look() is not earlier for earlier in seen), change
            seen.append(look())
