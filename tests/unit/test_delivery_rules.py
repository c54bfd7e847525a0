"""What an answer from outside means, what follows it, and what no sequence of answers can bring about."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairnops.domain import delivery
from cairnops.domain.delivery import Again, Answer, Done, Failure, FinalStatus, Found, LookUp, Result, Step
from cairnops.domain.policy import DeliveryPolicy

THREE = DeliveryPolicy(max_attempts=3, backoff_ms=250, settle_ms=300, retry_after_cap_ms=30_000)
OK, REJECT, RETRY, UNKNOWN = Answer.OK, Answer.REJECT, Answer.RETRY, Answer.UNKNOWN
SUCCESS, FAILED, TIMEOUT, LOST = (Done(status=status) for status in FinalStatus)


@pytest.mark.parametrize(
    ("status", "answer", "code"),
    [
        pytest.param(200, OK, "", id="200 done"),
        pytest.param(201, OK, "", id="201 done"),
        pytest.param(204, OK, "", id="204 done"),
        pytest.param(299, OK, "", id="299 done"),
        pytest.param(300, REJECT, "HTTP_300", id="300 not done"),
        pytest.param(301, REJECT, "HTTP_301", id="301 another address"),
        pytest.param(400, REJECT, "HTTP_400", id="400 wrong request"),
        pytest.param(401, REJECT, "HTTP_401", id="401 wrong token"),
        pytest.param(403, REJECT, "HTTP_403", id="403 not allowed"),
        pytest.param(404, REJECT, "HTTP_404", id="404 no such conversation"),
        pytest.param(408, UNKNOWN, "HTTP_408", id="408 may have been done"),
        pytest.param(409, REJECT, "HTTP_409", id="409 conflict"),
        pytest.param(422, REJECT, "HTTP_422", id="422 not valid"),
        pytest.param(425, UNKNOWN, "HTTP_425", id="425 may have been done"),
        pytest.param(429, RETRY, "HTTP_429", id="429 certainly not done"),
        pytest.param(499, REJECT, "HTTP_499", id="499 refused"),
        pytest.param(500, UNKNOWN, "HTTP_500", id="500 may have been done"),
        pytest.param(502, UNKNOWN, "HTTP_502", id="502 may have been done"),
        pytest.param(503, UNKNOWN, "HTTP_503", id="503 may have been done"),
        pytest.param(504, UNKNOWN, "HTTP_504", id="504 may have been done"),
    ],
)
def test_what_a_status_means(status: int, answer: Answer, code: str) -> None:
    result = delivery.of_status(status, 700)
    assert (result.answer, result.error_code) == (answer, code)
    assert result.retry_after_ms == (700 if answer in (RETRY, UNKNOWN) else None)


@pytest.mark.parametrize(
    ("failure", "answer"),
    [
        pytest.param(Failure.TIMEOUT, UNKNOWN, id="no answer in time"),
        pytest.param(Failure.RESET, UNKNOWN, id="cut off"),
        pytest.param(Failure.MALFORMED, UNKNOWN, id="an answer nobody can read"),
        pytest.param(Failure.REFUSED, RETRY, id="never connected"),
        pytest.param(Failure.DNS, RETRY, id="no such host"),
        pytest.param(Failure.TLS, RETRY, id="no safe connection"),
    ],
)
def test_only_a_connection_never_made_is_surely_not_done(failure: Failure, answer: Answer) -> None:
    assert delivery.of_failure(failure) == Result(answer=answer, error_code=failure.value)


def test_every_failure_is_classified() -> None:
    assert all(delivery.of_failure(failure).answer in (RETRY, UNKNOWN) for failure in Failure)


def result(answer: Answer, code: str = "E", retry_after_ms: int | None = None) -> Result:
    return Result(answer=answer, error_code=code, retry_after_ms=retry_after_ms)


@pytest.mark.parametrize(
    ("got", "attempt", "step"),
    [
        *(pytest.param(result(OK), n, SUCCESS, id=f"done, attempt {n}") for n in (1, 2, 3)),
        *(pytest.param(result(REJECT), n, FAILED, id=f"refused, attempt {n}") for n in (1, 2, 3)),
        *(
            pytest.param(result(UNKNOWN), n, LookUp(after_ms=300), id=f"unclear, attempt {n}")
            for n in (1, 2, 3)
        ),
        pytest.param(result(RETRY), 1, Again(after_ms=250), id="not done, attempt 1"),
        pytest.param(result(RETRY), 2, Again(after_ms=500), id="not done, attempt 2"),
        pytest.param(result(RETRY), 3, FAILED, id="not done, the last attempt"),
        pytest.param(result(RETRY), 4, FAILED, id="not done, beyond the last"),
        pytest.param(result(RETRY, "ETIMEDOUT"), 3, TIMEOUT, id="timed out at last"),
        pytest.param(result(RETRY, retry_after_ms=2000), 1, Again(after_ms=2000), id="asked to wait longer"),
        pytest.param(result(RETRY, retry_after_ms=100), 2, Again(after_ms=500), id="asked to wait less"),
        pytest.param(result(RETRY, retry_after_ms=-5), 1, Again(after_ms=250), id="asked for the past"),
        pytest.param(result(RETRY, retry_after_ms=30_000), 1, Again(after_ms=30_000), id="asked for the cap"),
        pytest.param(
            result(RETRY, retry_after_ms=86_400_000), 1, Again(after_ms=30_000), id="asked for a day"
        ),
    ],
)
def test_what_follows_a_try(got: Result, attempt: int, step: Step) -> None:
    assert delivery.after_try(got, attempt, THREE) == step


@pytest.mark.parametrize(
    ("found", "attempt", "error", "looks", "step"),
    [
        pytest.param(Found.PRESENT, 1, "E", 0, SUCCESS, id="there"),
        pytest.param(Found.PRESENT, 3, "ETIMEDOUT", 2, SUCCESS, id="there, at the last attempt"),
        pytest.param(Found.ABSENT, 1, "E", 0, Again(after_ms=250), id="not there: again"),
        pytest.param(Found.ABSENT, 2, "E", 0, Again(after_ms=500), id="not there: again, later"),
        pytest.param(Found.ABSENT, 3, "ETIMEDOUT", 0, TIMEOUT, id="not there, last attempt timed out"),
        pytest.param(Found.ABSENT, 3, "ECONNRESET", 0, FAILED, id="not there, last attempt failed"),
        pytest.param(Found.ABSENT, 3, "", 0, FAILED, id="not there, nobody saw the last attempt end"),
        pytest.param(Found.UNAVAILABLE, 1, "E", 1, LookUp(after_ms=250), id="cannot tell: look again"),
        pytest.param(Found.UNAVAILABLE, 1, "E", 2, LookUp(after_ms=500), id="cannot tell twice"),
        pytest.param(Found.UNAVAILABLE, 1, "E", 3, LOST, id="cannot tell three times: a person is told"),
        pytest.param(
            Found.UNAVAILABLE, 3, "ETIMEDOUT", 3, LOST, id="a timeout nobody could look up is no timeout"
        ),
    ],
)
def test_what_follows_a_look_up(found: Found, attempt: int, error: str, looks: int, step: Step) -> None:
    assert delivery.after_look_up(found, attempt, error, looks, THREE) == step


@pytest.mark.parametrize(("attempt", "pause"), [(0, 250), (1, 250), (2, 500), (3, 1000), (4, 2000)])
def test_the_pause_doubles(attempt: int, pause: int) -> None:
    assert delivery.backoff_ms(attempt, THREE) == pause


def test_a_lease_outlasts_the_last_request_of_a_dead_worker() -> None:
    assert delivery.lease_ms(THREE) == THREE.timeout_ms + THREE.settle_ms


tries = st.builds(
    Result,
    answer=st.sampled_from(Answer),
    error_code=st.sampled_from(["ETIMEDOUT", "ECONNRESET", "HTTP_503"]),
    retry_after_ms=st.none() | st.integers(-1000, 10**9),
)
policies = st.builds(
    DeliveryPolicy,
    max_attempts=st.integers(1, 6),
    backoff_ms=st.integers(0, 5000),
    settle_ms=st.integers(1, 5000),
    retry_after_cap_ms=st.integers(0, 60_000),
)


@settings(deadline=None, max_examples=500)
@given(policy=policies, data=st.data())
def test_no_sequence_of_answers_breaks_a_promise(policy: DeliveryPolicy, data: st.DataObject) -> None:
    """Walk as the worker walks, the outside answering as badly as it likes."""
    sends, attempt, looks, steps = 0, 1, 0, 0
    may_be_there = confirmed = False
    last = ""
    step: Step = Again(after_ms=0)
    while not isinstance(step, Done):
        steps += 1
        assert steps <= 2 * policy.max_attempts * (policy.max_attempts + 1), "it does not end"
        assert 0 <= step.after_ms <= max(policy.settle_ms, 5000 * 2**6, policy.retry_after_cap_ms)
        if isinstance(step, Again):
            assert not may_be_there, "sent again although the last try may have been carried out"
            attempt, looks = sends + 1, 0
            sends += 1
            got = data.draw(tries)
            last = got.error_code
            may_be_there = got.answer is UNKNOWN
            confirmed = got.answer is OK
            step = delivery.after_try(got, attempt, policy)
            if got.answer is UNKNOWN:
                assert step == LookUp(after_ms=policy.settle_ms)
        else:
            found = data.draw(st.sampled_from(Found))
            looks += found is Found.UNAVAILABLE
            may_be_there = may_be_there and found is not Found.ABSENT
            confirmed = found is Found.PRESENT
            step = delivery.after_look_up(found, attempt, last, looks, policy)
    assert 1 <= sends <= policy.max_attempts
    assert (step.status is FinalStatus.SUCCESS) == confirmed
    # What may have been carried out is never called failed.
    assert (step.status is FinalStatus.UNKNOWN) == (may_be_there and not confirmed)


def test_without_the_look_up_an_unclear_try_would_be_sent_again() -> None:
    blind = replace(THREE, look_up=False)
    assert delivery.after_try(result(UNKNOWN), 1, blind) == Again(after_ms=250)
    assert delivery.after_try(result(UNKNOWN, "ETIMEDOUT"), 3, blind) == TIMEOUT


@given(
    st.integers(1, 8),
    st.integers(0, 100_000),
    st.integers(0, 100_000),
    st.integers(0, 5000),
    st.integers(0, 9**6),
)
def test_no_pause_is_longer_than_the_longest(
    attempts: int, timeout: int, settle: int, backoff: int, asked: int
) -> None:
    """A due time beyond it is taken for a wrong clock's, so it must be beyond everything that is ever written."""
    policy = DeliveryPolicy(
        max_attempts=attempts,
        timeout_ms=timeout,
        settle_ms=settle,
        backoff_ms=backoff,
        retry_after_cap_ms=asked // 2,
    )
    longest = delivery.longest_ms(policy)
    for number in range(1, attempts + 1):
        steps = [
            delivery.after_try(
                Result(answer=answer, error_code="HTTP_429", retry_after_ms=asked), number, policy
            )
            for answer in Answer
        ] + [delivery.after_look_up(found, number, "ETIMEDOUT", number, policy) for found in Found]
        pauses = [step.after_ms for step in steps if isinstance(step, Again | LookUp)]
        assert max([0, *pauses]) <= longest
    assert longest >= delivery.lease_ms(policy) + delivery.SPARE_MOST_MS
