"""Work on many files at once, in forked processes: one for each processor.

What is in memory when the work begins is there in each process; only the results are copied, through pipes.
"""

import _signal  # type: ignore[import-not-found]  # signal itself takes a millisecond to import
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar, cast

from kinspect.errors import Location, UnreadableError

T = TypeVar("T")
R = TypeVar("R")
OnProgress = Callable[[int, int], None]
"""Called with the number of files done so far, and of all."""

MOST_WORKERS = 4
FEWEST = 48
"""Less work than this takes less time than to start the processes."""
_MOST_BATCHES, _LARGEST_BATCH = 1000, 32
"""So many numbers fit into any pipe. A batch is small, for all processes to end at the same time."""
_NUMBER, _LENGTH = 4, 8
"""Bytes of the number of a batch, and of the length of its results."""


def titled(on_progress: OnProgress | None, title: str) -> OnProgress | None:
    """A progress bar for another step of the work; None for a plain function, which counts the first step only."""
    change = getattr(on_progress, "titled", None)
    return change(title) if change else None


def processors() -> int:
    """The processors that this process may use, at most MOST_WORKERS."""
    return min(MOST_WORKERS, len(os.sched_getaffinity(0)))


def results(
    work: Callable[[T], R],
    items: Sequence[T],
    on_progress: OnProgress | None = None,
    alone: Callable[[T], bool] | None = None,
    fewest: int | None = None,
) -> list[R]:
    """The results of `work` on each item, in their order. What `work` raises is raised here.

    The work on items of which `alone` is true is done while no other is. Nothing is forked for less than `fewest`
    items, by default FEWEST.
    """
    together = [number for number, item in enumerate(items) if not (alone and alone(item))]
    done: dict[int, R] = {}

    def note() -> None:
        if on_progress:
            on_progress(len(done), len(items))

    count = processors()
    if count > 1 and len(together) >= (FEWEST if fewest is None else fewest) and not _has_threads():
        for found in _of_workers(work, items, together, count):
            done.update(found)
            note()
    for number, item in enumerate(items):
        if number not in done:
            done[number] = work(item)
            note()
    return [done[number] for number in range(len(items))]


@contextmanager
def beside(work: Callable[[], R]) -> Iterator[Callable[[], R]]:
    """Do some work in a forked process while this one goes on; the function that is given waits for the result.

    What `work` raises is raised there. With one processor, or threads, that function does the work itself. If it is
    not called, the process is stopped.
    """
    if processors() < 2 or _has_threads():
        yield work
        return
    queue, end = os.pipe()
    os.write(end, bytes(_NUMBER))
    os.close(end)
    try:
        worker = _Worker(queue, lambda _: work(), {})
    finally:
        os.close(queue)

    def result() -> R:
        for found in _received({worker.pipe: worker}):
            if isinstance(found, BaseException):
                raise found
            return cast("R", found)
        raise UnreadableError(f"a process ended: {worker.ended or 'without a result'}", Location(""))

    try:
        yield result
    finally:
        worker.stop()


def _has_threads() -> bool:
    """Whether other threads run, of which a forked process would have the locks but not the threads."""
    threading = sys.modules.get("threading")
    return threading is not None and threading.active_count() > 1


def _of_workers(
    work: Callable[[T], R], items: Sequence[T], numbers: Sequence[int], count: int
) -> Iterator[list[tuple[int, R]]]:
    """The results of batches, with the numbers of their items, as the processes finish them."""
    size = max(min(_LARGEST_BATCH, len(numbers) // (4 * count)), -(-len(numbers) // _MOST_BATCHES))
    batches = [numbers[start : start + size] for start in range(0, len(numbers), size)]
    # Each process takes the next number from this pipe, until it is empty.
    queue, end = os.pipe()
    os.write(end, b"".join(number.to_bytes(_NUMBER, "little") for number in range(len(batches))))
    os.close(end)

    def batch(number: int) -> list[tuple[int, R]]:
        return [(item, work(items[item])) for item in batches[number]]

    workers: dict[int, _Worker] = {}
    try:
        for _ in range(min(count, len(batches))):
            worker = _Worker(queue, batch, workers)
            workers[worker.pipe] = worker
        os.close(queue)
        queue = -1
        left = len(batches)
        for found in _received(workers):
            if isinstance(found, BaseException):
                raise found
            left -= 1
            yield found
        if left:
            ended = next((worker.ended for worker in workers.values() if worker.ended), "without a result")
            raise UnreadableError(f"a process that reads files ended: {ended}", Location(""))
    finally:
        if queue >= 0:
            os.close(queue)
        for worker in workers.values():
            worker.stop()


def _received(workers: "dict[int, _Worker]") -> Iterator[Any]:
    """What all processes send, until the last one has ended."""
    from pickle import loads
    from select import POLLIN, poll

    waiting = poll()
    for pipe in workers:
        waiting.register(pipe, POLLIN)
    open_pipes = len(workers)
    while open_pipes:
        for pipe, _ in waiting.poll():
            worker = workers[pipe]
            for message in worker.messages():
                yield loads(message)
            if worker.at_end:
                waiting.unregister(pipe)
                open_pipes -= 1


class _Worker:
    """A forked process, and the pipe from it."""

    def __init__(self, queue: int, batch: Callable[[int], object], others: "dict[int, _Worker]") -> None:
        self.pipe, end = os.pipe()
        self.ended, self.at_end = "", False
        self._data = bytearray()
        # No KeyboardInterrupt may be raised in the new process before it knows that it is one.
        blocked = _signal.pthread_sigmask(_signal.SIG_BLOCK, [_signal.SIGINT])
        try:
            self._process = os.fork()
            if not self._process:
                for other in (self.pipe, *others):
                    os.close(other)
                _work(queue, end, batch, blocked)
        finally:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, blocked)
        os.close(end)

    def messages(self) -> Iterator[bytes]:
        """What the process has sent since the last call."""
        data = os.read(self.pipe, 1 << 20)
        self._data += data
        if not data:
            self.at_end = True
            self._wait()
        start = 0
        while len(self._data) >= start + _LENGTH:
            end = start + _LENGTH + int.from_bytes(self._data[start : start + _LENGTH], "little")
            if len(self._data) < end:
                break
            yield bytes(self._data[start + _LENGTH : end])
            start = end
        del self._data[:start]

    def _wait(self) -> None:
        if self._process:
            _, status = os.waitpid(self._process, 0)
            self._process = 0
            code = os.waitstatus_to_exitcode(status)
            if code:
                self.ended = f"signal {-code}" if code < 0 else f"exit status {code}"

    def stop(self) -> None:
        """End the process, if it has not ended."""
        if self._process:
            os.kill(self._process, _signal.SIGKILL)
            self._wait()
        os.close(self.pipe)


def _work(queue: int, end: int, batch: Callable[[int], object], blocked: "set[int]") -> NoReturn:
    """The life of a new process: batches, until there are none."""
    status = 1
    try:
        # Ctrl-C ends it without a word: the process that reads its results says what there is to say.
        if _signal.getsignal(_signal.SIGINT) is not _signal.SIG_IGN:
            _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
        _signal.pthread_sigmask(_signal.SIG_SETMASK, blocked)
        from pickle import dumps

        while number := os.read(queue, _NUMBER):
            try:
                message = dumps(batch(int.from_bytes(number, "little")), protocol=5)
            except BaseException as error:
                _send(end, dumps(_portable(error), protocol=5))
                break
            _send(end, message)
        status = 0
    finally:
        os._exit(status)


def _portable(error: BaseException) -> BaseException:
    """An error that can be sent to another process."""
    from pickle import dumps, loads

    try:
        loads(dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _send(end: int, message: bytes) -> None:
    data = memoryview(len(message).to_bytes(_LENGTH, "little") + message)
    while data:
        data = data[os.write(end, data) :]
