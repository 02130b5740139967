"""A setting that a text of the code names is one that Aegis reads."""

import dataclasses
import re
from typing import Final, get_type_hints

from aegis.settings import Settings
from tests.texts import Named, texts

#: section → the names of its settings.
_SECTIONS: Final = {
    name: {field.name for field in dataclasses.fields(hint)}
    for name, hint in get_type_hints(Settings).items()
    if dataclasses.is_dataclass(hint)
}
_WHOLE: Final = {field.name for field in dataclasses.fields(Settings)}
#: As `operations.journal_days`; neither a file such as `worker.key` nor the name of a module.
_SETTING: Final = re.compile(rf"(?<![\w.:/\[-])({'|'.join(_SECTIONS)})\.(?!key\b|jsonl\b)([a-z_]+)(?![\w.(])")
_VARIABLE: Final = re.compile(r"\bAEGIS_([A-Z]+(?:_[A-Z]+)*)(?:__([A-Z_]+))?\b")


def settings() -> list[Named]:
    """Return the settings that sentences name: `section.name`, or the name of one of no section."""
    found = set()
    for place, text in texts():
        if " " in text:
            found |= {Named(place, f"{name[1]}.{name[2]}") for name in _SETTING.finditer(text)}
            variables = [[part.lower() for part in name.groups("")] for name in _VARIABLE.finditer(text)]
            # Of the data sources each is called by its own name.
            found |= {
                Named(place, ".".join(filter(None, parts)))
                for parts in variables
                if parts[0] != "datasources"
            }
    return sorted(found)


def is_setting(name: str) -> bool:
    """Say whether the settings have one of this name."""
    section, _, own = name.rpartition(".")
    # AEGIS_CONFIG says where the others are.
    return own in _SECTIONS.get(section, ()) if section else own in {*_WHOLE, "config"}


def test_every_setting_that_a_text_names_is_one() -> None:
    """Somebody looks for it in `aegis.toml`, or sets the variable: it is read."""
    found = settings()
    assert [f"{place}: {name}" for place, name in found if not is_setting(name)] == []
    assert {"retention.count_seconds", "broker_url"} <= {name for _, name in found}


def test_what_is_no_setting_is_told() -> None:
    """Neither a wrong name nor a wrong section is one."""
    assert is_setting("operations.journal_days")
    assert is_setting("broker_url")
    assert not any(map(is_setting, ["operations.journal", "federated.journal_days", "broker", "x.y"]))
