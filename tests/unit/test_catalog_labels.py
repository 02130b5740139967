"""The labelled columns are there, and the scorer counts as one would by hand."""

import pytest

from benchmarks.catalog import categories, scoring
from benchmarks.catalog.applications import APPLICATIONS
from benchmarks.catalog.labels import FOLDER, Labels, read_labels
from benchmarks.catalog.samples import CHOSEN, RANDOM, sample
from benchmarks.catalog.schemas import read_schema

NAMES = [application.name for application in APPLICATIONS]


@pytest.mark.parametrize("name", NAMES)
def test_exactly_the_sampled_tables_are_labelled_whole(name: str) -> None:
    """Every column of every sampled table has a label, and nothing else has."""
    schema, labels = read_schema(name), read_labels(name)
    drawn = sample(schema)
    expected = {(table, it.name) for table in drawn.drawn | drawn.chosen for it in schema.tables[table]}
    assert set(labels.categories) == expected


@pytest.mark.parametrize("name", NAMES)
def test_every_label_is_a_known_category(name: str) -> None:
    """A label is a key of the taxonomy, or says that the column is not personal."""
    used = {category for category in read_labels(name).categories.values() if category is not None}
    assert used <= categories.GROUPS.keys()


def test_each_application_is_in_one_split_and_has_its_files() -> None:
    """No application is in both splits, the four held out stay so, and no file belongs to none."""
    assert len(set(NAMES)) == len(NAMES)
    assert {application.split for application in APPLICATIONS} == {"dev", "heldout"}
    held_out = {application.name for application in APPLICATIONS if application.split == "heldout"}
    assert held_out == {"indico", "mediawiki", "pretalx", "rt"}
    assert {path.stem for path in FOLDER.glob("*.csv")} == set(NAMES)
    assert RANDOM.keys() | CHOSEN.keys() <= set(NAMES)


def test_a_chosen_table_exists() -> None:
    """A table that was renamed in its schema does not fall out of the sample unseen."""
    for name, tables in CHOSEN.items():
        assert set(tables.split()) <= read_schema(name).tables.keys()


LABELS = Labels(
    application="shop",
    categories={
        ("users", "id"): "user.unique_id",
        ("users", "email"): "user.contact.email",
        ("users", "phone"): "user.contact.phone_number",
        ("users", "note"): "user.content.private",
        ("users", "active"): None,
        ("items", "name"): None,
        ("items", "state"): None,
    },
    notes={},
)
PREDICTIONS = {
    ("users", "id"): None,
    ("users", "email"): "user.contact.email",
    ("users", "phone"): "user.contact.fax_number",
    ("users", "note"): "unknown",
    ("users", "active"): "unknown",
    ("items", "name"): "user.name",
    ("items", "state"): None,
}


def test_the_scorer_counts_as_by_hand() -> None:
    """Content: two hits, one false alarm, one miss; the abstentions turn into a hit and a false alarm."""
    columns = scoring.judge(LABELS, PREDICTIONS)
    content = scoring.content(columns)
    first = scoring.binary(content)
    assert (first.hits, first.false_alarms, first.misses) == (2, 1, 1)
    assert first.precision == first.recall == first.f1 == pytest.approx(2 / 3)
    second = scoring.binary(content, unknown_is_personal=True)
    assert (second.hits, second.false_alarms, second.misses) == (3, 2, 0)
    assert second.f1 == pytest.approx(6 / 8)
    assert scoring.abstentions(content) == 2
    assert scoring.binary(columns).misses == 2


def test_direct_identifiers_leave_out_texts_and_references() -> None:
    """Two hits and a false alarm; the note and the key of the user are not asked for."""
    figures = scoring.binary(scoring.direct(scoring.judge(LABELS, PREDICTIONS)))
    assert (figures.hits, figures.false_alarms, figures.misses) == (2, 1, 0)
    assert set(categories.GROUPS.values()) >= categories.DIRECT


def test_a_group_is_right_when_both_are_in_it() -> None:
    """A fax is of the group of telephones; a name that is none is a false alarm of the group of names."""
    groups = scoring.by_group(scoring.judge(LABELS, PREDICTIONS))
    assert groups["phone"].f1 == groups["email"].f1 == 1
    assert (groups["name"].false_alarms, groups["content"].misses, groups["reference"].misses) == (1, 1, 1)


def test_confusions_are_told_most_frequent_first() -> None:
    """An abstention is a confusion of its own."""
    wrong = scoring.confusions(scoring.judge(LABELS, PREDICTIONS))
    assert set(wrong) == {
        ("-", "name", 1),
        ("-", "unknown", 1),
        ("content", "unknown", 1),
        ("reference", "-", 1),
    }


def test_an_interval_holds_what_was_measured() -> None:
    """Where all tables are alike every draw gives the same; otherwise the measured value lies within."""
    columns = scoring.content(scoring.judge(LABELS, PREDICTIONS))
    low, high = scoring.intervals(columns, repeats=200)["f1"]
    assert low <= scoring.binary(columns).f1 <= high
    same = [it for it in columns if it.table == "users"]
    low, high = scoring.intervals(same, repeats=50)["f1"]
    assert low == high == pytest.approx(scoring.binary(same).f1)


def test_a_column_without_a_prediction_is_named() -> None:
    """A contender that leaves out a column does not get it for nothing."""
    with pytest.raises(ValueError, match=r"shop: no prediction for items\.state \(1 in all\)"):
        scoring.judge(LABELS, {place: it for place, it in PREDICTIONS.items() if place != ("items", "state")})


def test_a_category_of_nobody_is_refused() -> None:
    """A word that is no category cannot pass for one."""
    assert categories.group("user.contact.email.work") == "email"
    assert categories.group("system.operations") == "-"
    with pytest.raises(ValueError, match="expected a fideslang data category"):
        categories.group("email")
