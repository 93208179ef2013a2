"""The messages an engine keeps, as Python gets them; how they are kept is tested beside `ring.rs`."""

from sip._native import Core

OURS = ("10.0.0.1", 5060)
PEER = ("10.0.0.5", 5061)


def message(number: int, extra: str = "") -> bytes:
    return (
        f"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.5:5061;branch=z9hG4bK{number}\r\n"
        f"From: <sip:34@a>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: call-{number}\r\nCSeq: 1 OPTIONS\r\n"
        f"{extra}Content-Length: 0\r\n\r\n"
    ).encode()


def engine() -> Core:
    return Core(OURS, "b", ["10.0.0.0/8"], bytes(32))


def test_both_ways_are_kept_with_moment_and_peer() -> None:
    core = engine()
    core.feed(message(1), PEER, 2.5)
    (event,) = core.take_events(9)
    core.reply([(event.transaction, 200)], 3.0)
    newest, kept = core.recall([], 0, 9)
    assert newest == 2
    assert [one[:5] for one in kept] == [
        (1, 2.5, False, PEER, len(message(1))),
        (2, 3.0, True, PEER, len(kept[1][5])),
    ]
    assert kept[0][5] == message(1)
    assert kept[1][5].startswith(b"SIP/2.0 200 OK\r\n")


def test_needles_numbers_and_limits_choose() -> None:
    core = engine()
    for number in range(1, 6):
        core.feed(message(number), PEER, float(number))
    numbers = [one[0] for one in core.recall([b"call-2", b"call-4"], 0, 9)[1]]
    assert numbers == [2, 4]
    assert [one[0] for one in core.recall([b"call-"], 3, 9)[1]] == [4, 5]
    assert [one[0] for one in core.recall([b"call-"], 0, 2)[1]] == [4, 5]
    assert core.recall([b"nobody"], 0, 9) == (5, [])


def test_strangers_and_secrets_are_not_kept() -> None:
    core = engine()
    core.feed(message(1), ("192.0.2.1", 5060), 0.0)
    core.feed(message(2, 'Authorization: Digest username="34", response="c0ffee"\r\n'), PEER, 0.0)
    newest, ((*_, data),) = core.recall([], 0, 9)
    assert newest == 1
    assert b'username="34", response="******"' in data
    assert len(data) == len(message(2, 'Authorization: Digest username="34", response="c0ffee"\r\n'))
