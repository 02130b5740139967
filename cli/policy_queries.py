"""`aegis policy show --sql`: the queries that an auditor runs."""

from aegis.audit.events import stamp
from aegis.errors import UsageError
from aegis.retention.queries import Queries
from cli import output


def show(found: Queries, *, as_json: bool) -> None:
    """Print a script that a client of the database takes as it is, or one JSON document.

    Raises:
        UsageError: a value would steer the terminal.

    """
    if as_json:
        output.print_json(
            {
                "policy": found.policy.name,
                "version": found.policy.version,
                "digest": found.policy.digest,
                "datasource": found.policy.datasource,
                "dialect": found.dialect,
                "at": found.moment,
                "row_holds": found.row_holds,
                "session": found.session,
                "queries": [{"action": query.action, "sql": query.sql} for query in found.queries],
            }
        )
        return
    script = _script(found)
    if output.printable(script.replace("\n", "")) != script.replace("\n", ""):
        message = "a value in the query has control characters; take it from --json"
        raise UsageError(message)
    output.say(script)


def _script(found: Queries) -> str:
    policy = found.policy
    whose = f"version {policy.version}, data source {policy.datasource} ({found.dialect})"
    lines = [
        f"-- Policy {policy.name}, {whose}",
        f"-- The rows that it would take at {stamp(found.moment)}; Aegis has not run this.",
    ]
    if found.row_holds:
        holds = output.counted(found.row_holds, "legal hold")
        lines.append(f"-- {holds} on single rows left out: which rows is sealed, so they are among these.")
    lines += [f"{statement};" for statement in found.session]
    for query in found.queries:
        lines += ["", f"-- {query.action}", f"{query.sql};"]
    return "\n".join(lines)
