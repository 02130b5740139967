"""What an exported event looks like, read back by software that is not ours where there is any."""

import functools
import json
import re
import warnings
from collections.abc import Callable
from typing import Any, Final

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from aegis.audit.actions import Action, Outcome
from aegis.audit.exports.batches import Leaf
from aegis.audit.exports.formats import cef, ecs, ocsf, rfc5424, text
from aegis.audit.exports.formats.kinds import CLASSES
from aegis.audit.exports.formats.table import FORMATS, NAMES, format_named
from aegis.errors import UsageError
from tests.paperlog import MOMENT, PaperLog, leaf

with warnings.catch_warnings():
    # Its parser generator imports a module of Python that is on its way out.
    warnings.simplefilter("ignore", DeprecationWarning)
    from syslog_rfc5424_parser import SyslogMessage

RENDERS: Final[dict[str, Callable[[Leaf], bytes]]] = {
    "ocsf": ocsf.render,
    "ecs": ecs.render,
    "cef": cef.render,
    "rfc5424": rfc5424.render,
}
EACH = pytest.mark.parametrize("name", RENDERS)
#: What breaks a parser that is fed carelessly.
HOSTILE: Final = 'a|b=c\\d"e]f\ng\rh\x00i\x85j\u2028k\x7fé CEF:0|x\\n ]] rt=1 \\'
TEXTS = st.text(st.characters(codec="utf-8"), min_size=1)
ACTIONS = [*Action, "custom:own", "custom:", "unheard:of"]
#: Details as the actions have them, also those that a SIEM's class is made of.
DETAILS: Final[dict[str, dict[str, Any]]] = {
    "none": {},
    "table": {"table": "t", "datasource": "app", "action": "delete", "rows": 3, "along": {"delete:u": 2}},
    "source": {"datasource": "app", "action": "anonymize"},
    "version": {"version": 4, "digest": "d", "reason": None},
}


def hostile(value: str = HOSTILE) -> Leaf:
    """Return an event every free text of which is hostile."""
    return leaf(
        action=f"custom:{value}",
        target_type=f"kind{value}",
        target_ref=value,
        tenant=value,
        clear={"table": value, "datasource": value, "along": {value: 1}, "first": 1, "reason": value},
    )


@functools.cache
def validator(class_uid: int) -> Any:
    """Return the validator of an OCSF class, from the schema that its package brings."""
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=ocsf.VERSION))
    name = schema.lookup_class_name_from_uid(class_uid=class_uid)
    return jsonschema.Draft202012Validator(schema.get_class_schema(class_name=name, profiles=[]))


@functools.cache
def captions(class_uid: int) -> dict[str, Any]:
    """Return what the schema calls the activities of a class."""
    found = next(
        c for c in get_ocsf_schema(version=ocsf.VERSION)["classes"].values() if c["uid"] == class_uid
    )
    return {
        number: entry["caption"] for number, entry in found["attributes"]["activity_id"]["enum"].items()
    } | {"class": found["caption"]}


def read_ocsf(line: bytes) -> dict[str, Any]:
    """Read a line and validate it."""
    document: dict[str, Any] = json.loads(line)
    faults = [
        f"{fault.json_path}: {fault.message}"
        for fault in validator(document["class_uid"]).iter_errors(document)
    ]
    assert not faults, faults
    return document


def read_cef(line: bytes) -> tuple[list[str], dict[str, str]]:
    """Read a CEF line with the rules of its guide, written here anew: head and extension."""
    shown = line.decode()
    head, place = [], 0
    for _ in range(7):
        match = re.compile(r"((?:[^|\\]|\\[|\\])*)\|").match(shown, place)
        assert match, shown
        head.append(re.sub(r"\\(.)", r"\1", match[1]))
        place = match.end()
    assert head[0] == "CEF:0"
    rest = shown[place:]
    starts = list(re.finditer(r"(?:^| )([A-Za-z0-9]+)=", rest))
    ends = [match.start() for match in starts[1:]] + [len(rest)]
    pairs = {match[1]: rest[match.end() : end] for match, end in zip(starts, ends, strict=True)}
    assert len(pairs) == len(starts), "a name stands there twice: a value broke out"
    unescape = {"n": "\n", "r": "\r"}
    for name, value in pairs.items():
        assert re.fullmatch(r"(?:[^=\\\n\r]|\\[\\=nr])*", value), (name, value)
    return head, {
        name: re.sub(r"\\(.)", lambda match: unescape.get(match[1], match[1]), value)
        for name, value in pairs.items()
    }


def read_syslog(line: bytes) -> Any:
    """Parse a syslog message."""
    return SyslogMessage.parse(line.decode())


def read_data(line: bytes) -> dict[str, str]:
    """Read the structured data of a message with the grammar of RFC 5424, 6: names and values."""
    value = r'"((?:[^"\\\]]|\\["\\\]])*)"'
    name = r"[!#-<>-\\^-~]{1,32}"
    head = r"<(?:0|[1-9]\d{0,2})>1 [0-9T:.-]+Z [!-~]{1,255} [!-~]{1,48} - [!-~]{1,32} "
    match = re.fullmatch(rf"{head}\[({name})((?: {name}={value})*)\](?: (.*))?", line.decode())
    assert match, line
    pairs = re.findall(rf" ({name})={value}", match[2])
    assert len({one for one, _ in pairs}) == len(pairs)
    return {one: re.sub(r"\\(.)", r"\1", found) for one, found in pairs}


class TestOcsf:
    """The Open Cybersecurity Schema Framework."""

    @pytest.mark.parametrize("details", DETAILS)
    @pytest.mark.parametrize("outcome", Outcome)
    @pytest.mark.parametrize("action", ACTIONS)
    def test_every_action_is_valid(self, action: str, outcome: Outcome, details: str) -> None:
        """Each action with each outcome is an event of its class as OCSF 1.8.0 has it, with its captions."""
        kind = "policy" if details == "version" else "run"
        made = leaf(action=action, outcome=outcome, clear=DETAILS[details], target_type=kind, tenant=None)
        document = read_ocsf(ocsf.render(made))
        names = captions(document["class_uid"])
        assert document["class_name"] == CLASSES[document["class_uid"]] == names["class"]
        if document["activity_id"] != 99:
            assert document["activity_name"] == names[str(document["activity_id"])]
        assert document["metadata"]["uid"] == made.fields["id"]
        assert document["metadata"]["sequence"] == made.index

    @given(TEXTS)
    def test_any_text_is_valid(self, value: str) -> None:
        """Whatever stands in an event, the document stays valid and says the same."""
        document = read_ocsf(ocsf.render(hostile(value)))
        assert document["resources"][0]["uid"] == value
        assert document["metadata"]["tenant_uid"] == value

    @pytest.mark.parametrize(
        ("action", "class_uid", "activity"),
        [
            ("policy:register", 3004, "Create"),
            ("policy:approve", 3004, "Enable"),
            ("approver:remove", 3004, "Delete"),
            ("key:retire", 3004, "Deactivate"),
            ("hold:place", 3004, "Create"),
            ("hold:overdue", 3004, "overdue"),
            ("operations:stop", 3004, "Suspend"),
            ("retention:batch", 6005, "Delete"),
            ("retention:run", 6005, "Delete"),
            ("retention:restore", 6005, "Write"),
            ("archive:expire", 6005, "Delete"),
            ("tenant:deny", 6003, "deny"),
            ("custom:own", 6003, "own"),
            ("audit:prune", 1008, "Delete"),
            ("audit:export", 1008, "Export"),
            ("audit:halt", 1008, "Stop"),
        ],
    )
    def test_the_class_says_what_happened(self, action: str, class_uid: int, activity: str) -> None:
        """An action is an event of the class that it is to a SIEM."""
        document = json.loads(ocsf.render(leaf(action=action)))
        assert (document["class_uid"], document["activity_name"]) == (class_uid, activity)

    def test_an_anonymized_batch_is_an_update(self) -> None:
        """What a batch does to its rows is the activity; its table and source are named."""
        clear = {"action": "anonymize", "table": "t", "datasource": "app"}
        document = json.loads(ocsf.render(leaf(clear=clear)))
        assert document["activity_name"] == "Update"
        assert (document["table"]["name"], document["database"]["name"]) == ("t", "app")

    def test_denials_and_failures_are_failures(self) -> None:
        """The status is OCSF's, its detail is ours, and a denial is more severe than a success."""
        found = [json.loads(ocsf.render(leaf(outcome=outcome))) for outcome in Outcome]
        assert [(d["status_id"], d["status_detail"], d["severity_id"]) for d in found] == [
            (1, "success", 1),
            (2, "denied", 3),
            (2, "failure", 4),
            (99, "intent", 1),
        ]

    def test_the_time_is_exact_to_the_millisecond(self) -> None:
        """Milliseconds since 1970, rounded down; the original has all of it."""
        document = json.loads(ocsf.render(leaf()))
        assert document["time"] == 1_778_983_200_123
        assert document["metadata"]["original_time"] == "2026-05-17T02:00:00.123456Z"


class TestEcs:
    """The Elastic Common Schema."""

    #: Category → the types that ECS 8 expects with it.
    EXPECTED: Final = {
        "api": {
            "access",
            "admin",
            "allowed",
            "change",
            "creation",
            "deletion",
            "denied",
            "end",
            "info",
            "start",
            "user",
        },
        "configuration": {"access", "change", "creation", "deletion", "info"},
        "database": {"access", "change", "info", "error"},
    }

    @pytest.mark.parametrize("outcome", Outcome)
    @pytest.mark.parametrize("action", ACTIONS)
    def test_categories_and_types_are_those_of_the_schema(self, action: str, outcome: Outcome) -> None:
        """Category, type and outcome are values that the schema allows, together."""
        event = json.loads(ecs.render(leaf(action=action, outcome=outcome)))["event"]
        assert set(event["type"]) <= self.EXPECTED[event["category"][0]]
        assert event["outcome"] in {"success", "failure", "unknown"}
        assert event["kind"] == "event"

    @given(TEXTS)
    def test_any_text_stays_itself(self, value: str) -> None:
        """Whatever stands in an event stands in the document."""
        document = json.loads(ecs.render(hostile(value)))
        assert document["organization"]["id"] == document["aegis"]["target"]["id"] == value

    def test_details_are_text(self) -> None:
        """A name that is a number in one action and a text in another never makes an index refuse one."""
        details = json.loads(ecs.render(leaf(clear=DETAILS["table"])))["aegis"]["details"]
        assert details["rows"] == "3"
        assert details["along"] == '{"delete:u":2}'

    def test_the_id_is_the_events(self) -> None:
        """A receiver recognizes a repetition by it, and a gap by the sequence."""
        made = leaf(41)
        event = json.loads(ecs.render(made))["event"]
        assert (event["id"], event["sequence"]) == (made.fields["id"], 41)


class TestCef:
    """ArcSight's Common Event Format."""

    def test_it_reads_back(self) -> None:
        """Head and extension have the event."""
        made = leaf()
        head, pairs = read_cef(cef.render(made))
        assert head == ["CEF:0", "Aegis", "aegis", "1", "retention:batch", "retention:batch success", "3"]
        assert pairs["externalId"] == made.fields["id"]
        assert pairs["rt"] == "1778983200123"
        assert (pairs["cn1Label"], pairs["cn1"]) == ("leaf", "7")
        assert (pairs["cn2Label"], pairs["cn2"]) == ("rows", "17")
        assert (pairs["cs1Label"], pairs["cs1"]) == ("target", "safety_90")
        assert (pairs["cs3Label"], pairs["cs3"]) == ("tenant", "acme")
        assert json.loads(pairs["cs5"])["table"] == "safety_events"
        assert pairs["cs6"] == made.hash.hex()

    def test_nothing_breaks_out(self) -> None:
        """Bars, equals signs, backslashes and ends of lines stay inside their field."""
        self._check(HOSTILE)

    @given(TEXTS)
    def test_nothing_ever_breaks_out(self, value: str) -> None:
        """Whatever stands in an event."""
        self._check(value)

    def _check(self, value: str) -> None:
        head, pairs = read_cef(cef.render(hostile(value)))
        assert head[4] == text.printable(f"custom:{value}")
        lines = "\n".join("\r".join(map(text.printable, part.split("\r"))) for part in value.split("\n"))
        assert pairs["cs1"] == pairs["cs3"] == lines


class TestSyslog:
    """RFC 5424, parsed by syslog-rfc5424-parser.

    Where a backslash stands at the end of a value, that parser takes the closing quote for an escaped one;
    there the RFC's grammar, written anew, has to do.
    """

    @pytest.mark.parametrize(
        ("outcome", "severity"),
        [("success", "info"), ("denied", "warning"), ("failure", "err"), ("intent", "info")],
    )
    def test_it_reads_back(self, outcome: str, severity: str) -> None:
        """Header and structured data have the event."""
        made = leaf(outcome=outcome)
        found = read_syslog(rfc5424.render(made))
        assert (found.facility.name, found.severity.name) == ("audit", severity)
        assert (found.hostname, found.appname, found.msgid) == (
            "logs.example.com",
            "aegis",
            "retention:batch",
        )
        assert found.timestamp == "2026-05-17T02:00:00.123456Z"
        data = found.sd["aegis@32473"]
        assert (data["id"], data["leaf"]) == (made.fields["id"], "7")
        assert (data["target"], data["details.rows"]) == ("safety_90", "17")
        assert found.msg == f"retention:batch {outcome}"

    def test_nothing_breaks_out(self) -> None:
        """Quotes, backslashes and brackets stay inside their value; control characters are depicted."""
        assert read_data(rfc5424.render(hostile()))["target"] == text.printable(HOSTILE)

    @given(TEXTS)
    def test_nothing_ever_breaks_out(self, value: str) -> None:
        """Whatever stands in an event, as the RFC's grammar has it."""
        data = read_data(rfc5424.render(hostile(value)))
        assert data["target"] == data["tenant"] == data["details.table"] == text.printable(value)
        assert data["leaf"] == "7"

    @given(st.text(st.characters(codec="utf-8", exclude_characters="\\"), min_size=1))
    def test_a_foreign_parser_reads_the_same(self, value: str) -> None:
        """Whatever stands in an event, as foreign software reads it."""
        data = read_syslog(rfc5424.render(hostile(value))).sd["aegis@32473"]
        # The foreign parser leaves the escapes where they are.
        assert re.sub(r'\\([\\"\]])', r"\1", data["target"]) == text.printable(value)

    def test_another_format_travels_whole(self) -> None:
        """A line of another format is the text of a message, marked as UTF-8 unless it is ASCII."""
        made = hostile()
        for render in (ocsf.render, cef.render):
            line = render(made)
            found = read_syslog(rfc5424.wrap(made, line))
            assert found.msg.removeprefix("\ufeff").encode() == line
            assert found.msg.startswith("\ufeff") != line.isascii()
            assert found.sd == {}


@EACH
class TestEveryFormat:
    """What holds for all formats of a SIEM."""

    @given(value=TEXTS)
    def test_an_event_is_one_line(self, name: str, value: str) -> None:
        """No text of an event ends its line, and each line begins as its format says."""
        line = RENDERS[name](hostile(value))
        assert len(line.decode().splitlines()) == 1
        assert line.startswith(FORMATS[name].begins)

    def test_what_is_sealed_stays_at_home(self, name: str) -> None:
        """Neither the sealed bytes nor their key's reference go to a SIEM."""
        line = RENDERS[name](leaf(sealed=b"canary-7f3a", sealed_with="l1_canary"))
        assert b"canary" not in line
        assert b"canary-7f3a".hex().encode() not in line
        assert b"Y2FuYXJ5LTdmM2" not in line

    def test_every_action_has_a_line(self, name: str) -> None:
        """Also one that this version has never heard of."""
        for action in ACTIONS:
            assert action.partition(":")[0].encode() in RENDERS[name](leaf(action=action, clear={}))

    def test_the_same_event_is_the_same_line(self, name: str) -> None:
        """A repetition is the same, byte for byte."""
        made = hostile()
        assert RENDERS[name](made) == RENDERS[name](made)


def test_every_subject_of_an_action_is_placed() -> None:
    """No action of Aegis itself falls into the class for what is unknown, but denials do."""
    fallen = {
        action for action in Action if json.loads(ocsf.render(leaf(action=action)))["class_uid"] == 6003
    }
    assert fallen == {Action.TENANT_DENY}


def test_a_format_that_there_is_not() -> None:
    """It is refused with the names of those that there are."""
    with pytest.raises(UsageError, match=r"no format 'xml': expected one of jsonl, ocsf, .*tiles"):
        format_named("xml")
    assert set(NAMES) == {"jsonl", "ocsf", "ecs", "cef", "rfc5424", "tiles"}


def test_lines_of_json_splice_the_entry_verbatim() -> None:
    """The very bytes that were hashed stand in the line, the sealed details beside them in Base64."""
    batch = PaperLog().grow(4).batch(0, 4)
    lines = FORMATS["jsonl"].lines(batch)
    assert len(lines) == 5
    for index, line in enumerate(lines[:4]):
        document = json.loads(line)
        assert list(document) == ["leaf", "event", "sealed"]
        assert document["leaf"] == index
        assert b',"event":' + batch.leaves[index].entry + b',"sealed":' in line
        assert (document["sealed"] is None) == (index != 0) or index == 3
    assert list(json.loads(lines[4])) == ["checkpoint", "first", "next", "leaves", "proof"]
    assert str(MOMENT.year).encode() in lines[0]
