"""`python -m kinspect`, and what the `kinspect` command runs."""

import gc
import os
import sys


def run() -> None:
    """Run the command line and end the process."""
    # One command lives for a moment: collecting garbage and tearing the interpreter down would be a third of it.
    gc.disable()
    from kinspect.cli import main

    status = main(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            status = status or 2
    os._exit(status)


if __name__ == "__main__":
    run()
