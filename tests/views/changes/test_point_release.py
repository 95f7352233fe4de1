"""Two point releases of Debian's kernel: most functions that differ do so in offsets of structs that grew."""

import json

import jsonschema
import pytest

import kinspect
from kinspect.artifacts.build.symvers import KERNEL, Symvers
from kinspect.views.changes.facts import KernelDifference
from tests.conftest import Kernel, kernel_named
from tests.views.changes.test_kernels import SCHEMA

RELEASES = "6.1.0-47-cloud-arm64", "6.1.0-50-cloud-arm64"
BEFORE, AFTER = "bookworm-cloud-before", "bookworm-cloud"


@pytest.fixture(scope="module")
def pair() -> tuple[Kernel, Kernel]:
    return kernel_named(BEFORE), kernel_named(AFTER)


@pytest.fixture(scope="module")
def facts(pair: tuple[Kernel, Kernel]) -> KernelDifference:
    report = kinspect.diff(pair[0].image, pair[1].image)
    jsonschema.validate(json.loads(report.to_json()), SCHEMA)
    (found,) = report.facts
    assert isinstance(found, KernelDifference)
    return found


@pytest.mark.corpus
def test_values_come_from_types_that_changed(facts: KernelDifference) -> None:
    values = [found for found in facts.changed if found.only_values]
    assert values
    assert facts.interface.types is not None
    assert {name for found in values for name in found.types} <= set(facts.interface.types.changed)
    assert all(found.old_size == found.new_size for found in values)
    assert not any(found.types for found in facts.changed if not found.only_values)


@pytest.mark.corpus
def test_what_only_structs_changed_is_told_apart(pair: tuple[Kernel, Kernel], facts: KernelDifference) -> None:
    """struct device has grown by 8 bytes, and most drivers have one in a struct of their own."""
    if tuple(kernel.release for kernel in pair) != RELEASES:
        pytest.skip("the corpus has other releases")
    values = [found for found in facts.changed if found.only_values]
    explained = [found for found in values if found.types]
    assert len(values) > 2 * len(facts.changed) / 3
    assert len(explained) > 0.9 * len(values)
    assert sum("struct device" in found.types for found in explained) > len(explained) / 2
    by_name = {found.name: found for found in facts.changed}
    assert "struct task_struct" in by_name["cpu_switch_to"].types
    assert not by_name["packet_sendmsg"].only_values
    # The numbers of lines in the source.
    assert by_name["ext4_ext_remove_space"].only_values
    assert not by_name["ext4_ext_remove_space"].types


@pytest.mark.corpus
def test_exports_are_those_of_module_symvers(pair: tuple[Kernel, Kernel], facts: KernelDifference) -> None:
    sides = []
    for kernel in pair:
        rows = Symvers(kernel.folder / "Module.symvers").rows
        names = zip(rows.names, rows.crcs, rows.modules, strict=True)
        sides.append({name: crc for name, crc, module in names if module == KERNEL})
    old, new = sides
    counts = facts.interface.exports
    assert counts is not None
    assert (counts.old, counts.new) == (len(old), len(new))
    assert counts.added == tuple(sorted(new.keys() - old.keys()))
    assert counts.removed == tuple(sorted(old.keys() - new.keys()))
    assert counts.crcs == sum(old[name] != new[name] for name in old.keys() & new.keys()) > 0


@pytest.mark.corpus
def test_types_are_those_of_abi(pair: tuple[Kernel, Kernel], facts: KernelDifference) -> None:
    counts = facts.interface.types
    assert counts is not None
    (causes,) = kinspect.abi(pair[0].image, pair[1].image).facts_of(kinspect.AbiCauses)
    reached = {change.type for change in causes.types}
    assert reached
    assert reached <= set(counts.changed)
