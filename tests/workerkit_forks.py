"""A module that opened a database connection before the pool was forked."""

import os

import sqlalchemy
from celery import shared_task

from tests.workerkit_tasks import told
from worker.app import AFTER_FORK

URL = os.environ.get("TEST_DATABASE", "postgresql+psycopg://")

#: One connection, so that two processes that inherit it are sure to meet on it.
engine = sqlalchemy.create_engine(URL, pool_size=1, max_overflow=0)

if "TEST_KEEP_CONNECTIONS" not in os.environ:
    AFTER_FORK.append(lambda: engine.dispose(close=False))

if "TEST_BREAK_CHILDREN" in os.environ:
    AFTER_FORK.append(lambda: told().rename("there is", "no such key"))

if "TEST_DATABASE" in os.environ:
    with engine.connect() as used:
        used.execute(sqlalchemy.text("SELECT 1"))


@shared_task(name="test.echo")
def echo(first: int, queries: int) -> None:
    """Ask the database for each number, and record whether the answer was that number."""
    for number in range(first, first + queries):
        question = sqlalchemy.text("SELECT CAST(:number AS integer), pg_sleep(0.002)")
        with engine.connect() as connection:
            answer = connection.execute(question, {"number": number}).scalar_one()
        told().rpush("own" if answer == number else "foreign", number)
