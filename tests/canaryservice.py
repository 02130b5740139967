"""A service whose aggregates tell of persons: in names of fields, in public texts, among who took part."""

import hashlib
import json
from typing import Any, Final

import numpy as np
import pytest
import sqlalchemy as sa

from aegis.client import Client, outbox_table
from aegis.errors import BudgetSpent, UsageError
from api import federated
from tests.canarysite import P, Site

_TASK: Final = "aegis.federated.protect"
_PEOPLE: Final = [f"{number}.{P['aggregate'].email}" for number in range(9)]
_VALUE: Final[dict[str, Any]] = {"sum": 1.5, "note": P["aggregate"].text, P["aggregate"].email: [1, 2]}
_TYPED: Final = ("--participants", "9", "--epsilon", "0.5", "--public", "note", "--json")
_TERMS: Final[dict[str, Any]] = {"dp_epsilon": 0.5, "public_fields": ["note"], "participants": _PEOPLE}


def asked_by_a_service(site: Site) -> None:
    """Sealed and answered, small and large; refused for every reason; in clear, which is not worked on."""
    service = _service(site)
    values = {"small": _VALUE, "large": {**_VALUE, "layer": np.ones(50_000, dtype=np.float32)}}
    for request, value in values.items():
        service.protect(value, 9, request_id=request, actor=P["service"].email, **_TERMS)
    for request, value in values.items():
        assert service.result(request, timeout=60)[0].keys() == value.keys()
    words = {**_TERMS, "participants": _PEOPLE[:2]}
    service.protect(_VALUE, 2, request_id="few", **words)
    service.protect(_VALUE, 9, request_id="spent", **{**_TERMS, "dp_epsilon": 50.0}, budget="acme/usage")
    service.protect(_VALUE, 9, request_id="nameless", dp_epsilon=0.5)
    service.protect(_VALUE, 9, request_id="small", **{**_TERMS, "dp_epsilon": 0.7})
    _send_unfit(site)
    for request, error in {"few": PermissionError, "spent": BudgetSpent, "nameless": UsageError}.items():
        with pytest.raises(error) as told:
            service.result(request, timeout=60)
        site.keep(f"the client about {request}", str(told.value))
    for request in ("clear", "unknown", "forged", "file"):
        with pytest.raises(UsageError) as said:
            service.result(request, timeout=60)
        site.keep(f"the client about {request}", str(said.value))
    site.keep("the client", repr(service))
    _asked_by_methods(site, service)
    service.close()
    _doors(site)


def _asked_by_methods(site: Site, service: Client) -> None:
    """Sent at once and from an outbox, with details; refused, and what is told of that."""
    about: dict[str, Any] = {"target_type": "user", "target_id": P["target"].email, "action": "asked"}
    about |= {"actor": P["service"].email, "details": {"why": P["details"].text}}
    service.record_audit(**about, request_id="recorded")
    service.anonymize_user(user_id=P["wrong"].email, actor=P["service"].email, request_id="nobody")
    service.check_tenant(requesting_tenant=P["denied"].email, resource_tenant="acme", request_id="asked")
    engine, table = sa.create_engine(f"sqlite:///{site.home.parent}/service.db"), outbox_table(sa.MetaData())
    table.create(engine)
    outbox = service.outbox(table)
    with engine.begin() as connection:
        within = outbox.within(connection)
        within.record_audit(**about, request_id="boxed")
    site.keep("the outbox", f"{outbox!r} {within!r} {outbox.relay(engine)!r}")
    for request, state in {"recorded": "done", "nobody": "failed", "asked": "done", "boxed": "done"}.items():
        found = service.wait(request, 60)
        assert found.state == state
        site.keep(f"the status of {request}", repr(found))
    with engine.begin() as connection:
        connection.execute(sa.update(table).values(due_at=None))
    assert outbox.relay(engine).accepted == 1
    with engine.connect() as connection:
        site.keep("what stays in the outbox", repr(connection.execute(sa.select(table)).all()))
    engine.dispose()


def _service(site: Site) -> Client:
    path = site.home.parent / "service.key"
    public = site.command("client-key", "--new", str(path))
    assert public.startswith("aegis-client-1:")
    assert site.command("client-key", str(path)) == public
    settings = site.aegis.settings
    return Client(
        site.stack.redis.url,
        workers_key=site.command("client-key"),
        key_file=path,
        producer="shop",
        database_url=settings.control.url,
        inputs=settings.inputs_url,
        outputs=settings.outputs_url,
    )


def _send_unfit(site: Site) -> None:
    wrong = P["wrong"]
    site.send(_TASK, request_id="clear", aggregated_value={wrong.email: 1.0}, participant_count=9)
    site.send(_TASK, request_id="unknown", sealed="AAAA", who=wrong.name)
    site.send(_TASK, request_id="forged", sealed=wrong.text)
    found = {"name": f"{wrong.email}.npy", "sha256": hashlib.sha256(b"").hexdigest()}
    key = site.command("client-key", "--new", str(site.home.parent / "another.key")).split()[0]
    site.send(_TASK, request_id="file", reference=found, reply_to=key, participant_count=9)


def _doors(site: Site) -> None:
    told = site.door(federated.protect_request, "by-door", sealed=P["wrong"].text)
    assert told["outcome"] == "refused"
    words: dict[str, Any] = {**_TERMS, "actor": P["actor"].email}
    site.door(federated.federated_aggregation_protect, _VALUE, 9, **words)
    site.refused(
        federated.federated_aggregation_protect, {P["wrong"].email: P["wrong"].name}, 9, dp_epsilon=1
    )
    words = {"stdin": json.dumps(_VALUE), "code": 0}
    site.command("federated release", "-", *_TYPED, **words)
    site.command("federated release", "-", *_TYPED, "--execute", "--actor", P["typed"].email, **words)
    site.door(federated.estimate_release, _VALUE, 0.5, public_fields=["note"])
    site.door(federated.tend_releases)
