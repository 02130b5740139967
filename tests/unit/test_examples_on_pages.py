"""The examples of the documentation that are no commands: each is read by what would read it."""

import ast
import importlib
import inspect
import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from aegis.datamap.formats import Problems
from aegis.datamap.reading import parse_map
from aegis.operations.table import ROUTES
from aegis.retention import files
from aegis.settings import load_settings
from tests.pages import PAGES, Block, blocks, every
from tests.workerkit import ROOT

#: Languages of blocks: commands, Python and SQL are for the reader of the page, the others are read below.
LANGUAGES: Final = frozenset({"console", "python", "sql", "toml", "yaml", "json", "text"})
#: Beginning of a text that no command of its page prints → where it is made or tested, and words from there.
TEXTS: Final = {
    "…\n4. Preview: what would go": ("cli/demo/retention.py", "what would go or be masked, counted"),
    "c2sp.org/tlog-proof@v1": ("tests/unit/test_audit_proofs.py", "c2sp.org/tlog-proof@v1"),
    "budget acme has 0.30 left": ("tests/integration/test_budgets.py", "left, this release needs"),
    "aegis/v1/message LF": ("tests/unit/test_producers.py", "aegis/v1/message"),
    "data source app: a right is missing": ("aegis/db/engines.py", "as the owner: GRANT"),
    "aegis: policies.yaml:4:": ("tests/unit/test_policy_files.py", "did you mean"),
}


def test_every_block_is_run_or_read() -> None:
    """A block has a language that something reads, and a console begins with a command."""
    found = [block for page in PAGES for block in blocks(page)]
    assert len(found) > 100
    assert [str(block) for block in found if block.language not in LANGUAGES] == []
    assert [str(one) for one in every("console") if not one.text.startswith("$ ")] == []
    indented = r"^(?!.*\|)    (?:\$ )?(?:aegis|docker|kubectl|pip|python) "
    assert [page.name for page in PAGES if re.search(indented, page.read_text("utf-8"), re.MULTILINE)] == []


def test_every_text_is_made_somewhere() -> None:
    """What is shown without a command is named above, and is made or tested there in these words."""
    begun = {
        beginning
        for block in every("text")
        for beginning in [next((one for one in TEXTS if block.text.startswith(one)), str(block))]
    }
    assert begun == set(TEXTS)
    for file, words in TEXTS.values():
        assert words in (ROOT / file).read_text("utf-8"), file


def test_every_page_with_commands_has_a_reader() -> None:
    """A page with a console, Python or SQL is named by an acceptance test, which reads all of it."""
    tests = [path.read_text("utf-8") for path in (Path(__file__).parents[1] / "acceptance").glob("*.py")]
    pages = {block.page.name for block in every("console", "python", "sql")}
    assert len(pages) > 15
    assert [page for page in pages if not any(f'"{page}"' in text for text in tests)] == []


@pytest.mark.parametrize("block", every("toml"), ids=str)
def test_settings(block: Block, tmp_path: Path) -> None:
    """A piece of `aegis.toml` has no key that is unknown, and no value of a wrong type."""
    (tmp_path / "aegis.toml").write_text(block.text, "utf-8")
    where = (
        {"AEGIS_DATASOURCES__APP__URL": "postgresql://aegis@db/app"} if "[datasources" in block.text else {}
    )
    load_settings(where, tmp_path)


@pytest.mark.parametrize("block", every("yaml"), ids=str)
def test_maps_and_policies(block: Block) -> None:
    """A data map and a policy file are read without a fault; a Compose file has a test of its own."""
    if block.text.startswith("policies:"):
        problems = Problems(file=str(block))
        assert files.parse(block.text, problems)
        problems.refuse()
    elif "services:" in block.text:
        assert yaml.safe_load(block.text)["services"]
    else:
        parse_map(block.text, str(block))


@pytest.mark.parametrize("block", every("json"), ids=str)
def test_documents(block: Block) -> None:
    """Each is JSON, one or several behind each other."""
    rest = block.text.strip()
    while rest:
        found, end = json.JSONDecoder().raw_decode(rest)
        assert isinstance(found, dict)
        rest = rest[end:].strip()


@pytest.mark.parametrize("block", every("python"), ids=str)
def test_python(block: Block) -> None:
    """It compiles, its imports are there, and what it calls takes these arguments."""
    tree = ast.parse(block.text)
    names: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            exec(ast.unparse(node), names)  # noqa: S102 - our own page
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (called := _called(node, names)):
            bind(called, node)


def bind(called: Any, node: ast.Call) -> None:
    """Let a function's signature take a call."""
    given = {word.arg: None for word in node.keywords if word.arg}
    inspect.signature(called).bind_partial(*node.args, **given)


def _called(node: ast.Call, names: dict[str, Any]) -> Any:
    if isinstance(node.func, ast.Name):
        found = names.get(node.func.id)
        return found if inspect.isfunction(found) or inspect.isclass(found) else None
    return None


def test_messages() -> None:
    """A task that is sent by name is one for its queue, and takes these arguments."""
    sent = [
        (block, node)
        for block in every("python")
        for node in ast.walk(ast.parse(block.text))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "app.send_task"
    ]
    assert len(sent) > 5
    modules = (
        importlib.import_module(f"tasks.{name}") for name in ("audit", "erasure", "federated", "retention")
    )
    registered = {task.name: task for one in modules for task in vars(one).values() if hasattr(task, "delay")}
    for block, node in sent:
        if not isinstance(node.args[0], ast.Constant):
            continue
        words = {word.arg: ast.literal_eval(word.value) for word in node.keywords if word.arg}
        task = str(node.args[0].value)
        assert ROUTES[task] == words["queue"], block
        inspect.signature(registered[task].run).bind(**words["kwargs"])
