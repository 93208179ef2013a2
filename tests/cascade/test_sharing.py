"""What one upper sees: ids that stay, and catalog answers that are paced."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from cascade.as_lower.sharing import (
    FEW_ROWS,
    LOOK_SECONDS_A_ROW,
    CatalogAnswers,
    CatalogQuery,
    Share,
    own_item,
)
from cascade.limits import USUAL
from cascade.manscdp import Head, catalog
from cascade.model.ids import ChannelId, PeerName, PlatformId
from cascade.model.index import Index, Rows
from cascade.peers import UpperPeer
from sip.endpoint import Endpoint, Party
from sip.events import Event, Kind, Reply
from tests.cascade.ground import AT_INNER, NVR, OURS, UPPER, UPPER_PEER, US, Peer, Shelf, cameras, upper
from tests.clock import run
from tests.sip.network import Network

OTHER = PlatformId("44010600001180000002")


def rows(*ids: str, parent: str = "") -> Rows:
    return Rows.build([{"id": each, "name": each[-3:], "parent_id": parent, "status": "ON"} for each in ids])


def share(index: Index, store: Shelf | None = None, pairs: Sequence[tuple[str, str, str]] = ()) -> Share:
    return Share(UPPER_PEER, US, index, store or Shelf(), pairs)


def test_an_id_means_the_same_for_ever_and_nothing_while_its_row_is_gone() -> None:
    index, store = Index(), Shelf()
    name = cameras(1)[0]
    index.apply(NVR, rows(name), complete=False)
    one = share(index, store)
    assert one.resolve(name) == ChannelId(NVR, PeerName(name))
    index.remove(NVR, [name])
    one.changed()
    assert one.resolve(name) is None
    index.apply(OTHER, rows(name), complete=False)
    one.changed()
    assert one.resolve(name) is None  # shown once for the first peer's camera, never for another's
    one.assign()
    generated = one.shown(ChannelId(OTHER, PeerName(name)))
    assert generated is not None
    assert one.resolve(generated) == ChannelId(OTHER, PeerName(name))
    again = share(index, pairs=store.triples[UPPER])
    assert again.resolve(generated) == ChannelId(OTHER, PeerName(name))


def test_two_cameras_with_a_factory_id_have_two_ids() -> None:
    index = Index()
    factory = "34020000001320000001"
    for peer in (NVR, OTHER):
        index.apply(peer, rows(factory), complete=False)
    one = share(index)
    one.assign()
    shown = {one.shown(ChannelId(peer, PeerName(factory))) for peer in (NVR, OTHER)}
    assert len(shown) == 2
    assert factory in shown


def test_an_unknown_id_costs_a_walk_only_after_rows_have_changed() -> None:
    index, store = Index(), Shelf()
    one = share(index, store)
    assert one.resolve("44010600001320000001") is None
    index.apply(NVR, rows("44010600001320000001"), complete=False)
    assert one.resolve("44010600001320000001") is None
    one.changed()
    assert one.resolve("44010600001320000001") is not None


def test_a_part_of_the_catalog_hangs_from_what_the_upper_knows() -> None:
    index = Index()
    device, ids = "44010600001180000077", cameras(2)
    index.apply(NVR, rows(device), complete=False)
    index.apply(NVR, rows(*ids, parent=device), complete=False)
    index.apply(NVR, rows("44010600001320000055"), complete=False)
    one = share(index)
    one.assign()
    part = one.subtree(ChannelId(NVR, PeerName(device)))
    assert sorted(part.ids()) == sorted([device, *ids])
    by_id = {part.get(number)["id"]: part.get(number) for number in range(len(part))}
    assert by_id[device]["parent_id"] == OURS
    assert {by_id[each]["parent_id"] for each in ids} == {device}


def test_our_own_row_has_no_parent_and_a_civil_code() -> None:
    assert "parent_id" not in own_item(US)
    assert own_item(US)["civil_code"] == "440100"
    assert own_item(replace(US, civil_code=""))["civil_code"] == "440100"


@dataclass
class Stage:
    network: Network
    upper: Peer
    answers: CatalogAnswers
    store: Shelf
    open_pages: int = 0
    most_open: int = 0

    def pages(self) -> list[Head]:
        return [head for _, head in self.upper.of("Catalog", "Response")]

    def shown(self) -> list[str]:
        return [
            name
            for event, _ in self.upper.of("Catalog", "Response")
            for name in catalog.read(event.body).rows.ids()
        ]


def play(
    scenario: Callable[[Stage], Awaitable[None]], *, peer: UpperPeer = UPPER_PEER, count: int = 20
) -> None:
    async def whole() -> None:
        network = Network(asyncio.get_running_loop(), 5)
        stack = network.stack(AT_INNER, US.domain)
        endpoint = Endpoint(stack, Party(OURS, US.domain))
        stack.attach(endpoint)
        index, store = Index(), Shelf()
        index.apply(NVR, rows(*cameras(count)), complete=False)
        answers = CatalogAnswers(Share(peer, US, index, store), US, endpoint, store)
        stage = Stage(network, upper(network), answers, store)
        task = asyncio.create_task(answers.run())
        await scenario(stage)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(whole())


def slowly(on: Stage, seconds: float) -> None:
    """Answer each page only after a while, and note how many wait."""
    endpoint = on.upper.endpoint

    def later(transaction: int) -> None:
        on.open_pages -= 1
        endpoint.reply([(transaction, 200)])

    def decide(events: list[Event]) -> Sequence[Reply]:
        on.upper._messages(events)
        for event in events:
            on.open_pages += 1
            on.most_open = max(on.most_open, on.open_pages)
            asyncio.get_running_loop().call_later(seconds, later, event.transaction)
        return []

    endpoint.handle(Kind.MESSAGE, decide)


def paced(window: int) -> int:
    most: list[int] = []

    async def scenario(on: Stage) -> None:
        slowly(on, 0.2)
        on.answers.ask(CatalogQuery("1", UPPER))
        await asyncio.sleep(20)
        assert sorted(on.shown()) == sorted([OURS, *cameras(20)])
        most.append(on.most_open)

    play(scenario, peer=replace(UPPER_PEER, window=window))
    return most[0]


def test_pages_under_way_are_never_more_than_the_window() -> None:
    assert paced(1) == 1
    assert paced(3) == 3


def test_ids_are_on_disk_before_they_are_shown() -> None:
    async def scenario(on: Stage) -> None:
        written: list[int] = []
        flush = on.store.flush

        async def slow_flush() -> None:
            await asyncio.sleep(5)
            written.append(len(on.pages()))
            await flush()

        on.store.flush = slow_flush  # type: ignore[method-assign]
        on.answers.ask(CatalogQuery("1", UPPER))
        await asyncio.sleep(10)
        assert written == [0]
        assert len(on.shown()) == 21

    play(scenario)


def test_queries_that_wait_are_bounded_and_not_doubled() -> None:
    async def scenario(on: Stage) -> None:
        for number in range(USUAL.catalog_requests_of_upper + 5):
            for _ in range(2):
                on.answers.ask(CatalogQuery(str(number), UPPER))
        assert on.answers.counts["repeated"] == USUAL.catalog_requests_of_upper
        assert on.answers.counts["dropped"] == 10
        await asyncio.sleep(20)
        assert len({head.sn for head in on.pages()}) == USUAL.catalog_requests_of_upper

    play(scenario)


def test_an_upper_that_takes_no_page_costs_only_its_own_answer() -> None:
    async def scenario(on: Stage) -> None:
        on.network.cut(on.upper.at[0])
        on.answers.ask(CatalogQuery("1", UPPER))
        await asyncio.sleep(33)
        assert on.answers.counts["aborted"] == 1
        on.network.mend(on.upper.at[0])
        on.answers.ask(CatalogQuery("2", UPPER))
        await asyncio.sleep(5)
        assert {head.sn for head in on.pages()} == {"2"}

    play(scenario)


def test_among_very_many_rows_an_unknown_id_is_not_looked_for_all_the_time() -> None:
    """Each look gathers all rows: an upper that asks for what is not there must not keep us busy with it."""
    now = 0.0
    count = 3 * FEW_ROWS
    index = Index(told=True)
    index.apply(NVR, rows(*cameras(count)), complete=False)
    one = Share(UPPER_PEER, US, index, Shelf(), (), lambda: now)
    first, second = "44010600001320900001", "44010600001320900002"
    assert one.resolve(first) is None
    index.apply(NVR, rows(first, second), complete=False)
    one.changed()
    assert one.resolve(first) is None  # so soon nobody looks again
    now = (count + 1) * LOOK_SECONDS_A_ROW
    assert one.resolve(first) is not None
    assert one.resolve(second) is not None
    third = "44010600001320900003"
    index.apply(NVR, rows(third), complete=False)
    one.changed()
    assert one.resolve(third) is None
    one.assign()  # as an answer to a catalog query does
    assert one.resolve(third) is not None
