"""Settings read from `aegis.toml` and the environment."""

import contextlib
import dataclasses
import os
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from aegis.errors import SettingsError
from aegis.settings.checks import check
from aegis.settings.model import ExportSettings, Settings, SourceSettings

#: What people call the types of values.
_KINDS: Final[Mapping[Any, str]] = {
    str: "text",
    Path: "the path of a file or folder",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}


def load_settings(environ: Mapping[str, str] | None = None, folder: Path | None = None) -> Settings:
    """Read `aegis.toml` and the environment.

    Args:
        environ: the environment; default: the process's.
        folder: the working folder; default: the process's.

    Raises:
        SettingsError: a key is unknown, a value has the wrong type, or they contradict.

    """
    environ = os.environ if environ is None else environ
    folder = Path.cwd() if folder is None else folder
    data = _read_file(environ, folder)
    for name, value in environ.items():
        if name.startswith("AEGIS_") and name != "AEGIS_CONFIG":
            _put(data, name.removeprefix("AEGIS_").lower().split("__"), value, name)
    settings: Settings = _build(Settings, data, "")
    sources = {name: _placed(source, folder) for name, source in settings.datasources.items()}
    exports = {name: _reached(export, folder) for name, export in settings.audit.exports.items()}
    audit = dataclasses.replace(settings.audit, exports=exports)
    settings = dataclasses.replace(settings, home=folder / settings.home, datasources=sources, audit=audit)
    check(settings)
    return settings


def _placed(source: SourceSettings, folder: Path) -> SourceSettings:
    """Return a source whose files are found from any working folder."""
    copies = {
        name: dataclasses.replace(copy, secret_file=copy.secret_file and folder / copy.secret_file)
        for name, copy in source.copies.items()
    }
    return dataclasses.replace(source, datamap=source.datamap and folder / source.datamap, copies=copies)


def _reached(export: ExportSettings, folder: Path) -> ExportSettings:
    """Return an export whose files are found from any working folder."""
    cursor, authorization = (path and folder / path for path in (export.cursor, export.authorization_file))
    to = export.to if export.to == "-" or "://" in export.to else str(folder / export.to)
    return dataclasses.replace(export, to=to, cursor=cursor, authorization_file=authorization)


def _read_file(environ: Mapping[str, str], folder: Path) -> dict[str, Any]:
    named = environ.get("AEGIS_CONFIG")
    path = folder / (named or "aegis.toml")
    if not path.exists():
        if named:
            message = f"AEGIS_CONFIG names {path}, which does not exist"
            raise SettingsError(message)
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"{path} is not valid TOML in UTF-8: {error}"
        raise SettingsError(message) from error


def _put(data: dict[str, Any], path: list[str], value: str, variable: str) -> None:
    for part in path[:-1]:
        below: Any = data.setdefault(part, {})
        if not isinstance(below, dict):
            message = f"{variable} goes below {part!r}, which is a plain value"
            raise SettingsError(message)
        data = below
    data[path[-1]] = value


def _build(kind: Any, data: Any, where: str) -> Any:
    if not isinstance(data, dict):
        message = f"setting {where.rstrip('.')}: expected a table, got {_kind(data)}"
        raise SettingsError(message)
    hints = get_type_hints(kind)
    unknown = sorted(set(data) - set(hints))
    if unknown:
        message = f"unknown setting {where}{unknown[0]!s}; known here: {', '.join(sorted(hints))}"
        raise SettingsError(message)
    missing = [
        f.name
        for f in dataclasses.fields(kind)
        if f.default is dataclasses.MISSING
        and f.default_factory is dataclasses.MISSING
        and f.name not in data
    ]
    if missing:
        message = f"setting {where}{missing[0]} is missing"
        raise SettingsError(message)
    return kind(**{name: _value(hints[name], value, f"{where}{name}") for name, value in data.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    if get_origin(hint) in (types.UnionType, typing.Union):
        hint = next(option for option in get_args(hint) if option is not type(None))
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, f"{where}.")
    if get_origin(hint) is Mapping:
        return _table(get_args(hint)[1], value, where)
    if get_origin(hint) is tuple:
        return _texts(value, where)
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            choices = ", ".join(map(str, get_args(hint)))
            message = f"setting {where}: expected one of {choices}"
            raise SettingsError(message)
        return value
    if hint is bool:
        return _switch(value, where)
    fits = not isinstance(value, bool) and (hint not in {str, Path} or isinstance(value, str))
    with contextlib.suppress(TypeError, ValueError):
        if fits:
            return hint(value)
    message = f"setting {where}: expected {_KINDS[hint]}, got {_kind(value)}"
    raise SettingsError(message)


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "something else")


def _switch(value: Any, where: str) -> bool:
    """Return a truth value; in the environment it is `true` or `false`."""
    found = {"true": True, "false": False}.get(value.strip().lower()) if isinstance(value, str) else value
    if isinstance(found, bool):
        return found
    message = f"setting {where}: expected true or false"
    raise SettingsError(message)


def _table(kind: Any, value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        message = f"setting {where}: expected tables like [{where}.app]"
        raise SettingsError(message)
    return {name: _build(kind, item, f"{where}.{name}.") for name, item in value.items()}


def _texts(value: Any, where: str) -> tuple[str, ...]:
    found = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
    if isinstance(found, list) and all(isinstance(part, str) and part for part in found):
        return tuple(found)
    message = f'setting {where}: expected a list of texts, such as ["billing.privacy"]'
    raise SettingsError(message)
