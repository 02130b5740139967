"""The rights that the present policies and data map need in a data source, and nothing more."""

from aegis.grants.checking import Checked, check
from aegis.grants.needed import Grants, needed
from aegis.grants.needs import Need, Purpose

__all__ = ["Checked", "Grants", "Need", "Purpose", "check", "needed"]
