"""What those below tell us unasked or since we subscribed: who may, what it belongs to, who reads it."""

import asyncio
from collections import Counter
from collections.abc import Callable
from random import Random

from cascade.as_upper.alarms import Alarms
from cascade.as_upper.catalogs import Catalogs
from cascade.as_upper.floods import Floods
from cascade.as_upper.hearing import Hearing
from cascade.as_upper.questions import Asker
from cascade.as_upper.registrar import Registrar
from cascade.as_upper.subscriptions import Subscriptions
from cascade.deviations import Deviations
from cascade.limits import Bounds
from cascade.manscdp import Head, alarm
from cascade.model.ids import PlatformId
from cascade.model.serials import Serials
from sip.endpoint import Endpoint, Reply
from sip.events import Address, Event


class Notices:
    """Of one face. `subscriptions` are ours, `hearing` reads what was answered already."""

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        registrar: Registrar,
        catalogs: Catalogs,
        asker: Asker,
        deviations: Deviations,
        serials: Serials,
        random: Random,
        at: Callable[[PlatformId], Address | None],
        loop: asyncio.AbstractEventLoop,
        counts: Counter[str],
        plan: Callable[[], None],
        bounds: Bounds,
    ) -> None:
        self._registrar = registrar
        self._loop = loop
        self._counts = counts
        self._bounds = bounds
        self._floods = Floods()
        self.hearing = Hearing(
            catalogs=catalogs,
            asker=asker,
            deviations=deviations,
            loop=loop,
            counts=counts,
            plan=plan,
            bounds=bounds,
        )
        self.subscriptions = Subscriptions(
            endpoint=endpoint,
            serials=serials,
            random=random,
            at=at,
            time=loop.time,
            plan=plan,
            resync=catalogs.start,
            deviates=deviations.note,
            counts=counts,
        )

    def take(self, event: Event, head: Head | None, alarms: Alarms) -> Reply | None:
        """The answer to a NOTIFY; None: it comes once an alarm is kept."""
        lease = self._registrar.lease_of(event.from_user, event.source)
        if lease is None or not lease.online:
            return (event.transaction, 403)
        most = self._bounds.limits.notices_a_minute
        if not self._floods.admits(lease.peer.id, most, self._loop.time()):
            self._bounds.meet("notices_a_minute")
            self._counts["notices_flood"] += 1
            return (event.transaction, 503, self._bounds.later())
        heard = self.subscriptions.notified(event, lease.peer)
        if heard.status != 200 or head is None:
            return (event.transaction, heard.status)
        if head.cmd_type == alarm.CMD_TYPE and heard.topic != "catalog":  # as good as one in a MESSAGE
            return alarms.answer(event, head, lease)
        if head.cmd_type == "Catalog" and heard.topic == "catalog":
            self.hearing.take(lease.peer, head, event.body, notice=True)
        else:
            self._counts["notices_unasked"] += 1
        return (event.transaction, 200)
