"""`docs/retention.md`, read from its beginning: a policy until nothing of its rows is left."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.pages import DOCS, blocks
from tests.pagesites import WHO, at, own
from tests.postgres import Postgres
from tests.reader import Reader
from tests.shells import Shell
from tests.starter import starter

#: Two months of partitions that are past, and one for all the rest.
TABLES: Final = """
CREATE TABLE safety_events (id bigserial PRIMARY KEY, tenant text, kind text, created_at timestamptz);
CREATE TABLE sessions (id bigserial PRIMARY KEY, tenant text, created_at timestamptz NOT NULL);
CREATE TABLE invoices (id bigserial PRIMARY KEY, issued_at timestamp, created_at timestamp NOT NULL);
INSERT INTO invoices SELECT i, now(), now() FROM generate_series(1, 50) AS i;
CREATE TABLE events (id bigserial, tenant text, created_at timestamptz NOT NULL, PRIMARY KEY (id, created_at))
    PARTITION BY RANGE (created_at);
CREATE TABLE events_2020_01 PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2020-02-01');
CREATE TABLE events_2020_02 PARTITION OF events FOR VALUES FROM ('2020-02-01') TO ('2020-03-01');
CREATE TABLE events_rest PARTITION OF events FOR VALUES FROM ('2020-03-01') TO ('2099-01-01');
INSERT INTO events SELECT i, 'acme', timestamptz '2020-01-01' + i * interval '12 hours'
    FROM generate_series(1, 110) AS i;
INSERT INTO events SELECT i, 'acme', now() FROM generate_series(1000, 1400) AS i;
CREATE TABLE orders (id bigserial PRIMARY KEY, user_id int, email text, phone text, name text,
    created_at timestamptz NOT NULL);
INSERT INTO orders (email, phone, name, created_at)
    SELECT 'x@example.com', '5', 'x', now() - i * interval '40 days' FROM generate_series(1, 40) AS i;
CREATE TABLE visits (id bigserial PRIMARY KEY, created_at timestamptz NOT NULL);
INSERT INTO visits SELECT i, now() - i * interval '10 days' FROM generate_series(1, 40) AS i;
CREATE TABLE members (club int, email text, PRIMARY KEY (club, email));
INSERT INTO members VALUES (7, 'anna@example.com');
"""
#: What a policy on the parent takes along, and a table in a schema of its own.
CHILDREN: Final = """
CREATE TABLE users (id int PRIMARY KEY, created_at timestamptz NOT NULL);
ALTER TABLE orders ADD FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE;
CREATE TABLE items (id int PRIMARY KEY, order_id bigint REFERENCES orders ON DELETE CASCADE);
CREATE SCHEMA billing;
CREATE TABLE billing.invoices (id int PRIMARY KEY, status text, closed_at timestamptz);
"""
#: How the policy begins that comes back with other words.
ADD: Final = "aegis policy add events_90 --table events --days 90 --action delete"
TENANT: Final = ("--tenant-column", "tenant")
#: A run that somebody asked for and nobody has begun.
ASK: Final = """
from api.privacy import create_retention_runs
create_retention_runs("asked", policies=["visits_90"], actor="you@example.com")
"""


@dataclass(kw_only=True)
class Site:
    """What the page tells between its commands."""

    folder: Path
    shell: Shell
    url: str

    def do(self, *words: str, code: int = 0) -> str:
        """Run a command that is not on the page."""
        said = self.shell(*words)
        assert said.code == code, f"{words}: {said}"
        return said.out

    def approve(self, *policies: str) -> None:
        """Approve policies as they stand."""
        for policy in policies:
            self.do("policy", "approve", policy, *WHO)

    def mask_and_delete(self) -> None:
        """Give the policy its second stage, and leave the others out."""
        masks = ("--mask", "email=surrogate", "--mask", "phone=null", "--mask", "name=constant:removed")
        words = ("--table", "orders", "--days", "365", "--action", "anonymize", *masks)
        self.do("policy", "add", "orders_1y", *words, "--delete-after-days", "730")
        self.approve("orders_1y")
        for policy in ("events_90", "sessions_30", "invoices"):
            self.do("policy", "disable", policy, *WHO)

    def once_more(self) -> None:
        """Bring the policy back that the page goes on with."""
        self.do(
            "policy", "add", "events_90", "--table", "events", "--days", "90", "--action", "delete", *TENANT
        )

    def for_tenants(self) -> None:
        """Let the policy know tenants again."""
        self.once_more()
        self.approve("events_90")

    def archive(self) -> str:
        """Return the archive that there is."""
        return str(json.loads(self.do("retention", "archives", "--json"))[0]["id"])

    def keys(self) -> None:
        """Give a person two keys, and remember what was before anybody had one."""
        shutil.copytree(self.folder / ".aegis", self.folder / "before")
        for command in (
            ["openssl", "genpkey", "-algorithm", "ed25519", "-out", "anna.pem"],
            ["openssl", "pkey", "-in", "anna.pem", "-pubout", "-out", "anna.pub"],
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "id_ed25519"],
        ):
            subprocess.run(command, cwd=self.folder, check=True, capture_output=True)

    def without_keys(self) -> None:
        """Go on as if there were no keys: nothing ran meanwhile."""
        shutil.rmtree(self.folder / ".aegis")
        (self.folder / "before").rename(self.folder / ".aegis")

    def again(self) -> None:
        """Register both keys of the person."""
        self.do("approver", "add", "anna", "anna.pub", "--owner", "anna@example.com", *WHO)
        self.do("approver", "add", "anna2", "id_ed25519.pub", "--owner", "anna@example.com", *WHO)

    def signed_text(self) -> str:
        """Return what a signature is over."""
        policy = json.loads(self.do("policy", "show", "events_90", "--json"))
        return f"aegis-approve-v1:policy:{policy['id']}:{policy['digest']}"

    def newest(self) -> str:
        """Return the newest run."""
        return str(json.loads(self.do("retention", "status", "--json"))[0]["id"])

    def purging(self) -> str:
        """Return a run whose rows are on their way out of the files."""
        return str(json.loads(self.do("retention", "purge", "--json"))[0]["run"])

    def guarded(self) -> None:
        """Let the guard of the page stop a run: more than half of the table would go."""
        own(self.url, "DELETE FROM events WHERE id >= 1010")
        self.approve("events_90")
        self.do("retention", "run", "--policy", "events_90", "--execute", code=4)

    def hold(self) -> str:
        """Return a hold that is in force."""
        return str(json.loads(self.do("hold", "list", "--json"))[0]["id"])

    def no_holds(self) -> None:
        """Release every hold."""
        for one in json.loads(self.do("hold", "list", "--json")):
            self.do("hold", "release", str(one["id"]), "--actor", "legal@example.com")

    def asked(self) -> None:
        """Let a service ask for a run that nobody begins."""
        self.do("policy", "add", "visits_90", "--table", "visits", "--days", "90", "--action", "delete")
        self.approve("visits_90")
        code, out, err = starter().run((), folder=self.folder, environment=self.shell.environment, script=ASK)
        assert code == 0, out + err

    def file(self) -> None:
        """Write the policies of the page into a file."""
        text = next(one.text for one in blocks(DOCS / "retention.md") if one.text.startswith("policies:"))
        (self.folder / "policies.yaml").write_text(text, "utf-8")


def test_the_page(postgres_server: Postgres, tmp_path: Path) -> None:
    """Every command of the page, in its order, on one PostgreSQL."""
    with at(tmp_path, postgres_server, TABLES) as (shell, url):
        site = Site(folder=tmp_path, shell=shell, url=url)
        Reader(
            page=DOCS / "retention.md",
            shell=shell,
            here={
                "2027-01-31": "2099-01-31",
                "2027-12-31": "2099-12-31",
                "--key email=-": "--key email=- <<< anna@example.com",
                "aegis-approve-v1:policy:…": site.signed_text,
                "~/.ssh/id_ed25519": "id_ed25519",
                "restore RUN": lambda: f"restore {site.archive()}",
                "--run RUN": lambda: f"--run {site.newest()}",
                "status RUN": lambda: f"status {site.newest()}",
                "purge RUN": lambda: f"purge {site.purging()}",
                "pause RUN": lambda: f"pause {site.newest()}",
                "resume RUN": lambda: f"resume {site.newest()}",
                "cancel RUN": lambda: f"cancel {site.newest()}",
                "release ID": lambda: f"release {site.hold()}",
            },
            codes={"aegis policy apply -f policies.yaml --check": 1},
            elsewhere={
                "aegis retention resume --datasource": "tests/integration/test_replay.py restores a source",
                "aegis migrate --datasource staging": "tests/integration/test_staging.py has a copy",
            },
            before={
                "aegis retention run --execute": site.mask_and_delete,
                "aegis policy add visits_90": site.once_more,
                "aegis approver add": site.keys,
                "aegis policy approve events_90 --actor anna@example.com --sign-with": site.again,
                f"{ADD} --max": site.without_keys,
                "aegis policy approve events_90 --run": site.guarded,
                "aegis policy preview events_90 --tenant": site.for_tenants,
                "aegis policy apply": site.file,
                "aegis retention pause": site.asked,
                "aegis policy add users_2y": lambda: own(url, CHILDREN),
            },
        ).read()
