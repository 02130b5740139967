"""Look at everything, change nothing: what is wrong here, and the cure for it."""

from aegis.doctor.examination import examine
from aegis.doctor.findings import Finding, Verdict

__all__ = ["Finding", "Verdict", "examine"]
