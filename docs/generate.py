"""Write the pages that follow from the code: `python -m docs.generate`.

What is written is committed; a test writes it anew and compares.
"""

from pathlib import Path
from typing import Final

from docs import commands_page, configuration_page

FOLDER: Final = Path(__file__).parent


def pages() -> dict[str, str]:
    """Return each page by its file's name."""
    return {"configuration.md": configuration_page.text(), "commands.md": commands_page.text()}


if __name__ == "__main__":
    for name, text in pages().items():
        (FOLDER / name).write_text(text, "utf-8")
