"""Settings: `aegis.toml` and the environment, joined into one frozen, typed object.

`AEGIS_CONFIG` names the file (default: `aegis.toml` in the working folder). Every key is also
an environment variable: `AEGIS_DATABASE_URL`, `AEGIS_RETENTION__BATCH_MILLISECONDS`,
`AEGIS_DATASOURCES__APP__URL`. The environment wins. An unknown key is refused.
"""

from aegis.settings.model import (
    DEFAULT_SOURCE,
    ArchiveSettings,
    AuditSettings,
    CopySettings,
    ErasureSettings,
    ExportSettings,
    FederatedSettings,
    OperationSettings,
    ProducerSettings,
    RetentionSettings,
    Settings,
    SourceSettings,
    ThrottleSettings,
    VerifySettings,
    WorkerSettings,
)
from aegis.settings.reading import load_settings
from aegis.settings.showing import describe, masked

__all__ = [
    "DEFAULT_SOURCE",
    "ArchiveSettings",
    "AuditSettings",
    "CopySettings",
    "ErasureSettings",
    "ExportSettings",
    "FederatedSettings",
    "OperationSettings",
    "ProducerSettings",
    "RetentionSettings",
    "Settings",
    "SourceSettings",
    "ThrottleSettings",
    "VerifySettings",
    "WorkerSettings",
    "describe",
    "load_settings",
    "masked",
]
