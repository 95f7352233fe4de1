"""Work in several processes: the results, what is raised, what is left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kinspect import workers
from kinspect.errors import KinspectError, Location, MalformedError, UnreadableError
from kinspect.workers import beside, results


@pytest.fixture(autouse=True)
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})


def files() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def nothing_is_left(before: set[str]) -> bool:
    """Whether no process is left to wait for, and no file was opened that is not closed."""
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    return files() <= before


@pytest.mark.parametrize("count", [0, 1, workers.FEWEST - 1, workers.FEWEST, 777, 5000])
def test_results_are_in_the_order_of_the_items(count: int) -> None:
    calls: list[tuple[int, int]] = []
    before = files()
    found = results(lambda item: (item * 2, os.getpid()), range(count), lambda *call: calls.append(call))
    assert [number for number, _ in found] == [item * 2 for item in range(count)]
    assert (os.getpid() in {process for _, process in found}) == (0 < count < workers.FEWEST)
    assert len({process for _, process in found}) <= 2
    assert calls == sorted(calls)
    assert calls[-1:] == ([(count, count)] if count else [])
    assert nothing_is_left(before)


def test_results_may_be_large() -> None:
    found = results(lambda item: bytes([item]) * 300_000, range(100))
    assert all(data == bytes([item]) * 300_000 for item, data in enumerate(found))


def test_one_processor_works_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert set(results(lambda _: os.getpid(), range(200))) == {os.getpid()}


def test_a_process_with_threads_is_not_forked() -> None:
    go = threading.Event()
    thread = threading.Thread(target=go.wait)
    thread.start()
    try:
        assert set(results(lambda _: os.getpid(), range(200))) == {os.getpid()}
    finally:
        go.set()
        thread.join()


def test_what_must_be_alone_is_done_here_after_the_others() -> None:
    done: list[int] = []
    found = results(lambda item: done.append(item) or os.getpid(), range(200), alone=lambda item: item % 50 == 7)  # type: ignore[func-returns-value]
    assert done == [7, 57, 107, 157]
    assert [item for item, process in enumerate(found) if process == os.getpid()] == done


class _AskingTwoError(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(one + two)


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (MalformedError("broken", Location("a.ko", "x", 7, 3), expected=b"\x01", actual=2), MalformedError, "broken"),
        (UnreadableError("gone", Location("b")), UnreadableError, "gone"),
        (ZeroDivisionError("a mistake"), ZeroDivisionError, "a mistake"),
        (_AskingTwoError(1, 2), RuntimeError, "_AskingTwoError: 3"),
        (SystemExit(5), SystemExit, "5"),
        (MemoryError("all of it"), MemoryError, "all of it"),
    ],
)
def test_an_error_is_raised_here(error: BaseException, kind: type[BaseException], text: str) -> None:
    before = files()

    def work(item: int) -> None:
        if item == 150:
            raise error

    with pytest.raises(kind, match=text) as raised:
        results(work, range(200))
    assert nothing_is_left(before)
    if isinstance(error, KinspectError):
        assert isinstance(raised.value, KinspectError)
        assert str(raised.value) == str(error)
        assert raised.value.args == error.args


def test_a_process_that_is_killed_is_an_error() -> None:
    def work(item: int) -> None:
        if item == 150:
            os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(UnreadableError, match="signal 9"):
        results(work, range(200))


def test_a_consumer_that_fails_ends_the_processes() -> None:
    before = files()

    def stop(done: int, total: int) -> None:
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        results(lambda _: time.sleep(0.01), range(2000), stop)
    assert nothing_is_left(before)


_ENDLESS = """
import os, signal, time
# A run in the background ignores Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.sched_getaffinity = lambda _: {0, 1}
from kinspect.workers import beside, results
def work(item):
    if item == 0:
        print("working", flush=True)
    time.sleep(0.02)
try:
    results(work, range(100000))
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize("whole_group", [True, False])
def test_ctrl_c_ends_all_processes(whole_group: bool) -> None:
    started = subprocess.Popen(
        [sys.executable, "-c", _ENDLESS],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "working\n"
    (os.killpg if whole_group else os.kill)(started.pid, signal.SIGINT)
    # The output ends when the last process has closed it.
    assert started.communicate(timeout=30)[0] == "interrupted\n"
    assert started.returncode == 0


def test_processes_end_when_their_reader_is_killed() -> None:
    started = subprocess.Popen([sys.executable, "-c", _ENDLESS], stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    assert started.stdout.readline() == "working\n"
    started.kill()
    assert started.communicate(timeout=30)[0] == ""


def test_errors_are_equal_after_a_journey(tmp_path: Path) -> None:
    import pickle

    error = MalformedError("broken", Location(str(tmp_path), "part", 1, 2), expected="x", actual=7)
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.at, copy.expected, copy.actual) == (
        MalformedError,
        str(error),
        error.at,
        "x",
        7,
    )


def test_work_beside_is_done_in_another_process() -> None:
    before = files()
    with beside(lambda: (os.getpid(), bytes(300_000))) as result:
        process, data = result()
    assert process != os.getpid()
    assert data == bytes(300_000)
    assert nothing_is_left(before)


def test_what_work_beside_raises_is_raised() -> None:
    def fail() -> int:
        raise MalformedError("broken", Location("file"))

    before = files()
    with beside(fail) as result, pytest.raises(MalformedError, match="broken"):
        result()
    with beside(lambda: os._exit(3)) as result, pytest.raises(UnreadableError, match="a process ended: exit status 3"):
        result()
    assert nothing_is_left(before)


def test_work_beside_that_nobody_waits_for_is_stopped() -> None:
    before = files()
    start = time.monotonic()
    with pytest.raises(ValueError, match="other"), beside(lambda: time.sleep(60)):
        raise ValueError("other")
    assert time.monotonic() - start < 10
    assert nothing_is_left(before)


def test_work_beside_with_one_processor_is_done_when_it_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    with beside(os.getpid) as result:
        assert result() == os.getpid()
