"""The benchmarks that nobody runs every day still run: with tiny numbers, and without a word about time."""

from benchmarks import bench_idle, bench_soak, bench_storm


def test_the_storm_of_a_few_devices_loses_none_and_answers_every_invite() -> None:
    results = bench_storm.measure(40, steady=0.3, flood=0.3, forged=200, look=0.2, compared=False)
    found = {result.work.removeprefix("storm: "): result for result in results}
    lost = found["storm, lost or refused"]
    assert lost.value == 0
    assert lost.raw["devices"] == 40
    assert lost.raw["invites_unanswered"] == 0
    assert lost.raw["turns"] > 0
    assert {*lost.raw["statuses"]} <= {"404"}
    flood = found["flood, real peers served"].raw
    assert flood["finished"] > 0


def test_a_short_soak_handles_everything_and_answers_every_good_message() -> None:
    found = {result.work: result for result in bench_soak.measure(1_000)}
    assert found["soak: errors"].value == 0
    assert found["soak: good messages not answered well"].value == 0
    assert "soak: longest turn of the loop, by the clock" in found


def test_behind_a_small_crowd_real_peers_register_and_keep_alive() -> None:
    results = bench_idle.measure(60, 20, seconds=0.5)
    raw = results[0].raw
    assert raw["connections_in_all"] >= 80
    assert raw["real_connections_cut"] == 0
    assert raw["registrations_later"] > 0
    assert [result.unit for result in results] == ["s", "s", "s", "KiB", "cores"]
