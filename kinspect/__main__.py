"""`python -m kinspect`, and what the `kinspect` command runs."""

import _signal  # type: ignore[import-not-found]  # signal itself takes a millisecond to import
import gc
import os
import sys
from importlib import import_module
from typing import NoReturn

INTERRUPTED = 130
"""The exit status after Ctrl-C, as a shell has it."""


def run() -> None:
    """Run the command line and end the process."""
    # A job in the background of a shell ignores the signal, and should.
    heeded = _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler
    if heeded:
        # Until there is something to clean up, without a traceback of what is being imported.
        _signal.signal(_signal.SIGINT, _interrupted)
    # One command lives for a moment: collecting garbage and tearing the interpreter down would be a third of it.
    gc.disable()
    _defer_imports()
    _replace_closed_streams()
    from kinspect.cli import main

    try:
        if heeded:
            _signal.signal(_signal.SIGINT, _signal.default_int_handler)
        status = main(sys.argv[1:])
    except KeyboardInterrupt:
        status = INTERRUPTED
    if heeded:
        _signal.signal(_signal.SIGINT, _interrupted)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            status = status or 2
    os._exit(status)


def _interrupted(*_: object) -> NoReturn:
    os._exit(INTERRUPTED)


class _Deferred(type(sys)):  # type: ignore[misc]  # types itself need not be imported
    """A module that is imported when something of it is used."""

    __name__: str

    def __getattr__(self, name: str) -> object:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


def _defer_imports() -> None:
    """Do without what Construct imports and a command does not use: two thirds of the time that importing it takes."""
    for name in ("hashlib", "pickle"):
        sys.modules.setdefault(name, _Deferred(name))
    # Its debugger imports pdb.
    sys.modules["construct.debug"] = type(sys)("construct.debug")


def _replace_closed_streams() -> None:
    """Open what a shell has closed (`>&-`), for reading and writing to fail, and no other file to take its place."""
    for unit, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            found = os.open(os.devnull, os.O_RDONLY if unit else os.O_WRONLY)
            if found != unit:
                os.dup2(found, unit)
                os.close(found)
            setattr(sys, name, os.fdopen(unit, "w" if unit else "r", 1, closefd=False))


if __name__ == "__main__":
    run()
