"""The formats of packages, recognised by their first bytes."""

_MAGICS = ((b"!<arch>\ndebian-binary", "deb"),)


def package_format(beginning: bytes) -> str | None:
    """The format of a package that starts with `beginning`: "deb"; None for other files."""
    return next((name for magic, name in _MAGICS if beginning.startswith(magic)), None)
