"""`python -m kinspect`, and what the `kinspect` command runs."""

import _signal  # type: ignore[import-not-found]  # signal itself takes a millisecond to import
import gc
import os
import sys
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
    # Half the time of importing Construct goes into its debugger, which imports pdb. Nobody debugs a command with it.
    sys.modules["construct.debug"] = type(sys)("construct.debug")
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
