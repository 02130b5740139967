"""Files of other programs against their schemas, offline: those that check-jsonschema brings along."""

import subprocess
import sys
from pathlib import Path


def against_builtin(schema: str, *files: Path) -> None:
    """Check files against a schema of check-jsonschema's own."""
    ended = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *files],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
