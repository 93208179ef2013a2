"""Calls that outlive their process: what is kept of them, and how the next process ends them."""

import asyncio
import contextlib
from dataclasses import replace

import pytest

from sip.aio.calls import Calls, Incoming
from sip.dialog import Dialog, DialogState
from sip.errors import Declined, TransactionTimeout
from sip.request import Outgoing
from tests.sip.ground import AT_CAMERA, AT_GATEWAY, CAMERA, GATEWAY, both, endpoint
from tests.sip.network import Network
from tests.sip.talk import Camera, invite, play


class Notebook:
    """A memo that tells what it was asked to keep, and that may be slow."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.states: list[DialogState] = []
        self.dropped = 0
        self._seconds = seconds

    def keep(self, dialog: DialogState) -> None:
        assert not self.dropped
        self.states.append(dialog)

    async def kept(self) -> None:
        if self._seconds:
            await asyncio.sleep(self._seconds)

    def drop(self) -> None:
        self.dropped += 1


class Sent:
    """Methods and statuses that left the gateway, in order."""

    def __init__(self, network: Network) -> None:
        self.texts: list[str] = []
        network.taps.append(lambda _at, payload, source, _to, _arrives: self._note(payload, source))

    def _note(self, payload: bytes, source: tuple[str, int]) -> None:
        if source != AT_CAMERA:
            self.texts.append(payload.decode())

    def methods(self) -> list[str]:
        return [text.split(" ", 1)[0] for text in self.texts]


def test_a_placed_call_is_kept_before_its_invite_and_before_its_ack() -> None:
    async def scenario(network: Network) -> None:
        ends = both(network)
        memo = Notebook(seconds=1.0)
        sent = Sent(network)
        async with Calls(ends[0]) as gateway, Calls(ends[1]) as calls:
            Camera(calls)
            async with gateway.place(invite(ends[0]), memo=memo) as call:
                assert network.loop.time() >= 2.0
                assert [state.early for state in memo.states] == [True, False]
                assert memo.states[-1] == call.dialog.state
                assert "ACK" not in sent.methods()
                call.ack()
                await asyncio.sleep(0.1)
                assert memo.dropped == 0
            assert memo.dropped == 0  # the BYE is on its way
            await asyncio.sleep(0.1)
            assert memo.dropped == 1

    play(scenario)


def test_an_accepted_call_is_kept_before_its_200() -> None:
    async def scenario(network: Network) -> None:
        ends = both(network)
        memo = Notebook(seconds=1.0)
        async with Calls(ends[0]) as gateway, Calls(ends[1]) as calls:

            async def hold() -> None:
                async with incoming.accept(b"", memo=memo) as call:
                    await call.ended

            tasks = []
            calls.on_invite = lambda asked: tasks.append(asked)
            placing = asyncio.create_task(_placed(gateway))
            await asyncio.sleep(0.1)
            (incoming,) = tasks
            holding = asyncio.create_task(hold())
            await asyncio.sleep(0.5)
            assert len(memo.states) == 1
            assert not placing.done()
            await placing
            await holding
            assert memo.dropped == 1

    play(scenario)


async def _placed(gateway: Calls) -> None:
    async with gateway.place(invite(gateway.endpoint)) as call:
        call.ack()


@pytest.mark.parametrize("when", [0.0005, 0.5])
def test_what_never_becomes_a_call_is_dropped_once(when: float) -> None:
    """Refused at once, or cancelled while it waits for its record."""

    async def scenario(network: Network) -> None:
        ends = both(network)
        memo = Notebook(seconds=when if when > 0.1 else 0.0)
        async with Calls(ends[0]) as gateway, Calls(ends[1]):  # which refuses with 480

            async def attempt() -> None:
                async with gateway.place(invite(ends[0]), memo=memo):
                    pytest.fail("not a call")

            if when > 0.1:
                attempting = asyncio.create_task(attempt())
                await asyncio.sleep(0.1)
                attempting.cancel()
                await asyncio.gather(attempting, return_exceptions=True)
            else:
                with pytest.raises(Declined):
                    await attempt()
            assert memo.dropped == 1
            assert gateway.active == 0

    play(scenario)


def test_a_dialog_is_ended_by_another_process_from_what_was_kept() -> None:
    async def scenario(network: Network) -> None:
        ends = both(network)
        async with Calls(ends[1]) as calls:
            camera = Camera(calls)
            memo = Notebook()
            first = Calls(ends[0])
            placing = first.place(invite(ends[0]), memo=memo)
            call = await placing.__aenter__()
            call.ack()
            await asyncio.sleep(0.1)
            kept = memo.states[-1]
            later = Notebook()
            async with Calls(ends[0]) as second:  # takes the endpoint over, and knows nothing
                second.end(kept, later, reason='SIP;cause=503;text="again"')
                assert second.active == 1
                await asyncio.sleep(0.1)
                assert (second.active, later.dropped) == (0, 1)
                assert camera.why == ["bye"]
                bye = camera.held[0].ended_by
                assert bye is not None
                assert bye.header("Reason") == 'SIP;cause=503;text="again"'
                assert bye.cseq == kept.local_cseq + 1
            await placing.__aexit__(None, None, None)

    play(scenario)


@pytest.mark.parametrize("remembered", [True, False])
def test_only_a_remembered_2xx_that_comes_to_the_next_process_is_ended(remembered: bool) -> None:
    async def scenario(network: Network) -> None:
        end, stack = endpoint(network, GATEWAY, AT_GATEWAY)
        async with Calls(endpoint(network, CAMERA, AT_CAMERA)[0]) as calls:
            camera = Camera(calls, delay=3.0)
            outgoing = invite(end)
            end.send(outgoing)
            await asyncio.sleep(1.0)
            stack.close()
            async with Calls(endpoint(network, GATEWAY, AT_GATEWAY)[0]) as second:
                memo, sent = Notebook(), Sent(network)
                if remembered:
                    second.end(DialogState.of_invite(outgoing), memo)
                assert second.active == 0
                await asyncio.sleep(5.0)
                assert sent.methods() == (["ACK", "BYE"] if remembered else [])
                assert memo.dropped == remembered
                assert [state.early for state in memo.states] == [False] * remembered
                assert camera.why == ["bye"] * remembered

    play(scenario)


def test_who_never_answers_is_forgotten() -> None:
    async def scenario(network: Network) -> None:
        ends = both(network)
        network.cut(AT_CAMERA[0])
        async with Calls(ends[0]) as second:
            early, confirmed = Notebook(), Notebook()
            state = DialogState.of_invite(invite(ends[0]))
            second.end(state, early)
            second.end(replace(state, remote_tag="x", early=False), confirmed)
            await asyncio.sleep(33.0)
            assert (second.active, early.dropped, confirmed.dropped) == (0, 0, 1)
            await asyncio.sleep(40.0)
            assert early.dropped == 1

    play(scenario)


def test_an_end_gives_up_after_its_bound_and_keeps_the_record(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(network: Network) -> None:
        ends = both(network)
        memo = Notebook()
        async with Calls(ends[1]) as calls:
            Camera(calls)
            async with Calls(ends[0], leaving_seconds=3.0) as gateway:
                async with gateway.place(invite(ends[0]), memo=memo) as call:
                    call.ack()
                    await asyncio.sleep(0.1)
                    network.cut(AT_CAMERA[0])
                started = network.loop.time()
            assert network.loop.time() - started == pytest.approx(3.0)
            assert memo.dropped == 0
            assert "calls.left_behind" in caplog.messages
            network.mend(AT_CAMERA[0])

    play(scenario)


@pytest.mark.parametrize("answer", ["refuse", "cancel", "accept"])
def test_an_invite_that_waits_is_kept_until_it_has_its_answer(answer: str) -> None:
    async def scenario(network: Network) -> None:
        ends = both(network)
        waits, holds = Notebook(), Notebook()

        async def decide(incoming: Incoming) -> None:
            incoming.remember(waits)
            await asyncio.sleep(1.0)
            assert waits.dropped == (answer == "cancel")
            if answer == "refuse":
                incoming.refuse(486)
            elif answer == "accept":
                async with incoming.accept(b"", memo=holds) as call:
                    await call.ended

        async with Calls(ends[0]) as gateway, Calls(ends[1]) as calls, asyncio.TaskGroup() as tasks:
            calls.on_invite = lambda incoming: void(tasks.create_task(decide(incoming)))
            seconds = 0.5 if answer == "cancel" else 5.0
            with contextlib.suppress(Declined, TransactionTimeout):
                async with gateway.place(invite(ends[0]), answer_seconds=seconds) as call:
                    call.ack()
                    assert waits.dropped == 0
        (state,) = waits.states
        assert state.request.startswith(b"INVITE sip:")
        if answer == "accept":
            (held,) = holds.states
            assert (held.call_id, held.local_tag) == (state.call_id, state.local_tag)
            assert (held.request, waits.dropped, holds.dropped) == (state.request, 0, 1)
            assert (bool(state.target), bool(held.target)) == (False, True)
        else:
            assert waits.dropped == 1

    play(scenario)


def test_an_invite_that_an_earlier_process_left_waiting_is_refused() -> None:
    async def scenario(network: Network) -> None:
        ends = both(network)
        left: list[DialogState] = []
        memo = Notebook()
        async with Calls(ends[0]) as gateway:
            dying = Calls(ends[1])
            dying.on_invite = lambda incoming: left.append(DialogState.of_waiting(incoming.event))
            placing = asyncio.create_task(placed(gateway, invite(ends[0])))
            await asyncio.sleep(1.0)
            network.unbind(AT_CAMERA)
            later, _ = endpoint(network, CAMERA, AT_CAMERA)
            async with Calls(later) as calls:
                calls.end(left[0], memo, refusal=(("Retry-After", "3"),))
                with pytest.raises(Declined) as declined:
                    await placing
                assert declined.value.status == 500
                await asyncio.sleep(31.0)
                assert memo.dropped == 0  # until then it is repeated where no ACK comes
                await asyncio.sleep(2.0)
                assert memo.dropped == 1

    play(scenario)


def test_what_may_not_be_answered_any_more_is_forgotten_at_once() -> None:
    async def scenario(network: Network) -> None:
        ends = both(network)
        memo = Notebook()
        async with Calls(ends[0]) as gateway:
            sent = Sent(network)
            gateway.end(replace(STATE, target="", request=b"no request"), memo)
            assert (memo.dropped, sent.texts) == (1, [])

    play(scenario)


async def placed(gateway: Calls, outgoing: Outgoing) -> None:
    async with gateway.place(outgoing) as call:
        call.ack()


def void(_task: object) -> None:
    pass


STATE = DialogState(
    call_id="c",
    local="<sip:us@r>",
    local_tag="a",
    remote="<sip:them@r>",
    remote_tag="",
    local_cseq=7,
    target="sip:them@10.0.0.1:5062",
    routes=("<sip:10.0.0.9;lr>",),
    source=("10.0.0.9", 5060),
)


def test_a_dialog_s_state_brings_the_same_dialog_back() -> None:
    dialog = Dialog.restored(STATE, "<sip:us@10.0.0.2:5060>")
    assert dialog.state == STATE
    bye = dialog.request("BYE")
    assert (bye.cseq, bye.uri, bye.destination) == (8, "sip:them@10.0.0.1:5062", ("10.0.0.9", 5060))
    assert ("Route", "<sip:10.0.0.9;lr>") in bye.headers
