from media import stats
from media._native import Core
from media.relay import AddViewer, Expect, Open, encode
from tests.media.rtp import packet


def test_every_counter_of_the_native_relay_has_its_field_here() -> None:
    """Decoding drops unknown names, so compare what is read with what was written."""
    core = Core()
    for command in (
        Open(stream="s", address="10.0.0.1", port=30_000),
        AddViewer(stream="s", viewer="v", address="10.0.0.2", port=30_002),
        Expect(stream="s", source=("192.0.2.1",), ssrc=106_000_001),
    ):
        core.command(encode(command), 0.0)
    for number in (1, 2, 2):
        core.feed(("10.0.0.1", 30_000), packet(number), ("192.0.2.1", 5000), 0.0)
    counters = stats.read(core.counters())
    stream = counters.streams["s"]
    assert (stream.received, stream.admitted, stream.bytes, stream.held) == (3, 2, 32, 2)
    assert stream.refused == stats.Refused(duplicate=1)
    assert stream.viewers == {"v": stats.ViewerCounters()}
    assert (counters.receiving_sockets, counters.sending_sockets) == (1, 1)
    written = sorted(encode(counters).replace(b",", b" ").replace(b"{", b" ").replace(b"}", b" ").split())
    native = sorted(core.counters().replace(b",", b" ").replace(b"{", b" ").replace(b"}", b" ").split())
    assert written == native
