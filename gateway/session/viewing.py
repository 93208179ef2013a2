"""The owner of a leg that takes media, and of its sending port: one coroutine a viewing."""

import asyncio
import logging

from cascade.crossing import StreamOffered
from cascade.errors import StreamFailed
from gateway.session.leg import Dial, Ending, first, hung_up
from gateway.session.source import hold_packets
from media.link import MediaLink
from media.ports import NoPortLeft, Ports
from media.relay import AimViewer, DataPlane, Event, RelayRefused, sending

log = logging.getLogger(__name__)


async def view(
    offered: StreamOffered,
    viewer: str,
    dial: Dial,
    *,
    plane: DataPlane,
    media: MediaLink,
    ports: Ports,
    over: asyncio.Future[Ending],
) -> Ending:
    """Show one viewer the stream that was offered until either end is over; return why it ended.

    `over` is set by whoever hears first that the source is over, also by the leg to the other host if
    there is one and it falls silent. The viewer is aimed at only once
    its dialog is confirmed: before the ACK nothing is sent anywhere.

    Raises:
        StreamFailed: the dialog never came about.
    """

    def silent(event: Event) -> None:
        log.warning("viewing.leg_silent", extra={"viewer": viewer, "stream": event.stream})
        if not over.done():
            over.set_result(Ending("no-media", "media stopped"))

    try:
        async with (
            media.taking(
                offered.stream,
                offered.payload_type,
                hold_packets=hold_packets(offered.action),
                on_event=silent,
            ),
            sending(plane, ports, offered.stream, viewer) as port,
            dial(port, lambda agreed: None) as leg,
        ):

            async def aimed() -> Ending:
                await leg.confirmed()
                plane.tell(
                    AimViewer(
                        stream=offered.stream,
                        viewer=viewer,
                        host=leg.agreed.host,
                        port=leg.agreed.port,
                        ssrc=leg.agreed.ssrc or 0,
                        payload_type=leg.agreed.payload_type,
                    )
                )
                return await hung_up(leg)

            ending = await first(aimed(), hung_up(leg), asyncio.shield(over))
            if ending.failure is not None:
                leg.because(ending.failure, ending.reason)
            return ending
    except NoPortLeft as error:
        log.warning("viewing.no_port", extra={"viewer": viewer, "reason": str(error)})
        raise StreamFailed("busy", str(error)) from None
    except RelayRefused as error:  # the source ended in this moment, or an address is not ours
        log.warning("viewing.no_relay", extra={"viewer": viewer, "reason": str(error)})
        raise StreamFailed("failed", str(error)) from None
