"""Write the dashboards: `python -m deploy.grafana.generate`.

What is written is committed; a test writes it anew and compares. Every panel says in its description
what it means and when somebody has to act.
"""

from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana.overview import overview
from deploy.grafana.processes import processes

FOLDER: Final = Path(__file__).parent / "dashboards"


def dashboards() -> dict[str, str]:
    """Return each dashboard as JSON by its file's name."""
    encoder = JSONEncoder(sort_keys=True, indent=2)
    made = {"aegis.json": overview(), "processes.json": processes()}
    return {name: encoder.encode(one.build()) + "\n" for name, one in made.items()}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in dashboards().items():
        (FOLDER / name).write_text(text, "utf-8")
