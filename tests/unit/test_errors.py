"""The tree of errors: what a caller may catch, and what the command line returns."""

import inspect

import pytest

from aegis import errors
from aegis.errors import AegisError, Denied, Fenced, Interrupted, SettingsError, Tampered, UsageError

EVERY = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, AegisError)]


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_every_error_is_in_the_tree_and_in_its_picture(kind: type[AegisError]) -> None:
    """Each is one of Aegis's, has an exit code of the command line, and stands in the module's drawing."""
    assert kind.exit_code in {1, 2, 3, 4, 5}
    assert kind.__name__ in (errors.__doc__ or "")
    assert kind.__doc__


def test_what_services_catch() -> None:
    """Wrong use is a ValueError, a denial a PermissionError, whatever else they are."""
    assert issubclass(UsageError, ValueError)
    assert issubclass(Denied, PermissionError)
    assert issubclass(SettingsError, UsageError)
    assert issubclass(Fenced, Interrupted)
    codes = [kind.exit_code for kind in (Tampered, UsageError, Interrupted, Denied)]
    assert codes == [1, 2, 3, 4]
