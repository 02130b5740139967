-- The key store is a database of its own, so that it can have backups of its own.
CREATE DATABASE aegis_keys;
