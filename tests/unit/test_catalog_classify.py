"""Columns judged by names, types and structure: each rule of the classifier by its own small schema."""

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from aegis.catalog.classify import classify_table
from aegis.catalog.context import Context
from aegis.catalog.decision import ColumnDecision, Role, Verdict
from aegis.catalog.facts import TableFacts, column, table
from aegis.catalog.lexicon import lines
from aegis.catalog.natures import Nature
from aegis.catalog.rules import FAMILIES, found_in
from aegis.catalog.types import Family, family_of, is_list, length_of, spelled

#: table → columns as `name:type`, the key first; `name:type>parent` is a foreign key.
SCHEMA = {
    "users": "id:integer email:varchar(255) name:varchar password_digest:varchar birthday:date locale:text",
    "user_profiles": "id:integer user_id:integer>users bio:text website:varchar avatar_url:varchar",
    "roles": "id:integer name:varchar description:text",
    "products": "id:integer name:varchar description:text price:numeric sku:varchar weight:numeric",
    "orders": "id:integer customer_id:integer status:varchar note:text city:varchar total:numeric",
    "posts": "id:integer author_id:integer>users title:varchar body:text created_at:timestamp",
    "sessions": "id:varchar user_id:integer>users token:varchar ip:inet user_agent:text expires_at:timestamp",
    "companies": "id:integer name:varchar email:varchar phone:varchar street:varchar contact_name:varchar",
    "email_templates": "id:integer name:varchar subject:varchar body:text",
    "oauth_clients": "id:integer name:varchar secret:varchar redirect_uri:text",
    "user_roles": "user_id:integer>users role_id:integer>roles",
    "audit_logs": "id:integer user_id:integer>users action:varchar details:jsonb created_at:timestamp",
    "gizmos": "id:integer label:varchar",
}


def tables(schema: dict[str, str]) -> list[TableFacts]:
    """Build the facts of a schema."""
    made = []
    for label, columns in schema.items():
        found = []
        for place, text in enumerate(columns.split()):
            name, _, kind = text.partition(":")
            kind, _, parent = kind.partition(">")
            found.append(column(name, kind, key=place == 0, refers_to=parent or None))
        made.append(table(label, found))
    return made


def decide(schema: dict[str, str]) -> dict[str, ColumnDecision]:
    """Return the decisions about a schema by `table.column`."""
    facts = tables(schema)
    context = Context.of(facts)
    return {f"{d.table}.{d.column}": d for each in facts for d in classify_table(each, context)}


DECIDED = decide(SCHEMA)


@pytest.mark.parametrize(
    ("place", "category"),
    [
        ("users.id", "user.unique_id"),
        ("users.email", "user.contact.email"),
        ("users.name", "user.name"),
        ("users.password_digest", "user.authorization.password"),
        ("users.birthday", "user.demographic.date_of_birth"),
        ("users.locale", "user.demographic.language"),
        ("user_profiles.user_id", "user.unique_id"),
        ("user_profiles.bio", "user.demographic.profile"),
        ("user_profiles.website", "user.contact.url"),
        ("user_profiles.avatar_url", "user.content.self_image"),
        ("orders.customer_id", "user.unique_id"),
        ("orders.note", "user.content.private"),
        ("orders.city", "user.contact.address.city"),
        ("posts.title", "user.content.public"),
        ("sessions.token", "user.authorization.credentials"),
        ("sessions.ip", "user.device.ip_address"),
        ("sessions.user_agent", "user.device"),
        ("companies.contact_name", "user.name"),
        ("audit_logs.action", "user.behavior"),
    ],
)
def test_what_is_personal(place: str, category: str) -> None:
    """With its category, and a sentence that says why."""
    decision = DECIDED[place]
    assert (decision.verdict, decision.category) == (Verdict.PERSONAL, category)
    assert decision.evidence
    assert 0.6 <= decision.confidence <= 1


@pytest.mark.parametrize(
    "place",
    [
        *("roles.name", "roles.description", "products.name", "products.description", "products.weight"),
        *(
            "orders.id",
            "orders.status",
            "orders.total",
            "posts.id",
            "posts.created_at",
            "sessions.expires_at",
        ),
        *("companies.name", "companies.email", "companies.street", "email_templates.subject"),
        *(
            "email_templates.body",
            "oauth_clients.name",
            "oauth_clients.secret",
            "user_roles.role_id",
            "gizmos.label",
        ),
    ],
)
def test_what_is_not(place: str) -> None:
    """The same names in tables that hold no persons."""
    assert DECIDED[place].verdict is Verdict.NONE


def one(name: str, kind: str, label: str = "users") -> ColumnDecision:
    """Decide about one column beside those that make a table one of people."""
    others = "id:integer first_name:varchar last_name:varchar email_1:varchar birth_date:date"
    return decide({label: f"{others} {name}:{kind}"})[f"{label}.{name}"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("email", "boolean"),
        ("email", "integer"),
        ("email_verified_at", "timestamp"),
        ("password_changed_at", "timestamp with time zone"),
        ("phone", "tinyint(1)"),
        ("first_name", "integer"),
    ],
)
def test_a_type_without_room_for_it_is_a_guard(name: str, kind: str) -> None:
    """An integer is no e-mail address, and a time is no password; the evidence says so."""
    decision = one(name, kind)
    assert decision.verdict is Verdict.NONE
    assert "cannot hold it" in " ".join(decision.evidence)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "is_email_valid",
            "has_password",
            "email_count",
            "email_template",
            "phone_verified",
            "password_policy",
        ),
        *("email_server", "address_type", "send_email", "max_phone", "email_status", "sign_in_count"),
    ],
)
def test_a_word_before_or_behind_makes_it_another_thing(name: str) -> None:
    """What asks, counts or limits is not the thing itself."""
    assert one(name, "varchar(20)").verdict is Verdict.NONE


@pytest.mark.parametrize(
    ("name", "kind", "category"),
    [
        ("Telefonnummer", "varchar(30)", "user.contact.phone_number"),
        ("PLZ", "char(5)", "user.contact.address.postal_code"),
        ("Staatsangehörigkeit", "text", "user.demographic"),
        ("Kontonummer", "text", "user.financial.bank_account"),
        ("mot_de_passe", "text", "user.authorization.password"),
        ("date_naissance", "date", "user.demographic.date_of_birth"),
        ("numéro_sécurité_sociale", "text", "user.government_id.national_identification_number"),
        ("contraseña", "text", "user.authorization.password"),
        ("correo_electronico", "text", "user.contact.email"),
        ("apellido_paterno", "text", "user.name.last"),
        ("endereco", "text", "user.contact.address"),
        ("cpf", "varchar(14)", "user.government_id.national_identification_number"),
        ("data_nascimento", "date", "user.demographic.date_of_birth"),
        ("codice_fiscale", "char(16)", "user.government_id.national_identification_number"),
        ("indirizzo", "text", "user.contact.address"),
        ("wachtwoord", "text", "user.authorization.password"),
        ("geboortedatum", "date", "user.demographic.date_of_birth"),
        ("nazwisko", "text", "user.name.last"),
        ("PESEL", "char(11)", "user.government_id.national_identification_number"),
        ("msisdn", "bigint", "user.contact.phone_number"),
        ("iban", "varchar(34)", "user.financial.bank_account"),
        ("bic", "varchar(11)", "user.financial.bank_account"),
        ("nif", "varchar", "user.government_id.national_identification_number"),
        ("lat", "double precision", "user.location.precise"),
        ("blood_group", "varchar(3)", "user.health_and_medical"),
        ("job_title", "varchar", "user.job_title"),
        ("linkedin", "varchar", "user.contact.url"),
        ("push_token", "text", "user.device.device_id"),
        ("face_encoding", "bytea", "user.authorization.biometric"),
        ("marketing_consent", "boolean", "user.privacy_preferences"),
        ("last_login_at", "timestamp", "user.behavior"),
    ],
)
def test_languages_abbreviations_and_every_kind_of_category(name: str, kind: str, category: str) -> None:
    """Of a person, in the words of eight languages."""
    decision = one(name, kind)
    assert (decision.verdict, decision.category) == (Verdict.PERSONAL, category)


def test_references_have_roles() -> None:
    """Declared or by their names; a link between two tables is no person."""
    assert DECIDED["posts.author_id"].role is Role.PERSON
    assert DECIDED["orders.customer_id"].role is Role.PERSON
    assert DECIDED["user_roles.role_id"].role is Role.REFERENCE
    assert DECIDED["users.id"].role is Role.KEY
    tenant = one("tenant_id", "integer")
    assert (tenant.role, tenant.verdict) == (Role.TENANT, Verdict.NONE)
    listed = decide({"people": "id:integer first_name:text gender_id:integer"})["people.gender_id"]
    assert (listed.verdict, listed.category) == (Verdict.PERSONAL, "user.demographic.gender")


#: A hospital whose tables hang on patients, and lists of values beside them.
HOSPITAL = {
    "party": "id:integer name:varchar email:varchar is_person:boolean",
    "patient": "id:integer party:integer>party name:varchar birthday:date exercises:boolean"
    " diet_info:varchar",
    "health_professional": "id:integer party:integer>party info:text",
    "pathology": "id:integer name:varchar category:integer create_uid:integer>party",
    "patient_disease": "id:integer patient:integer>patient pathology:integer>pathology is_allergy:boolean"
    " doctor:integer>health_professional state:varchar short_comment:varchar write_date:timestamp"
    " validation_date:date pharmacy:integer>party",
    "invoice": "id:integer patient:integer>patient total:numeric state:varchar company:integer>company",
    "company": "id:integer name:varchar",
    "prescription": "id:integer patient:integer>patient",
    "prescription_line": "id:integer prescription:integer>prescription form:integer>drug_form",
    "drug_form": "id:integer name:varchar",
}
#: What people do, own and are seen doing, beside what belongs to nobody.
DEEDS = {
    "users": "id:integer email:varchar name:varchar uuid:uuid last_commented_at:timestamp"
    " email_disabled:boolean",
    "click_events": "id:integer user_id:integer>users created_at:timestamp",
    "payment_events": "id:integer user_id:integer>users name:varchar email:varchar created_at:timestamp",
    "attempt_logs": "id:integer user_id:integer>users start_time:text end_time:text correct:numeric"
    " details:text",
    "actions": "id:integer actor_object_id:varchar(255) target_object_id:varchar(255) actor_type:varchar"
    " verb:varchar resource_id:varchar(24)",
    "ui_views": "id:integer name:varchar type:varchar",
    "newsletters": "id:integer sender_name:varchar sender_email:varchar status:varchar",
    "newsletter_consents": "id:integer email:varchar status:varchar",
    "posts": "id:integer author_id:integer>users title:varchar slug:varchar canonical_url:varchar"
    " published_at:timestamp",
    "post_revisions": "id:integer post_id:varchar(24) title:varchar author_id:integer>users",
    "identifiers": "id:integer user_id:integer>users code:varchar",
    "caches": "user_id:integer>users data:text",
    "sync_sessions": "id:integer last_activity:timestamp",
    "post_authors": "id:integer post_id:integer>posts author_id:integer>users sort_order:integer",
    "orders": "id:integer user_id:integer>users state:varchar plan_nickname:varchar",
    "addressees": "id:integer user_id:integer>users street:varchar city:varchar state:varchar",
}
#: Persons in a table that is called after something else, in a language with the noun first.
ROLES = {
    "t_roles": "id_role:integer nom_role:varchar prenom_role:varchar pass:varchar email:varchar"
    " desc_role:text"
}


@pytest.mark.parametrize(
    ("schema", "place", "category"),
    [
        *((HOSPITAL, f"patient.{name}", "user.health_and_medical") for name in ("exercises", "diet_info")),
        *(
            (HOSPITAL, f"patient_disease.{name}", "user.health_and_medical")
            for name in ("pathology", "is_allergy", "short_comment")
        ),
        *((HOSPITAL, f"patient_disease.{name}", None) for name in ("state", "write_date", "validation_date")),
        (HOSPITAL, "patient_disease.doctor", "user.unique_id"),
        (HOSPITAL, "patient_disease.pharmacy", None),
        (HOSPITAL, "health_professional.id", "user.unique_id"),
        (HOSPITAL, "pathology.name", None),
        (HOSPITAL, "prescription_line.form", "user.health_and_medical"),
        *((HOSPITAL, f"invoice.{name}", None) for name in ("total", "state", "company")),
        (DEEDS, "users.uuid", "user.unique_id"),
        (DEEDS, "users.last_commented_at", "user.behavior"),
        (DEEDS, "users.email_disabled", None),
        (DEEDS, "click_events.created_at", "user.behavior"),
        (DEEDS, "payment_events.name", "user.name"),
        (DEEDS, "payment_events.email", "user.contact.email"),
        (DEEDS, "payment_events.created_at", None),
        *((DEEDS, f"attempt_logs.{name}", "user.behavior") for name in ("start_time", "end_time", "correct")),
        (DEEDS, "actions.actor_object_id", "user.unique_id"),
        *((DEEDS, f"actions.{name}", None) for name in ("target_object_id", "actor_type", "resource_id")),
        (DEEDS, "actions.verb", "user.behavior"),
        *((DEEDS, f"ui_views.{name}", None) for name in ("name", "type")),
        *((DEEDS, f"newsletters.{name}", None) for name in ("sender_name", "sender_email", "status")),
        (DEEDS, "newsletter_consents.status", "user.privacy_preferences"),
        (DEEDS, "posts.title", None),
        *((DEEDS, f"post_revisions.{name}", None) for name in ("title", "post_id")),
        (DEEDS, "identifiers.code", "user.government_id"),
        (DEEDS, "caches.data", "user.content.private"),
        (DEEDS, "sync_sessions.last_activity", None),
        (DEEDS, "post_authors.post_id", None),
        *((DEEDS, f"orders.{name}", None) for name in ("state", "plan_nickname")),
        (DEEDS, "addressees.state", "user.contact.address.state"),
        (ROLES, "t_roles.id_role", "user.unique_id"),
        (ROLES, "t_roles.nom_role", "user.name"),
        (ROLES, "t_roles.prenom_role", "user.name.first"),
        (ROLES, "t_roles.pass", "user.authorization.password"),
        (ROLES, "t_roles.desc_role", "user.demographic.profile"),
    ],
)
def test_whose_a_row_is_says_what_its_columns_hold(
    schema: dict[str, str], place: str, category: str | None
) -> None:
    """By what hangs on patients and persons, what is a list, a copy or a pair, and what belongs to nobody."""
    decision = decide(schema)[place]
    assert decision.category == category, decision.evidence
    assert decision.verdict is (Verdict.PERSONAL if category else Verdict.NONE)


PEOPLE = {"users": "id:integer email:varchar first_name:varchar last_name:varchar"}


@pytest.mark.parametrize(
    ("schema", "nature", "reason"),
    [
        ({"build_logs": "id:integer message:text"}, Nature.THING, "it is a log that names nobody"),
        ({"activity_logs": "id:integer message:text"}, Nature.LOG, "its name says 'log'"),
        (
            {"votes": "id:integer score:integer"},
            Nature.THING,
            "nobody is named whose behaviour it would be",
        ),
        ({"page_votes": "id:integer ip:varchar"}, Nature.BEHAVIOUR, "its name says 'vote'"),
        ({"passports": "id:integer number:varchar"}, Nature.THING, "nobody is named whom it would identify"),
        (
            {"documents": "id:integer user_id:integer>users title:varchar", **PEOPLE},
            Nature.CONTENT,
            "its column user_id refers to a person",
        ),
        (
            {"clients": "id:integer first_name:varchar"},
            Nature.PERSON,
            "its name says 'client', and it has columns that only people have",
        ),
        ({"clients": "id:integer plan:varchar"}, Nature.UNKNOWN, ""),
        (
            {"zorps": "id:integer name:varchar email:varchar"},
            Nature.ORGANISATION,
            "it has a name and an address, and nothing that only people have",
        ),
        # No hospital stands around it: no condition of a patient.
        ({"conditions": "id:integer expression:text"}, Nature.UNKNOWN, ""),
        ({"statuses": "id:integer label:varchar"}, Nature.THING, "its name says 'status'"),
        ({"statuses": "id:integer body:text"}, Nature.CONTENT, "its name says 'status'"),
        # A gymnast's.
        ({"sessions": "id:integer trainer:varchar"}, Nature.ACTIVITY, "its name says 'session'"),
        ({"sessions": "id:integer token:varchar"}, Nature.SESSION, "its name says 'session'"),
    ],
)
def test_what_a_table_is(schema: dict[str, str], nature: Nature, reason: str) -> None:
    """Its name counts as far as its columns and references bear it out; the reason is a sentence."""
    first, context = next(iter(schema)), Context.of(tables(schema))
    assert (context.natures[first], context.reasons[first]) == (nature, reason)


@pytest.mark.parametrize(
    ("table_", "column_", "category"),
    [
        # The name of the table before it says nothing more.
        ("comments", "comment_approved:boolean", None),
        # Where somebody works is told of employees; an order's department is its own.
        ("employees", "department:integer>departments", "user.workplace"),
        ("orders", "department:integer>departments", None),
        ("notes", "xqz:text", "user.content.private"),
        ("visits", "xqz:varchar", "user.behavior"),
        ("visits", "xqz:boolean", None),
        # A choice is one whatever stands behind it; a checksum is no text.
        ("users", "marketing_consent_status:varchar", "user.privacy_preferences"),
        ("posts", "gender_code:varchar", "user.demographic.gender"),
        ("posts", "body:text", "user.content.public"),
        ("posts", "body_checksum:varchar", None),
        # Who did something, by the number of their row; by a text nobody knows what it is sorted by.
        ("tasks", "sorted_by:integer", "user.unique_id"),
        ("tasks", "sorted_by:varchar(20)", "user.unique_id"),
        ("tasks", "sorted_by:text", None),
    ],
)
def test_the_same_name_in_another_place(table_: str, column_: str, category: str | None) -> None:
    """What it holds follows from the kind of its table, from what stands beside a word, and from its type."""
    rest = {
        "users": PEOPLE["users"],
        "employees": "id:integer first_name:varchar last_name:varchar",
        "tasks": "id:integer",
    }
    own = rest.get(table_, "id:integer user_id:integer>users")
    schema = PEOPLE | {"departments": "id:integer name:varchar", table_: f"{own} {column_}"}
    assert decide(schema)[f"{table_}.{column_.partition(':')[0]}"].category == category


def test_a_table_of_people_is_known_by_its_columns() -> None:
    """Whatever it is called, in a language that nobody taught."""
    facts = tables({"zzz": "id:integer first_name:text last_name:text dob:date email:text note:text"})
    assert Context.of(facts).natures["zzz"] is Nature.PERSON


def test_what_cannot_be_told_is_for_a_person_to_look_at() -> None:
    """A free text in a person's row, whose name says nothing."""
    decision = one("xqzzy", "text")
    assert (decision.verdict, decision.category) == (Verdict.UNKNOWN, None)


@pytest.mark.parametrize(
    ("text", "family", "length"),
    [
        ("varchar(20)", Family.TEXT, 20),
        ("character varying(255)", Family.TEXT, 255),
        ("text[]", Family.LONG_TEXT, None),
        ("timestamp(6) with time zone", Family.MOMENT, None),
        ("TINYINT(1)", Family.BOOLEAN, None),
        ("int(11) unsigned", Family.INTEGER, None),
        ("double precision", Family.NUMBER, None),
        ("numeric(8, 2)", Family.NUMBER, None),
        ("jsonb", Family.JSON, None),
        ("enum('a','b')", Family.ENUM, None),
        ("geometry(Point,4326)", Family.SHAPE, None),
        ("mystery", Family.UNKNOWN, None),
        ("", Family.UNKNOWN, None),
    ],
)
def test_types_as_databases_spell_them(text: str, family: Family, length: int | None) -> None:
    """One family for each, with the room that it has."""
    assert (family_of(text), length_of(text)) == (family, length)
    assert is_list(text) == text.endswith("]")


def test_a_type_that_the_database_cannot_spell() -> None:
    """Of another database, or of an extension: nothing is known of it."""
    dialect, kind = sa.make_url("sqlite://").get_dialect()(), {"__visit_name__": "ODD"}
    odd = type("ODD", (sa.types.TypeEngine,), kind)
    assert spelled(sa.Text(), dialect) == "text"
    assert spelled(odd(), dialect) == "unknown"


def test_the_vocabulary_can_be_read() -> None:
    """Each line has a category of a user, families that are there, a strength, and phrases."""
    for category, kind, _, strength, phrases in lines():
        assert category.split(".")[0] == "user"
        assert kind in FAMILIES
        assert 60 <= int(strength) <= 100
        assert all(phrase.strip() for phrase in phrases.split(",")), category
    assert any(place.rule.category == "user.contact.email" for place in found_in(("email",)))


def test_words_in_another_order() -> None:
    """A phrase fits in any order, unless it has a word that says something else the other way round."""

    def found(*name: str) -> set[tuple[str, ...]]:
        return {place.rule.phrase for place in found_in(name) if len(place.rule.phrase) == len(name)}

    assert found("birth", "date") == found("date", "birth") != set()
    assert found("reply", "to") == {("reply", "to")}
    assert found("to", "reply") == set()


@given(
    st.lists(st.tuples(st.text(min_size=1, max_size=20), st.sampled_from(["text", "integer", "jsonb", "x"])))
)
def test_every_column_gets_a_decision(columns: list[tuple[str, str]]) -> None:
    """In order, whatever they are called, with a reason."""
    facts = table("t", [column(name, kind) for name, kind in columns])
    decided = classify_table(facts, Context.of([facts]))
    assert [d.column for d in decided] == [name for name, _ in columns]
    assert all(d.evidence and 0 <= d.confidence <= 1 for d in decided)
