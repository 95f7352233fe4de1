"""The data of real kernels: what changed in an update of Debian's kernel, held against the sizes that nm gives."""

import subprocess
from collections import defaultdict
from collections.abc import Callable

import pytest

import kinspect
from kinspect.views.changes.facts import KernelDifference
from tests.conftest import CORPUS, missing

OLD, NEW = CORPUS / "trixie-cloud-before", CORPUS / "trixie-cloud"
CHANGED = {
    # A member was added to struct ethtool_ops, proto_ops, and to enum skb_drop_reason.
    "loopback_ethtool_ops",
    "inet_stream_ops",
    "drop_reasons",
    # An entry was added in the middle of a table, or at its end.
    "nvme_id_table",
    "atkbd_dmi_quirk_table",
    "mptcp_snmp_list",
    # One number, one function.
    "__param_pciehp_poll_mode",
    "aio_ctx_aops",
}
LATER = {
    "vdso_start",
    "vermagic",
    "linux_banner",
    "kallsyms_markers",
    "str__signal__trace_system_name",
    "uts_kern_table",
}
"""They differ with every build, or only in what lies behind them."""


@pytest.mark.corpus
def test_what_an_update_changed_in_data(tool: Callable[[str], str]) -> None:
    for folder in (OLD, NEW):
        if not (folder / ".complete").exists():
            missing(f"the kernel {folder.name}", f"bash tests/corpus/fetch.sh {CORPUS} {folder.name} fetches it")
    if (OLD / "release").read_text().strip() != "6.12.107+deb13-cloud-arm64":
        pytest.skip("another update")
    (facts,) = kinspect.diff(OLD / "Image", NEW / "Image").facts
    assert isinstance(facts, KernelDifference)
    assert facts.data.objects > 50_000
    names = {found.name for found in facts.data.changed}
    assert names >= CHANGED
    assert not names & LATER
    sizes: dict[str, list[int]] = defaultdict(list)
    listed = subprocess.run([tool("nm"), "-S", NEW / "vmlinux"], capture_output=True, text=True, check=True)
    for line in listed.stdout.splitlines():
        words = line.split()
        if len(words) == 4:
            sizes[words[3]].append(int(words[1], 16))
    # What differs is in the object, not behind it.
    behind = {found.name for found in facts.data.changed if found.first >= max(sizes.get(found.name, [1 << 30]))}
    assert not {name for name in behind if len(sizes[name]) == 1}
    assert facts.data.unjudged < 30
