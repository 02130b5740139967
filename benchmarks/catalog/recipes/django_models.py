"""Tell the tables of a Django project from its models, in the types of PostgreSQL; no server is needed.

Arguments: the module of settings, the file to write. (Settings like to greet on standard output.)
"""

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any


def _line(table: str, field: Any, connection: Any) -> list[Any]:
    target = None
    if field.remote_field and field.db_parameters(connection)["type"] is not None:
        other = field.target_field
        target = f"{other.model._meta.db_table}.{other.column}"  # noqa: SLF001 - Django's documented API
    kind = field.db_parameters(connection)["type"]
    return [table, field.column, kind, field.null, field.primary_key, target]


def main(settings: str, file: str) -> None:
    """Write [table, column, type, nullable, primary key, target] of every column, as JSON."""
    os.environ["DJANGO_SETTINGS_MODULE"] = settings
    # Kolibri has its libraries, Django too, in a folder of its own and its data in a home.
    package = importlib.util.find_spec(settings.partition(".")[0])
    sys.path.append(str(Path(str(package and package.origin)).parent / "dist"))
    os.environ["KOLIBRI_HOME"] = str(Path(file).parent / "home")
    import django  # noqa: PLC0415 - reads the settings
    from django.apps import apps  # noqa: PLC0415 - the same
    from django.conf import settings as read  # noqa: PLC0415 - the same
    from django.db.backends.postgresql.base import DatabaseWrapper  # noqa: PLC0415 - the same

    # Each installation of wger adds its own.
    read.SECRET_KEY = "none"  # noqa: S105 - nothing is protected by it
    django.setup()
    connection = DatabaseWrapper({"NAME": "none", "OPTIONS": {}, "TIME_ZONE": None}, "default")
    models = apps.get_models(include_auto_created=True)
    lines = [
        _line(model._meta.db_table, field, connection)  # noqa: SLF001 - Django's documented API
        for model in models
        if model._meta.managed and not model._meta.proxy  # noqa: SLF001 - the same
        for field in model._meta.local_concrete_fields  # noqa: SLF001 - the same
    ]
    Path(file).write_text(json.dumps(lines), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
