"""What a service can ask for: one method for each task that is for services, and none for the others.

Every method looks at its arguments before anything leaves, and returns the request's id. The same id may be
sent as often as one likes: it is done once. An id is 1 to 64 ASCII letters, digits and signs that name
nobody, for ids stand in logs; without one a new one is made.
"""

import abc
import datetime as dt
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Unpack

from aegis.arguments import LONGEST, door, text
from aegis.client.sealing import Sealer
from aegis.client.sending import Message
from aegis.client.terms import PolicyTerms, Terms
from aegis.client.words import PersonKey, Tenant, key, keys, new_id, plain, spelled, tenant
from aegis.errors import AegisError, UsageError
from aegis.federated.messages import checked_id
from aegis.operations.table import (
    ANONYMIZE,
    ANONYMIZE_MANY,
    CONFIRM,
    ENFORCE,
    EXPORT,
    PROTECT,
    RECORD,
    REGISTER,
    REPLAY,
    TENANCY_CHECK,
)


class Requests(abc.ABC):
    """The methods; where a request goes is said by who inherits them.

    Every method raises a ValueError for an argument that is wrong, which names it and never quotes it, and
    what `_take` raises.
    """

    _sealer: Sealer

    @abc.abstractmethod
    def _take(self, message: Message) -> None:
        """Take a request that was looked at."""

    @door
    def anonymize_user(
        self,
        *,
        user_id: PersonKey,
        tenant_id: Tenant = None,
        actor: str = "system",
        subject: str = "user",
        datasource: str = "default",
        request_id: str | None = None,
    ) -> str:
        """Ask for the erasure of one person, as `api.privacy.anonymize_user`."""
        request_id = new_id(request_id)
        words = {"user_id": key("user_id", user_id), "tenant_id": tenant("tenant_id", tenant_id)}
        words |= {"actor": actor, "subject": subject, "datasource": datasource, "request_id": request_id}
        return self._ask(ANONYMIZE, request_id, words)

    @door
    def anonymize_many(
        self,
        *,
        user_ids: Collection[PersonKey] | None = None,
        group: str | None = None,
        limit: int | None = None,
        tenant_id: Tenant = None,
        actor: str = "system",
        subject: str = "user",
        datasource: str = "default",
        request_id: str | None = None,
    ) -> str:
        """Ask for the erasure of several people, or of a group, as one: `api.privacy.anonymize_users`."""
        if (user_ids is None) == (group is None):
            message = "an erasure names people (user_ids), or a group of the data map, and never both"
            raise UsageError(message)
        request_id = new_id(request_id)
        words: dict[str, Any] = {"group": group, "limit": limit, "tenant_id": tenant("tenant_id", tenant_id)}
        words |= {"user_ids": None if user_ids is None else keys(user_ids)}
        words |= {"actor": actor, "subject": subject, "datasource": datasource, "request_id": request_id}
        return self._ask(ANONYMIZE_MANY, request_id, words)

    @door
    def replay_erasures(
        self,
        *,
        since: dt.datetime,
        actor: str,
        datasource: str = "default",
        execute: bool = False,
        request_id: str | None = None,
    ) -> str:
        """Look for erased people who came back with a restored database; with `execute` erase them again."""
        if since.tzinfo is None:
            message = "since must be a time with a zone, such as 2027-01-31T02:00:00+00:00"
            raise UsageError(message)
        words = {"since": since, "datasource": datasource, "execute": execute, "actor": actor}
        return self._ask(REPLAY, new_id(request_id), words)

    @door
    def confirm_copy(self, *, request: str, copy: str, actor: str, request_id: str | None = None) -> str:
        """Confirm that a copy elsewhere has forgotten the people of an erasure, named by its request."""
        words = {"request": checked_id(request), "copy": copy, "actor": actor}
        return self._ask(CONFIRM, new_id(request_id), words)

    @door
    def register_policy(
        self, *, name: str, table: str, request_id: str | None = None, **terms: Unpack[PolicyTerms]
    ) -> str:
        """Register a retention policy, as `api.privacy.register_retention_policy`; a person approves it."""
        request_id = new_id(request_id)
        words = {"name": name, "table": table, "request_id": request_id}
        return self._ask(REGISTER, request_id, {**terms, **words})

    @door
    def enforce_retention(
        self,
        *,
        dry_run: bool = True,
        tenant_id: Tenant = None,
        policies: Sequence[str] | None = None,
        actor: str = "system",
        request_id: str | None = None,
    ) -> str:
        """Start runs of all approved policies, or of those named; `dry_run` counts, into the workers' log."""
        request_id = new_id(request_id)
        words = {"dry_run": dry_run, "tenant_id": tenant("tenant_id", tenant_id), "policies": policies}
        return self._ask(ENFORCE, request_id, {**words, "actor": actor, "request_id": request_id})

    @door
    def record_audit(
        self,
        *,
        action: str,
        actor: str,
        target_type: str,
        target_id: str | int | uuid.UUID,
        details: Mapping[str, Any] | None = None,
        request_id: str | None = None,
    ) -> str:
        """Record an event of the service's own, as `api.audit.record_audit`; its details leave it sealed.

        Raises:
            ValueError: an argument is wrong, or the details are no plain data or over 32 KiB.
            aegis.errors.NotPrepared: there are details, and the client was given no `workers_key`.

        """
        request_id = new_id(request_id)
        words = {"action": action, "actor": actor, "target_type": target_type, "request_id": request_id}
        words["target_id"] = text("target_id", spelled(target_id), LONGEST)
        if details:
            words["sealed"] = self._sealer.details(details, request_id)
        return self._ask(RECORD, request_id, words)

    @door
    def check_tenant(
        self, *, requesting_tenant: Tenant, resource_tenant: Tenant, request_id: str | None = None
    ) -> str:
        """Have two tenants compared and a denial recorded; its status is then `done`, its reason `denied`."""
        words = {"requesting_tenant": tenant("requesting_tenant", requesting_tenant)}
        words["resource_tenant"] = tenant("resource_tenant", resource_tenant)
        return self._ask(TENANCY_CHECK, new_id(request_id), words)

    @door
    def export_audit(self, *, name: str, request_id: str | None = None) -> str:
        """Export what is new in the log to where `aegis.toml` says, as `[audit.exports.NAME]`."""
        return self._ask(EXPORT, new_id(request_id), {"name": name})

    @door
    def protect(
        self,
        value: Any,
        participant_count: int,
        *,
        request_id: str | None = None,
        **terms: Unpack[Terms],
    ) -> str:
        """Ask for an aggregate to be protected and released, once for each request id.

        Args:
            value: a number, an array, or nested dicts and lists of them.
            participant_count: how many people stand behind it.
            request_id: the release has this id too.
            terms: as for `federated_aggregation_protect`.

        Raises:
            ValueError: a value that is no aggregate, or too large for how this client was made.
            aegis.errors.NotPrepared: the client was given no `workers_key` or no `key_file`.
            aegis.errors.Unreachable: the broker or the place for inputs does not answer; send it again.

        """
        request_id = new_id(request_id)
        body = {**terms, "participant_count": participant_count}
        sealed = self._sealer.aggregate(value, request_id, body)
        try:
            return self._ask(PROTECT, request_id, {"request_id": request_id, "sealed": sealed.text})
        except AegisError:
            self._sealer.forget(sealed)
            raise

    def _ask(self, task: str, request_id: str, words: Mapping[str, Any]) -> str:
        self._take(Message(task=task, request_id=request_id, arguments=plain(words)))
        return request_id
