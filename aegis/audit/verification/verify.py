"""Verification: that the log in the database is the one that was written, signed and published.

One snapshot, read once. First the head: a key that signs now has to have signed it. Then the tree
over the leaf hashes, every tile and every stored checkpoint; then each entry against its leaf, and
its columns against the entry; then that nothing lies beside the log, and what it says of itself.
"""

from typing import Final

import sqlalchemy as sa

from aegis.audit import head, witness
from aegis.audit.actions import Outcome
from aegis.audit.head import State
from aegis.audit.tlog import merkle, tiles, trust
from aegis.audit.tlog.notes import Note, Verifier
from aegis.audit.tlog.trust import Policy
from aegis.audit.verification import checkpoints, history, places, tree
from aegis.audit.verification.checkpoints import Checkpoints, Newest
from aegis.audit.verification.comparing import Comparison
from aegis.audit.verification.findings import Finding, Findings, Kind, Report, Said, Tell
from aegis.audit.verification.history import History
from aegis.audit.verification.tree import Tree
from aegis.db.columns import table_of
from aegis.db.engines import CONTROL, Databases, snapshot
from aegis.db.tables import AuditLeaf, AuditLog, AuditTile, AuditWitness
from aegis.errors import NotPrepared, Tampered, UsageError
from aegis.settings import masked

#: Intents that are listed.
MOST_INTENTS: Final = 1000


def verify(
    databases: Databases,
    policy: Policy,
    *,
    published: Note | None,
    since: int = 0,
    columns: bool = True,
    on_progress: Tell | None = None,
) -> Report:
    """Verify the log.

    Who has stolen the key that signs now can write another log that passes; a witness objects to it.

    Args:
        databases: the control database is one of them.
        policy: whom to trust, and the keys that were retired.
        published: the newest checkpoint that is known from elsewhere.
        since: entries before this leaf are taken as they are; the tree and all the rest are not.
        columns: compare columns and sealed details too, not hashes only.
        on_progress: is told how far it has come.

    Raises:
        NotPrepared: there is no log, and nothing says that there ever was one.
        UsageError: `since` is no leaf.
        Unreachable: the database does not answer: it cannot be told.

    """
    if since < 0:
        message = f"since must be the number of a leaf, not {since}"
        raise UsageError(message)
    with snapshot(databases.control, CONTROL) as connection:
        work = _Verification(connection, policy, on_progress or (lambda _: None))
        return work.do(published, since, columns=columns)


def verify_witnessed(
    databases: Databases,
    policy: Policy,
    *,
    url: str,
    key: Verifier | None = None,
    send: witness.Post = witness.post,
) -> tuple[Finding, ...]:
    """Ask a witness whether the log has grown out of what it has seen.

    Args:
        databases: the control database is one of them.
        policy: names the witness's key, unless it is given.
        url: the witness's submission prefix.
        key: the witness's own key.
        send: how to post.

    Raises:
        UsageError: no witness of the policy has this URL.
        NotPrepared: nothing was sealed yet.
        Unreachable: it does not answer: it cannot be told.
        OperationFailed: it does not know this log, or answers what it may not.

    """
    key = key or _witness_key(policy, url)
    with snapshot(databases.control, CONTROL) as connection:
        note = head.newest(connection)
        known = connection.scalar(sa.select(AuditWitness.size).where(AuditWitness.vkey == key.vkey))
    if note is None:
        message = "nothing was sealed yet, so there is nothing to show to a witness; run `aegis audit seal`"
        raise NotPrepared(message)
    findings = Findings()
    shown = checkpoints.trusted(note, policy, findings)
    if shown:
        node, known = head.nodes(databases.control), shown.size if known is None else known
        try:
            witness.submit(note, url=url, key=key, known_size=known, node=node, send=send)
        except Tampered as fault:
            expected, got = Said(text="a log that grew out of what it has seen"), Said(text=str(fault))
            findings.add(Kind.WITNESS, leaf=shown.size, column=key.name, expected=expected, got=got)
    return findings.kept


class _Verification:
    """One verification."""

    def __init__(self, connection: sa.Connection, policy: Policy, tell: Tell) -> None:
        self._connection = connection
        self._policy = policy
        self._tell = tell
        self._findings = Findings()

    def do(self, published: Note | None, since: int, *, columns: bool) -> Report:
        """Do it."""
        state = head.begun(self._connection)
        newest = checkpoints.newest(self._connection, self._policy, self._findings)
        size = self._size(state, newest, published)
        made = self._tree(size, newest)
        told = history.read(self._connection, made, since, self._findings)
        heads = Checkpoints(tree=made, policy=self._policy, history=told, findings=self._findings)
        witnessed = heads.check_stored(self._connection)
        if published:
            heads.check_published(published, state.origin if state else None)
        covered = self._history(state, made, told)
        comparison = Comparison(self._connection, made, covered, self._findings, columns=columns)
        comparison.compare(since, self._tell)
        if columns:
            comparison.waiting()
        places.check(self._connection, size, None if since else comparison.missing, self._findings)
        return Report(
            size=size,
            checked=comparison.checked,
            findings=self._findings.kept,
            found=self._findings.count,
            intents=_intents(self._connection),
            unwitnessed=0 if self._policy.quorum == trust.NONE else size - witnessed,
        )

    def _size(self, state: State | None, newest: Newest | None, published: Note | None) -> int:
        """Return how many leaves there have to be, and compare what says so."""
        found = newest.size if newest else 0
        leaves = sa.select(sa.func.max(AuditLeaf.leaf))
        if state is None:
            placed = self._connection.scalar(leaves)
            if newest is None and published is None and placed is None:
                message = (
                    "the audit log has no signing key yet, so there is nothing to verify; run "
                    "`aegis audit keys init` where it is to be sealed"
                )
                raise NotPrepared(message)
            self._differs("size", Said(text="the log's state"), None)
            return found or self._stored(0 if placed is None else placed + 1)
        if state.size != found:
            self._differs("size", Said(text=f"a checkpoint of {state.size} leaves"), found)
        if newest and newest.trusted:
            if newest.trusted.origin != state.origin:
                self._differs("origin", Said(text=newest.trusted.origin), state.origin)
            # What was signed counts.
            return newest.trusted.size
        return self._stored(state.size)

    def _stored(self, size: int) -> int:
        """Return a size that nobody signed, but no more than there can be leaves for."""
        level = sa.select(sa.func.count()).select_from(AuditTile).where(AuditTile.level == 0)
        return min(size, int(self._connection.scalar(level) or 0) * tiles.WIDTH)

    def _tree(self, size: int, newest: Newest | None) -> Tree:
        trusted = newest.trusted if newest else None
        signed = trusted.root if trusted and trusted.size == size else None
        signed = merkle.EMPTY if size == 0 else signed
        return tree.recompute(self._connection, size, signed, self._findings, self._tell)

    def _history(self, state: State | None, made: Tree, told: History) -> int:
        """Compare the log's tables with what it says of itself; return where its entries may begin."""
        history.check_keys(self._connection, told, self._policy, self._findings)
        if state is None:
            return 0
        if state.incarnation != told.incarnation:
            self._differs("incarnation", told.incarnation, state.incarnation)
        history.check_sums(self._connection, told, state.minimum, self._findings)
        return history.check_prunes(made, told, state.minimum, self._findings)

    def _differs(self, column: str, expected: object, got: object) -> None:
        self._findings.add(Kind.STATE, column=column, expected=expected, got=got)


def _intents(connection: sa.Connection) -> tuple[str, ...]:
    """Return the events that announced an act of which nothing more was recorded."""
    other = table_of(AuditLog).alias()
    told = sa.exists().where(
        other.c.correlation_id == AuditLog.correlation_id, other.c.outcome != Outcome.INTENT
    )
    query = sa.select(AuditLog.id).where(AuditLog.outcome == Outcome.INTENT, ~told)
    return tuple(connection.scalars(query.order_by(AuditLog.id).limit(MOST_INTENTS)))


def _witness_key(policy: Policy, url: str) -> Verifier:
    found = [
        known.key for known in policy.witnesses if known.url and known.url.rstrip("/") == url.rstrip("/")
    ]
    if not found:
        urls = ", ".join(masked(known.url) for known in policy.witnesses if known.url) or "none"
        message = f"no witness of the policy has the URL {masked(url)}; these do: {urls}. Name its key"
        raise UsageError(message)
    return found[0]
