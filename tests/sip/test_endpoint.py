import asyncio
import logging
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip._native import Core
from sip.aio.calls import ask
from sip.endpoint import Endpoint, Outgoing, Party
from sip.errors import TransactionTimeout, UsageError
from sip.events import Event, Kind, Reply
from sip.request import WITH_CONTACT
from tests.clock import run
from tests.sip.ground import (
    AT_CAMERA,
    AT_GATEWAY,
    CAMERA,
    GATEWAY,
    Puppet,
    Wire,
    both,
    endpoint,
    every,
    header,
)
from tests.sip.network import Network

METHODS = ["REGISTER", "MESSAGE", "INVITE", "BYE", "SUBSCRIBE", "NOTIFY", "INFO", "OPTIONS"]
NAMES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='<>"@;'), min_size=1)


def written(outgoing: Outgoing) -> str:
    """The request as it leaves the engine."""
    core = Core(AT_GATEWAY, "r", ["0.0.0.0/0"], bytes(32))
    core.send([outgoing.native], 0.0)
    [(payload, destination)] = core.take_outputs()
    assert destination == outgoing.destination
    return payload.decode(errors="surrogateescape")


def alone() -> Endpoint:
    async def make() -> Endpoint:
        return endpoint(Network(asyncio.get_running_loop()), GATEWAY, AT_GATEWAY)[0]

    return run(make())


# The request builder


@given(st.sampled_from(METHODS), NAMES, NAMES, st.binary(max_size=50))
def test_every_request_of_ours_is_complete(method: str, user: str, host: str, body: bytes) -> None:
    end = alone()
    text = written(
        end.request(method, Party(user, host), AT_CAMERA, body=body, content_type="x/y" if body else None)
    )
    assert text.startswith(f"{method} sip:{user}@{host} SIP/2.0\r\n")
    [via] = every(text, "Via")
    assert via.startswith("SIP/2.0/UDP 203.0.113.20:5060;")
    assert "rport" in via
    assert re.search(r"branch=z9hG4bK\w+", via)
    assert re.fullmatch(rf"<sip:{GATEWAY.user}@{GATEWAY.host}>;tag=[0-9a-f]{{16}}", header(text, "From"))
    assert every(text, "To") == [f"<sip:{user}@{host}>"]
    assert re.fullmatch(r"[0-9a-f]{16}@203\.0\.113\.20", header(text, "Call-ID"))
    assert every(text, "CSeq") == [f"1 {method}"]
    assert every(text, "Max-Forwards") == ["70"]
    assert every(text, "Content-Length") == [str(len(body))]
    contact = [f"<sip:{GATEWAY.user}@203.0.113.20:5060>"]
    assert every(text, "Contact") == (contact if method in WITH_CONTACT else [])
    assert text.partition("\r\n\r\n")[2].encode(errors="surrogateescape") == body


def test_branches_and_tags_differ_even_at_one_time() -> None:
    end = alone()
    core = Core(AT_GATEWAY, "r", ["0.0.0.0/0"], bytes(32))
    core.send([end.request("MESSAGE", CAMERA, AT_CAMERA).native for _ in range(1000)], 0.0)
    texts = [payload.decode() for payload, _ in core.take_outputs()]
    for name in ("Via", "From", "Call-ID"):
        assert len({header(text, name) for text in texts}) == 1000


def test_what_a_link_keeps_can_be_given() -> None:
    end = alone()
    text = written(
        end.request(
            "REGISTER",
            GATEWAY,
            AT_CAMERA,
            uri="sip:34020000002000000001@3402000000",
            headers=[("Contact", "<sip:x@192.0.2.7>"), ("max-forwards", "7"), ("Expires", "3600")],
            call_id="link@here",
            cseq=7,
            from_tag="t1",
            sender=CAMERA,
        )
    )
    assert text.startswith("REGISTER sip:34020000002000000001@3402000000 SIP/2.0\r\n")
    assert header(text, "From") == f"<{CAMERA.uri}>;tag=t1"
    assert (header(text, "Call-ID"), header(text, "CSeq")) == ("link@here", "7 REGISTER")
    assert every(text, "Contact") == ["<sip:x@192.0.2.7>"]
    assert every(text, "Max-Forwards") == ["7"]


@pytest.mark.parametrize(
    "bad",
    [
        {"headers": [("Subject", "a\r\nVia: b")]},
        {"headers": [("Sub\nject", "a")]},
        {"uri": "sip:a@b\r\nX: y"},
        {"call_id": "a\nb"},
        {"sender": Party("a\rb", "c")},
        {"body": b"x"},
    ],
)
def test_a_request_that_would_lie_on_the_wire_is_refused_here(bad: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        alone().request("MESSAGE", CAMERA, AT_CAMERA, **bad)


def test_contact_shows_the_advertised_address_in_brackets_where_it_is_ipv6() -> None:
    async def scenario() -> str:
        stack = Network(asyncio.get_running_loop()).stack(AT_GATEWAY, "r")
        return Endpoint(stack, GATEWAY, advertised=("2001:db8::1", 5070)).contact

    assert run(scenario()) == f"<sip:{GATEWAY.user}@[2001:db8::1]:5070>"


# Deciding


class Decider:
    """Answers 200 and writes down how long its runs were."""

    def __init__(self) -> None:
        self.runs: list[int] = []

    def __call__(self, run: list[Event]) -> list[Reply]:
        self.runs.append(len(run))
        return [(event.transaction, 200) for event in run]


def test_a_batch_is_decided_in_runs_of_one_kind() -> None:
    messages, registers = Decider(), Decider()

    async def scenario() -> None:
        network = Network(asyncio.get_running_loop())
        gateway, camera = both(network)
        gateway.handle(Kind.MESSAGE, messages)
        gateway.handle(Kind.REGISTER, registers)
        for method in ["MESSAGE"] * 5 + ["REGISTER"] * 3 + ["MESSAGE"] * 2:
            camera.send(camera.request(method, GATEWAY, AT_GATEWAY))
        await asyncio.sleep(0.1)

    run(scenario())
    assert (messages.runs, registers.runs) == ([5, 2], [3])


def test_a_bug_costs_its_run_a_500_and_one_log_line(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> list[str]:
        network = Network(asyncio.get_running_loop())
        gateway, camera = both(network)
        gateway.handle(Kind.MESSAGE, lambda run: [(1 // 0, 200)])
        gateway.handle(Kind.REGISTER, Decider())
        wire = Wire(network)
        for method in ["MESSAGE"] * 3 + ["REGISTER"]:
            camera.send(camera.request(method, GATEWAY, AT_GATEWAY))
        await asyncio.sleep(0.1)
        return wire.lines()[4:]

    with caplog.at_level(logging.ERROR):
        assert run(scenario()) == ["500 MESSAGE"] * 3 + ["200 REGISTER"]
    assert [record.message for record in caplog.records] == ["sip.decide_failed"]
    assert caplog.records[0].exc_info


def test_an_answer_that_can_not_be_written_costs_nobody_else_his(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> list[str]:
        network = Network(asyncio.get_running_loop())
        gateway, camera = both(network)
        gateway.handle(Kind.MESSAGE, lambda run: [(run[0].transaction, 200, [("X", "a\r\nb")])])
        gateway.handle(Kind.REGISTER, Decider())
        wire = Wire(network)
        for method in ["REGISTER", "MESSAGE", "REGISTER"]:
            camera.send(camera.request(method, GATEWAY, AT_GATEWAY))
        await asyncio.sleep(0.1)
        return wire.lines()[3:]

    assert run(scenario()) == ["200 REGISTER", "500 MESSAGE", "200 REGISTER"]
    assert [record.message for record in caplog.records] == ["sip.reply_failed"]


def test_what_nobody_decides_is_405_and_options_is_200_both_with_allow() -> None:
    async def scenario() -> list[tuple[int, str | None]]:
        gateway, camera = both(Network(asyncio.get_running_loop()))
        gateway.handle(Kind.MESSAGE, Decider())
        asked = ["SUBSCRIBE", "REGISTER", "OPTIONS", "MESSAGE"]
        answers = [await ask(camera, camera.request(method, GATEWAY, AT_GATEWAY)) for method in asked]
        return [(answer.status, answer.header("Allow")) for answer in answers]

    allow = "OPTIONS, MESSAGE"
    assert run(scenario()) == [(405, allow), (405, allow), (200, allow), (200, None)]


def test_other_methods_reach_their_decider_without_options() -> None:
    info = Decider()

    async def scenario() -> list[tuple[int, str | None]]:
        gateway, camera = both(Network(asyncio.get_running_loop()))
        gateway.handle(Kind.REQUEST, info, methods=["INFO"])
        requests = [camera.request(method, GATEWAY, AT_GATEWAY) for method in ("INFO", "OPTIONS", "INFO")]
        answers = await asyncio.gather(*(ask(camera, request) for request in requests))
        return [(answer.status, answer.header("Allow")) for answer in answers]

    assert run(scenario()) == [(200, None), (200, "OPTIONS, INFO"), (200, None)]
    assert info.runs == [2]


def test_no_task_and_no_log_line_is_made_for_a_message(caplog: pytest.LogCaptureFixture) -> None:
    made: list[object] = []

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        gateway, camera = both(Network(loop))
        gateway.handle(Kind.MESSAGE, Decider())

        def factory(loop: asyncio.AbstractEventLoop, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
            made.append(coro)
            return asyncio.Task(coro, loop=loop, **kwargs)

        loop.set_task_factory(factory)
        camera.send_many([(camera.request("MESSAGE", GATEWAY, AT_GATEWAY), None) for _ in range(500)])
        await asyncio.sleep(1)
        loop.set_task_factory(None)

    with caplog.at_level(logging.DEBUG):
        run(scenario())
    assert made == []
    assert [record for record in caplog.records if record.name.startswith("sip")] == []


# Asking


def test_an_answer_is_any_final_response() -> None:
    async def scenario() -> int:
        network = Network(asyncio.get_running_loop())
        gateway, _ = endpoint(network, GATEWAY, AT_GATEWAY)
        puppet = Puppet(network)
        asking = asyncio.create_task(ask(gateway, gateway.request("MESSAGE", CAMERA, AT_CAMERA)))
        message = await puppet.expect("MESSAGE")
        puppet.answer(message, "100 Trying", tag="")
        puppet.answer(message, "404 Not Found")
        puppet.answer(message, "404 Not Found")
        answer = await asking
        assert gateway.pending == 0
        return answer.status

    assert run(scenario()) == 404


def test_silence_is_a_timeout_after_32_seconds() -> None:
    async def scenario() -> float:
        loop = asyncio.get_running_loop()
        gateway, _ = endpoint(Network(loop), GATEWAY, AT_GATEWAY)
        with pytest.raises(TransactionTimeout, match="MESSAGE"):
            await ask(gateway, gateway.request("MESSAGE", CAMERA, AT_CAMERA))
        assert gateway.pending == 0
        return loop.time()

    assert run(scenario()) == pytest.approx(32.0, abs=0.1)


def test_who_stops_asking_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        gateway, _ = both(Network(asyncio.get_running_loop()))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await ask(gateway, gateway.request("MESSAGE", CAMERA, AT_CAMERA))
        assert gateway.pending == 0
        await asyncio.sleep(60)

    run(scenario())


def test_a_callback_that_fails_is_logged_and_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        gateway, camera = both(Network(asyncio.get_running_loop()))
        camera.handle(Kind.MESSAGE, Decider())
        gateway.send(gateway.request("MESSAGE", CAMERA, AT_CAMERA), lambda event: print(1 // 0))
        answer = await ask(gateway, gateway.request("MESSAGE", CAMERA, AT_CAMERA))
        assert answer.status == 200
        assert gateway.pending == 0

    run(scenario())
    assert [record.message for record in caplog.records] == ["sip.callback_failed"]
