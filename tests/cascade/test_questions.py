"""Open questions: one answer each, or a time-out."""

from hypothesis import given
from hypothesis import strategies as st

from cascade.limits import Bounds, Limits
from cascade.questions import Questions

STEPS = st.lists(
    st.tuples(st.sampled_from(["ask", "take", "wait"]), st.integers(0, 4), st.floats(0.1, 10.0)), max_size=60
)


@given(STEPS)
def test_each_question_ends_once_by_its_answer_or_its_deadline(steps: list[tuple[str, int, float]]) -> None:
    questions: Questions[int, int] = Questions()
    now, number = 0.0, 0
    open_: dict[int, tuple[int, float]] = {}
    for what, key, seconds in steps:
        match what:
            case "ask":
                number += 1
                assert questions.ask(key, number, due=now + seconds)
                open_[key] = (number, now + seconds)
            case "take":
                expected = open_.pop(key, None)
                assert questions.take(key) == (None if expected is None else expected[0])
            case "wait":
                now += seconds
                late = sorted(question for question, due in open_.values() if due <= now)
                assert sorted(questions.advance(now)) == late
                open_ = {key: (question, due) for key, (question, due) in open_.items() if due > now}
        assert questions.deadline == min((due for _, due in open_.values()), default=None)
        assert len(questions) == len(open_)


def test_there_is_a_limit() -> None:
    bounds = Bounds(Limits(questions=100))
    questions: Questions[int, int] = Questions(bounds)
    assert all(questions.ask(key, key, due=1.0) for key in range(100))
    assert not questions.ask(100, 0, due=1.0)
    assert bounds.counters() == {"limit_questions": 1}
    assert questions.counts["too_many"] == 1
