"""`deploy/redis/render.sh`: an ACL file from passwords, whole or not at all."""

import hashlib
import secrets
import subprocess
from pathlib import Path

import pytest

from aegis.operations.table import ROUTES

SCRIPT = Path(__file__).parent.parent.parent / "deploy" / "redis" / "render.sh"
FILES = ("admin", "worker", "beat", "exporter", "producer_shop")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a password for everybody."""
    for name in FILES:
        (tmp_path / f"redis_{name}").write_text(secrets.token_hex(24) + "\n", "ascii")
    return tmp_path


def render(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Write `users.acl` beside the passwords."""
    command = ["sh", str(SCRIPT), str(folder), str(folder / "users.acl"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_passwords_stand_as_digests_for_the_owner_only(folder: Path) -> None:
    """Each line of a file is one, none stands there in clear, and `default` is nobody."""
    both = [secrets.token_hex(24), secrets.token_hex(24)]
    (folder / "redis_worker").write_text("\n".join(both), "ascii")
    assert render(folder, "shop=audit").returncode == 0
    written = folder / "users.acl"
    assert written.stat().st_mode & 0o777 == 0o600
    lines = {line.split()[1]: line.split() for line in written.read_text("ascii").splitlines()}
    assert lines.keys() == {"default", "admin", "worker", "beat", "exporter", "producer-shop"}
    digests = ["#" + hashlib.sha256(password.encode()).hexdigest() for password in both]
    assert [word for word in lines["worker"] if word.startswith("#")] == digests
    assert lines["default"][2:4] == ["off", "resetpass"]
    assert not any(word.startswith(("#", ">", "nopass")) for word in lines["default"])
    for name in FILES:
        assert (folder / f"redis_{name}").read_text("ascii").split()[0] not in written.read_text("ascii")


def test_all_queues_are_known(folder: Path) -> None:
    """A service may have each queue of Aegis; workers may write to queues of others."""
    for queue in set(ROUTES.values()):
        assert render(folder, f"shop={queue}", "worker=warehouse,big.one").returncode == 0
        text = (folder / "users.acl").read_text("ascii")
        assert f"%W~{queue} %R~aegis:status:*" in text
        assert "%W~warehouse %W~big.one ~unacked " in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "no argument says to which queues: shop=QUEUE"),
        (("shop=audit,mail",), "'mail' is no queue; they are: retention"),
        (("shop=audit,",), "'' is no queue"),
        (("shop=*",), "'*' is no queue"),
        (("shop",), "'shop': expected NAME=QUEUE"),
        (("shop=audit", "other=audit"), "redis_producer_other, the password of other"),
        (("shop=audit", "Sh*p=audit"), "lower-case letters"),
        (("shop=audit", "worker=a*"), "a queue's name has letters"),
    ],
)
def test_wrong_words_write_nothing(folder: Path, words: tuple[str, ...], said: str) -> None:
    """It says what is wrong, and the file stays as it was."""
    (folder / "users.acl").write_text("as it was", "ascii")
    ended = render(folder, *words)
    assert ended.returncode == 1
    assert said in ended.stderr
    assert (folder / "users.acl").read_text("ascii") == "as it was"
    assert not (folder / "users.acl.new").exists()


@pytest.mark.parametrize(
    ("content", "said"), [("short\n", "fewer than 20"), ("", "is empty"), (None, "cannot read")]
)
def test_wrong_passwords_write_nothing(folder: Path, content: str | None, said: str) -> None:
    """A password that can be tried out, none, or no file."""
    path = folder / "redis_exporter"
    path.unlink()
    if content is not None:
        path.write_text(content, "ascii")
    ended = render(folder, "shop=audit")
    assert ended.returncode == 1
    assert said in ended.stderr
    assert not (folder / "users.acl").exists()
