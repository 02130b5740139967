"""Other tools that look at column names, each from its package on PyPI in an environment of its own."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.catalog.schemas import Schema
from benchmarks.catalog.scoring import Predictions

_HERE: Final = Path(__file__).parent
_FOLDER: Final = _HERE.parents[1] / ".schemas" / "peers"
_SECONDS: Final = 600


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One tool, asked by names alone: it looks at nothing else, or at values that are not here."""

    name: str
    #: As its package says.
    license: str
    #: What pip installs, without dependencies: `asking/names.py` says why.
    packages: tuple[str, ...]
    #: Its own class → category; a class that is not here is not about a person.
    categories: Mapping[str, str]

    def ask(self, schema: Schema) -> Predictions:
        """Return what it says about every column of a schema."""
        names = sorted({it.name for columns in schema.tables.values() for it in columns})
        answers = self._answers(tuple(names))
        return {
            (table, it.name): self.categories.get(answers[it.name] or "")
            for table, columns in schema.tables.items()
            for it in columns
        }

    def _answers(self, names: tuple[str, ...]) -> dict[str, str | None]:
        done = subprocess.run(
            # Safe path: a script has the names of its peers' modules beside it.
            [str(self._python()), "-P", "-W", "ignore", str(_HERE / "asking" / "names.py"), self.name],
            input=json.dumps(names),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode:
            message = f"{self.name} did not answer: {done.stderr.strip().splitlines()[-1:]}"
            raise RuntimeError(message)
        answers: dict[str, str | None] = json.loads(done.stdout)
        return answers

    def _python(self) -> Path:
        version = hashlib.sha256(repr((self.packages, sys.version)).encode()).hexdigest()[:12]
        folder = _FOLDER / f"{self.name}-{version}"
        ready = folder / ".installed"
        if not ready.exists():
            shutil.rmtree(folder, ignore_errors=True)
            words = ("--quiet", "--disable-pip-version-check", "--no-deps", "--ignore-requires-python")
            venv = (sys.executable, "-m", "venv", "--without-pip", str(folder))
            pip = (sys.executable, "-m", "pip", "--python", str(folder), "install", *words, *self.packages)
            for command in (venv, pip):
                subprocess.run(command, check=True, timeout=_SECONDS)
            ready.touch()
        return folder / "bin" / "python"


PEERS: Final = (
    Peer(
        name="piicatcher",
        license="Apache-2.0",
        packages=("piicatcher==0.21.2", "catalogue==2.0.10"),
        categories={
            "Address": "user.contact.address",
            "BirthDate": "user.demographic.date_of_birth",
            "CreditCard": "user.financial.credit_card",
            "Email": "user.contact.email",
            "Gender": "user.demographic.gender",
            "Nationality": "user.demographic",
            "Password": "user.authorization.password",
            "Person": "user.name",
            "Phone": "user.contact.phone_number",
            "PoBox": "user.contact.address",
            "SSN": "user.government_id.national_identification_number",
            "UserName": "user.account.username",
            "ZipCode": "user.contact.address.postal_code",
        },
    ),
    Peer(
        name="openmetadata",
        license="Apache-2.0; later versions are under the Collate Community License",
        packages=("openmetadata-ingestion==1.5.15.2",),
        categories={
            "ADDRESS": "user.contact.address",
            "BANK_ACCOUNT": "user.financial.bank_account",
            "BIRTH_DATE": "user.demographic.date_of_birth",
            "CREDIT_CARD": "user.financial.credit_card",
            "EMAIL": "user.contact.email",
            "EMAIL_ADDRESS": "user.contact.email",
            "GENDER": "user.demographic.gender",
            "NATIONALITY": "user.demographic",
            "PASSWORD": "user.authorization.password",
            "PERSON": "user.name",
            "PHONE": "user.contact.phone_number",
            "PHONE_NUMBER": "user.contact.phone_number",
            "SSN": "user.government_id.national_identification_number",
            "US_SSN": "user.government_id.national_identification_number",
            "USER_NAME": "user.account.username",
        },
    ),
    Peer(
        name="datahub",
        license="Apache-2.0",
        packages=("acryl-datahub-classify==0.0.12",),
        categories={
            "Age": "user.demographic.age_range",
            "Credit_Debit_Card_Number": "user.financial.credit_card",
            "Email_Address": "user.contact.email",
            "Full_Name": "user.name",
            "Gender": "user.demographic.gender",
            "IBAN": "user.financial.bank_account",
            "IP_Address_v4": "user.device.ip_address",
            "IP_Address_v6": "user.device.ip_address",
            "Phone_Number": "user.contact.phone_number",
            "Street_Address": "user.contact.address",
            "Swift_Code": "user.financial.bank_account",
            "US_Driving_License_Number": "user.government_id.drivers_license_number",
            "US_Social_Security_Number": "user.government_id.national_identification_number",
            "Vehicle_Identification_Number": "user.government_id.vehicle_registration",
        },
    ),
)
