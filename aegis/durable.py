"""What lasts through a crash of the machine."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last: of files that were made, replaced or removed in it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
