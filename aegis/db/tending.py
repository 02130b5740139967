"""The owner's function by which a role that owns no partition has them detached, dropped and attached again.

Everything that needs ownership is in it, each act on its own, so that what Aegis looks at in between stays
Aegis's. It serves the partitions of the tables that are written into it and no other: one that is in such a
table now, or that it has detached from there itself, which a comment on a constraint of it says. PostgreSQL.
"""

from collections.abc import Sequence
from typing import Final, Literal

import sqlalchemy as sa

from aegis.db.rights import quoted, within

#: What it is called where rights are granted.
SIGNATURE: Final = "aegis.tend_partition(text, regclass)"
#: Keeps a detached partition as it was, so that it can be attached again.
CHECK: Final = "aegis_detached"
Act = Literal["open", "detach", "lock", "prove", "attach", "drop"]


def function(connection: sa.Connection, roots: Sequence[sa.TableClause]) -> str:
    """Return the statements that create it for the partitions of some tables, as their owner."""
    places = [[within(connection, root.schema), root.name] for root in roots]
    names = [".".join(quoted(connection.dialect, part) for part in place) for place in places]
    tended = ", ".join(f"to_regclass('{name.replace(_QUOTE, 2 * _QUOTE)}')" for name in names)
    return _FUNCTION.replace("ROOTS", tended).replace("CHECK_NAME", CHECK)


def tends(connection: sa.Connection, qualified: str) -> bool:
    """Whether the function is there for a partitioned table, and the role may call it."""
    there = sa.text("SELECT has_function_privilege(to_regprocedure(:signature), 'EXECUTE')")
    if not connection.scalar(there, {"signature": SIGNATURE}):
        return False
    return bool(connection.scalar(_CALL, {"act": "may", "name": qualified}))


def tend(connection: sa.Connection, act: Act, qualified: str) -> None:
    """Do one act on a partition, in the open transaction.

    Args:
        connection: the data source.
        act: `open`: let the role read its rows by the columns that it may read of the whole table.
        qualified: the partition, quoted.

    """
    connection.execute(_CALL, {"act": act, "name": qualified})


_QUOTE: Final = "'"
_CALL: Final = sa.text("SELECT aegis.tend_partition(:act, CAST(:name AS regclass))")
_FUNCTION: Final = """
CREATE OR REPLACE FUNCTION aegis.tend_partition(act text, leaf regclass) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $aegis$
DECLARE
  roots CONSTANT oid[] := ARRAY[ROOTS]::oid[];
  parent regclass;
  kept text;
  bound text;
  belongs text;
  readable text;
BEGIN
  IF act = 'may' THEN
    RETURN leaf::oid = ANY (roots);
  END IF;
  IF act IN ('open', 'detach') THEN
    SELECT i.inhparent::regclass INTO parent FROM pg_inherits AS i WHERE i.inhrelid = leaf;
  ELSE
    SELECT obj_description(c.oid, 'pg_constraint') INTO kept FROM pg_constraint AS c
      WHERE c.conrelid = leaf AND c.conname = 'CHECK_NAME';
    parent := split_part(kept, ' ', 1)::oid::regclass;
  END IF;
  IF parent IS NULL OR NOT COALESCE(pg_partition_root(parent)::oid = ANY (roots), FALSE) THEN
    RAISE insufficient_privilege USING MESSAGE = format('%s is no partition that Aegis tends', leaf);
  END IF;
  CASE act
    WHEN 'open' THEN
      SELECT string_agg(quote_ident(a.attname), ', ') INTO readable FROM pg_attribute AS a
        WHERE a.attrelid = parent AND a.attnum > 0 AND NOT a.attisdropped
          AND has_column_privilege(session_user, parent, a.attnum, 'SELECT');
      EXECUTE format('GRANT SELECT (%s) ON %s TO %I', readable, leaf, session_user);
    WHEN 'detach' THEN
      bound := (SELECT pg_get_expr(c.relpartbound, c.oid) FROM pg_class AS c WHERE c.oid = leaf);
      belongs := pg_get_partition_constraintdef(leaf);
      EXECUTE format('ALTER TABLE %s DETACH PARTITION %s', parent, leaf);
      EXECUTE format('ALTER TABLE %s ADD CONSTRAINT CHECK_NAME CHECK (%s) NOT VALID', leaf, belongs);
      EXECUTE format('COMMENT ON CONSTRAINT CHECK_NAME ON %s IS %L', leaf, parent::oid || ' ' || bound);
    WHEN 'lock' THEN
      EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', leaf);
    WHEN 'prove' THEN
      EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT CHECK_NAME', leaf);
    WHEN 'attach' THEN
      bound := substr(kept, strpos(kept, ' ') + 1);
      EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s %s', parent, leaf, bound);
      EXECUTE format('ALTER TABLE %s DROP CONSTRAINT CHECK_NAME', leaf);
    WHEN 'drop' THEN
      EXECUTE format('DROP TABLE %s RESTRICT', leaf);
  END CASE;
  RETURN TRUE;
END
$aegis$;
REVOKE ALL ON FUNCTION aegis.tend_partition(text, regclass) FROM PUBLIC;
"""
