"""The relay: moves events from a data source's journal into the log, each exactly once.

Two commits: first the log (control database), then the note in the journal. Killed between them,
the next relay finds the rows in the log already and only repeats the note. Both sides count what
was relayed, ever; a difference that no relay at work explains says which side was restored from a
backup. They are compared before a source is used and before a row is moved: a row that is written
to a restored source would hide what it lacks.
"""

from dataclasses import dataclass
from typing import NoReturn

import sqlalchemy as sa

from aegis.audit.actions import Action
from aegis.audit.recorder import Note, Recorder
from aegis.audit.transfer import Reverted, Transfer
from aegis.db.engines import CONTROL, Databases, reading
from aegis.db.tables import Source
from aegis.errors import Refused, Tampered


@dataclass(frozen=True, kw_only=True)
class Relayed:
    """What one call moved."""

    datasource: str
    #: Rows of the journal that are new in the log.
    rows: int = 0


class Relay:
    """Relays the journals of data sources."""

    def __init__(self, databases: Databases, recorder: Recorder, mac_key: bytes) -> None:
        self._databases = databases
        self._recorder = recorder
        self._mac_key = mac_key

    def register(self, name: str) -> None:
        """Let a source be used; note it on its first use.

        Raises:
            Refused: it was restored, replaced or tampered with; nothing runs on it.

        """
        transfer = Transfer(name=name, databases=self._databases, mac_key=self._mac_key)
        self._log_is_behind(transfer)

    def registered(self) -> list[str]:
        """Return the configured sources that were ever used; the others have nothing to relay."""
        with reading(self._databases.control, CONTROL) as connection:
            known = set(connection.scalars(sa.select(Source.name)))
        return sorted(known & set(self._databases.settings.sources))

    def relay(self, name: str) -> Relayed:
        """Move everything that waits in one source.

        Raises:
            Tampered: a row does not fit its MAC, or numbers have a gap; nothing of it was taken.
            Refused: the source was restored or replaced; a person decides.

        """
        transfer = Transfer(name=name, databases=self._databases, mac_key=self._mac_key)
        moved = 0
        if self._log_is_behind(transfer):
            transfer.offer_again()
        try:
            while entries := transfer.waiting():
                moved += transfer.to_log(entries)
                transfer.note(entries)
        except Tampered as finding:
            self._tampered(transfer, finding)
        except Reverted as finding:
            self._alarm(transfer, finding)
        if transfer.note_due:
            transfer.caught_up()
        return Relayed(datasource=name, rows=moved)

    def _log_is_behind(self, transfer: Transfer) -> bool:
        """Return whether the log lacks what it had: refuse a source whose journal does."""
        if transfer.register():
            return False
        try:
            return transfer.compare()
        except Reverted as finding:
            self._alarm(transfer, finding)

    def recheck(self, name: str) -> None:
        """Look again at what waits in a source that was tampered with.

        Raises:
            Tampered: it still does not fit.

        """
        Transfer(name=name, databases=self._databases, mac_key=self._mac_key).waiting()

    def _tampered(self, transfer: Transfer, finding: Tampered) -> NoReturn:
        message = (
            f"data source {transfer.name}: {finding}. Somebody changed Aegis's journal there: nothing more "
            "is taken from it, and nothing runs on it. Find out who and what; bring the rows back as they "
            f"were from a backup, then `aegis retention resume --datasource {transfer.name}`"
        )
        note = Note(
            action=Action.RETENTION_TAMPERED,
            actor="system",
            target_type="source",
            target_id=transfer.name,
            outcome="failure",
            details={"datasource": transfer.name, "reason": str(finding)},
        )
        transfer.stop("tampered", message, self._recorder.prepare(note))
        raise Tampered(message) from None

    def _alarm(self, transfer: Transfer, finding: Reverted) -> NoReturn:
        missing = transfer.missing()
        named = ", ".join(f"{shard} batches {first} to {last}" for shard, (first, last) in missing.items())
        message = (
            f"data source {transfer.name}: its journal is behind the log ({finding}): it was restored, or "
            f"an older replica was promoted. It lacks {named or 'rows that the log has'}: what went with "
            "them is there again. Its runs are held; compare both sides, then "
            f"`aegis retention resume --datasource {transfer.name}` accounts for it and lets the source go on"
        )
        details = {
            "datasource": transfer.name,
            "expected": finding.expected,
            "found": finding.found,
            "first_missing": {shard: first for shard, (first, _) in missing.items()},
            "last_missing": {shard: last for shard, (_, last) in missing.items()},
        }
        note = Note(
            action=Action.RETENTION_REVERTED,
            actor="system",
            target_type="source",
            target_id=transfer.name,
            outcome="failure",
            details=details,
        )
        event = self._recorder.prepare(note)
        transfer.stop("reverted", message, event)
        raise Refused(message) from None
