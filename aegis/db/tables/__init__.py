"""Aegis's own tables in the control database.

Everything here is created by the migrations; the tests prove that models and migrations agree.
The names begin with `aegis_`, so that they can share a database with an application; the three
that others read by name (`audit_logs`, `audit_pending`, `data_retention_policies`) do not.
"""

from aegis.db.base import Base
from aegis.db.tables.erasures import ErasedPerson, ErasureCopy, Tombstone
from aegis.db.tables.log import (
    Actor,
    AuditCheckpoint,
    AuditKey,
    AuditLeaf,
    AuditLog,
    AuditPending,
    AuditPruned,
    AuditState,
    AuditTile,
    AuditWitness,
)
from aegis.db.tables.policies import Approval, Approver, DataRetentionPolicy
from aegis.db.tables.releases import BudgetAccount, BudgetCharge, Release
from aegis.db.tables.runs import Archive, Purge, Request, Run, RunShard, Watermark
from aegis.db.tables.sources import CatalogReview, Hold, Ledger, RelayMark, Source

__all__ = [
    "Actor",
    "Approval",
    "Approver",
    "Archive",
    "AuditCheckpoint",
    "AuditKey",
    "AuditLeaf",
    "AuditLog",
    "AuditPending",
    "AuditPruned",
    "AuditState",
    "AuditTile",
    "AuditWitness",
    "Base",
    "BudgetAccount",
    "BudgetCharge",
    "CatalogReview",
    "DataRetentionPolicy",
    "ErasedPerson",
    "ErasureCopy",
    "Hold",
    "Ledger",
    "Purge",
    "RelayMark",
    "Release",
    "Request",
    "Run",
    "RunShard",
    "Source",
    "Tombstone",
    "Watermark",
]
