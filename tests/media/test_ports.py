import pytest

from media.ports import NoPortLeft, Ports


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def ports_of(clock: Clock, low: int = 30_001, high: int = 30_006) -> Ports:
    return Ports("10.0.0.1", low, high, quarantine_seconds=30.0, clock=clock, choose=lambda free: free[-1])


def test_only_even_ports_of_the_range_are_given_out_and_each_once() -> None:
    ports = ports_of(Clock())
    assert [ports.take() for _ in range(3)] == [30_006, 30_004, 30_002]
    assert ports.in_use == 3
    with pytest.raises(NoPortLeft, match="3 media ports held"):
        ports.take()


def test_a_port_rests_before_it_is_given_out_again() -> None:
    clock = Clock()
    ports = ports_of(clock, 30_000, 30_003)
    first, second = ports.take(), ports.take()
    ports.give_back(first)
    clock.now = 10.0
    ports.give_back(second)
    assert ports.in_use == 0
    clock.now = 29.9
    with pytest.raises(NoPortLeft, match="2 rest"):
        ports.take()
    clock.now = 30.0
    assert ports.take() == first
    with pytest.raises(NoPortLeft):
        ports.take()
    clock.now = 40.0
    assert ports.take() == second


def test_ports_of_an_earlier_process_rest_first() -> None:
    clock = Clock()
    ports = Ports(
        "10.0.0.1",
        30_000,
        30_005,
        quarantine_seconds=30.0,
        clock=clock,
        choose=lambda free: free[0],
        resting=[30_000, 30_002, 30_002, 40_000],
    )
    assert (ports.take(), ports.in_use) == (30_004, 1)
    with pytest.raises(NoPortLeft, match="1 media ports held, 2 rest"):
        ports.take()
    clock.now = 30.0
    assert {ports.take(), ports.take()} == {30_000, 30_002}


def test_what_is_given_back_twice_rests_once() -> None:
    clock = Clock()
    ports = ports_of(clock, 30_000, 30_001)
    port = ports.take()
    ports.give_back(port)
    ports.give_back(port)
    clock.now = 60.0
    assert ports.take() == port
    with pytest.raises(NoPortLeft):
        ports.take()


@pytest.mark.parametrize(("low", "high"), [(3, 3), (8, 7), (0, 10), (65_000, 65_536)])
def test_a_range_without_a_port_to_bind_is_refused(low: int, high: int) -> None:
    with pytest.raises(ValueError, match="no even port"):
        ports_of(Clock(), low, high)
