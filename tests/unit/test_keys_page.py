"""docs/keys.md: each thing that can happen to a key has a cure, and each cure a test."""

import re
from typing import Final

from tests.pages import DOCS
from tests.workerkit import ROOT

#: What happened, as the page says → the test that does what the page says then.
CURES: Final = {
    "`audit-N.key` is lost": "integration/test_sequencer.py::test_a_lost_key_is_replaced",
    "`audit-N.key` is in other hands": (
        "integration/test_audit_verify.py::test_everything_was_recomputed_with_the_current_key"
    ),
    "a routine change of `audit-N.key`": "integration/test_cli_audit.py::test_keys_overlap",
    "`epoch-N.key` is lost": "integration/test_epochs.py::test_given_up_for_good",
    "`epoch-N.key` is in other hands": "integration/test_epochs.py::test_every_key_is_wrapped_anew_and_opens",
    "`epoch-N.key` is another key than the store's": (
        "integration/test_epochs.py::test_a_machine_without_the_new_file"
    ),
    "`worker.key` is lost": "integration/test_destroyed_keys.py::test_another_in_its_place",
    "`worker.key` is in other hands": "",
    "a key was destroyed by mistake": (
        "integration/test_epochs.py::test_a_destroyed_key_is_back_until_its_epoch_is_gone"
    ),
    "the key store is lost": "integration/test_epochs.py::test_lost_without_a_backup",
    "the key store came back from a backup": "integration/test_epochs.py::test_it_goes_on_from_where_it_was",
    "the key files came back from a backup": (
        "integration/test_epochs.py::test_a_file_that_is_destroyed_elsewhere_goes_here_too"
    ),
    "an approver's key is lost": (
        "integration/test_approvals.py::test_what_was_signed_stays_when_its_key_goes"
    ),
    "an approver's key is in other hands": "integration/test_approvals.py::test_the_first_is_not_enough",
    "a service's key is lost": "faults/test_forged_messages.py::test_while_keys_change_and_again",
    "a service's key is in other hands": "faults/test_forged_messages.py::test_while_keys_change_and_again",
    "a witness's key is lost or in other hands": "integration/test_runbook.py::test_a_witness_that_is_away",
    "the control database came back from a backup": "integration/test_sequencer.py::test_a_new_incarnation",
}
#: Against these there is no cure, and the page says so.
NONE: Final = {"`worker.key` is in other hands": "There is no rotation of it yet"}


def test_every_cure_has_a_test() -> None:
    """The rows of the table are those above, and each test is there."""
    section = (
        (DOCS / "keys.md").read_text("utf-8").partition("## When a key is lost")[2].partition("\n## ")[0]
    )
    rows = dict(re.findall(r"^\| (?!what happened|---)(.+?) \| (.+) \|$", section, re.MULTILINE))
    assert set(rows) == set(CURES)
    for happened, test in CURES.items():
        if happened in NONE:
            assert NONE[happened] in rows[happened]
            continue
        file, _, name = test.partition("::")
        assert f"def {name}(" in (ROOT / "tests" / file).read_text("utf-8"), test
