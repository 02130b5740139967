"""What leaves the database after every seal: files under `AEGIS_HOME/audit` that a verifier begins with.

* `checkpoint`: the newest signed head. A database that is behind it was restored or cut off.
* `policy`: whom to trust now (C2SP tlog-policy), to be given to auditors.
* `retired`: keys that sign no more, each with the size of its last tree.
"""

import contextlib
import os
import tempfile
from pathlib import Path

from aegis.audit.tlog import notes, trust
from aegis.audit.tlog.notes import Note
from aegis.audit.tlog.trust import Policy
from aegis.errors import NotPrepared


class Published:
    """The folder of one home."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "audit"

    def checkpoint(self) -> Note | None:
        """Return the newest checkpoint that was published from here."""
        text = self._read("checkpoint")
        return None if text is None else notes.parse(text)

    def put_checkpoint(self, note: Note) -> None:
        """Publish a checkpoint, unless a larger one of the same log is out already."""
        known = self.checkpoint()
        if known:
            old, new = notes.checkpoint(known), notes.checkpoint(note)
            if old.origin == new.origin and old.size > new.size:
                return
        self._write("checkpoint", str(note))

    def policy(self) -> Policy:
        """Return whom to trust.

        Raises:
            NotPrepared: nothing was published here.

        """
        text = self._read("policy")
        if text is None:
            message = (
                f"there is no policy in {self.folder}: it is written where the log is sealed. Name the file "
                "that tells whom to trust with --policy"
            )
            raise NotPrepared(message)
        return trust.parse(text, self._read("retired") or "")

    def put_policy(self, policy: Policy) -> None:
        """Publish whom to trust."""
        self._write("policy", str(policy))
        self._write("retired", policy.retired_text)

    def _read(self, name: str) -> str | None:
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / name).read_text(encoding="utf-8")
        return None

    def _write(self, name: str, text: str) -> None:
        """Replace a file, so that a reader finds the old one or the new one."""
        self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        handle, fresh = tempfile.mkstemp(prefix=f".{name}-", dir=self.folder)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(fresh).chmod(0o644)
        Path(fresh).replace(self.folder / name)
