"""The benchmarks that nobody runs every day still run: with tiny numbers, and without a word about time."""

from benchmarks import bench_soak, bench_storm


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
