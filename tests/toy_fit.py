"""FIT images made by mkimage from parts of the sample."""

import gzip
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.conftest import SAMPLE

Tool = Callable[[str], str]
IMAGE = (SAMPLE / "Image").read_bytes()
DTB = (SAMPLE / "dtb" / "hello.dtb").read_bytes()
PARTS = {"Image.gz": gzip.compress(IMAGE), "Image": IMAGE, "a.dtb": DTB, "ramdisk": b"ramdisk!" * 9}
KERNEL, DEVICE_TREE, RAMDISK = 0x40200000, 0x43000000, 0x44556600


def source(
    loads: Mapping[str, int] = {"kernel": KERNEL, "fdt": DEVICE_TREE, "ramdisk": RAMDISK},
    *,
    entry: int = KERNEL,
    signed: str = "",
    padding: str = "",
    sign_images: Sequence[str] = ("kernel", "fdt", "ramdisk"),
    packed: bool = True,
    more: str = "",
) -> str:
    """The source of a FIT; `signed` is the algorithm of the signatures, `more` the text of other configurations."""
    load = {name: f"load = <{address:#x}>;" for name, address in loads.items()}
    hashes = 'hash-1 { algo = "sha256"; };'
    node = f'signature-1 {{ algo = "{signed}"; key-name-hint = "dev"; ' + (
        f'padding = "{padding}"; ' if padding else ""
    )
    images = ", ".join(f'"{name}"' for name in sign_images)
    file, compression = ("Image.gz", "gzip") if packed else ("Image", "none")
    return f"""/dts-v1/;
/ {{ description = "toy"; #address-cells = <1>;
  images {{
    kernel {{ data = /incbin/("{file}"); type = "kernel"; arch = "arm64"; os = "linux"; compression = "{compression}";
      {load.get("kernel", "")} entry = <{entry:#x}>; {hashes} {node + "};" if signed else ""} }};
    fdt {{ data = /incbin/("a.dtb"); type = "flat_dt"; arch = "arm64"; compression = "none";
      {load.get("fdt", "")} {hashes} }};
    ramdisk {{ data = /incbin/("ramdisk"); type = "ramdisk"; arch = "arm64"; os = "linux"; compression = "none";
      {load.get("ramdisk", "")} {hashes} }};
  }};
  configurations {{ default = "conf";
    conf {{ kernel = "kernel"; fdt = "fdt"; ramdisk = "ramdisk";
      {node + f"sign-images = {images}; }};" if signed else ""} }};
    {more}
  }};
}};
"""


def made(folder: Path, tool: Tool, text: str, *options: str) -> Path:
    """A FIT image of a source."""
    for name, data in PARTS.items():
        (folder / name).write_bytes(data)
    (folder / "a.its").write_text(text)
    command = [tool("mkimage"), *options, "-f", "a.its", "a.itb"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "a.itb"
