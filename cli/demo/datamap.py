"""The data map of the demo's application: what is personal, where, and what becomes of it with a person."""

from typing import Final

DATAMAP: Final = """\
subjects:
  user:
    table: users
    key: id
    tenant: tenant
    created: created_at
    identifiers: {email: email, name: display_name}

tables:
  users: {row: anonymize, columns: {tenant: preserve, email: surrogate_email, display_name: surrogate}}
  safety_events: {row: delete}
  sign_ins: {row: delete}
  refresh_tokens: {row: delete}
  jobs: {row: delete}
"""
