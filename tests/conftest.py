"""Fixtures: real printers of every kind of Klipper, with the ends of their logs if a test fails."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# A test that takes `kind` or `shared_lab` runs once on every kind of Klipper that is set up. One
# that takes `pair`, or `shared_lab` in a module marked `pairs`, runs once with every pair (kind of
# the host, kind of the peers). All have module scope, so that fixtures of module scope can depend
# on them and share their printers.
from typing import Any, Dict, Generator, Iterator, List, Tuple

import pytest
from hypothesis import HealthCheck, settings

from tests.lab.klippers import ALL_KINDS, KINDS, available
from tests.lab.lab import LIVE, Lab

# How long an example takes says more about the machine than about the code
settings.register_profile("printers", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("printers")

PAIR_CHOICES = ("few", "same", "mixed", "all")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("printers")
    group.addoption(
        "--kinds",
        help=f"only these kinds of Klipper, separated by commas: {', '.join(ALL_KINDS)}",
    )
    group.addoption(
        "--pairs",
        default="few",
        choices=PAIR_CHOICES,
        help="(host, peer) kinds to combine; few: every kind once as host and once as peer"
        " of another kind, and once with its own",
    )


def pytest_report_header(config: pytest.Config) -> str:
    header = "klippers: " + ", ".join(chosen_kinds(config))
    return header if available("klipper") else header + " (KLIPPER_PATH is not set)"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    names = metafunc.fixturenames
    if "kinds" not in names:
        return
    kinds = chosen_kinds(metafunc.config)
    pairs, ids = [(kind, kind) for kind in kinds], kinds
    marked = "shared_lab" in names and metafunc.definition.get_closest_marker("pairs")
    if "pair" in names or marked:
        pairs = pairs_of(kinds, metafunc.config.getoption("--pairs"))
        ids = ["+".join(pair) for pair in pairs]
    metafunc.parametrize("kinds", pairs, ids=ids, indirect=True, scope="module")


def pytest_configure(config: pytest.Config) -> None:
    # spread() is our order; pytest-xdist's own puts the groups with the most tests first
    config.option.loadscopereorder = False


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: List[pytest.Item]) -> None:
    """Keep the tests that share printers on one worker of pytest-xdist."""
    groups: Dict[str, List[pytest.Item]] = {}
    for item in items:
        name = item.nodeid
        if "shared_lab" in getattr(item, "fixturenames", ()):
            params = getattr(getattr(item, "callspec", None), "params", {})
            name = f"{item.path.stem} {params.get('kinds')}"
            item.add_marker(pytest.mark.xdist_group(name))
        groups.setdefault(name, []).append(item)
    if hasattr(config, "workerinput"):
        items[:] = spread(list(groups.values()))


def spread(groups: List[List[pytest.Item]]) -> List[pytest.Item]:
    """The tests of these groups, with the groups of every module spread evenly over the run.

    So the workers run different modules at a time, of which some wait and some compute, and no
    module of long tests is left for the end.
    """
    modules: Dict[str, List[List[pytest.Item]]] = {}
    for group in groups:
        modules.setdefault(str(group[0].path), []).append(group)
    places = [
        (number / len(of_module), group)
        for of_module in modules.values()
        for number, group in enumerate(of_module)
    ]
    places.sort(key=lambda place: place[0])
    return [item for _place, group in places for item in group]


def chosen_kinds(config: pytest.Config) -> List[str]:
    """The kinds of Klipper of this run."""
    chosen = config.getoption("--kinds")
    if not chosen:
        return [kind for kind in KINDS if available(kind)]
    kinds: List[str] = chosen.split(",")
    for kind in kinds:
        if kind not in ALL_KINDS or not available(kind):
            raise pytest.UsageError(f"--kinds: {kind} is not here; known: {', '.join(ALL_KINDS)}")
    return kinds


def pairs_of(kinds: List[str], choice: str) -> List[Tuple[str, str]]:
    """(host, peer) kinds: the `few`, `same`, `mixed` or `all` combinations of `kinds`."""
    every = [(host, peer) for host in kinds for peer in kinds]
    if choice == "same":
        return [(host, peer) for host, peer in every if host == peer]
    if choice == "mixed":
        return [(host, peer) for host, peer in every if host != peer]
    if choice == "all":
        return every
    others = dict(zip(kinds, kinds[1:] + kinds[:1]))
    return [(host, peer) for host, peer in every if peer in (host, others[host])]


# A fixture, not a bare parameter: with that pytest would run a module's tests kind by kind only as
# long as they have no parameters of their own
@pytest.fixture(scope="module")
def kinds(request: pytest.FixtureRequest) -> Tuple[str, str]:
    """(kind of the host, kind of the peers), whatever else the test takes."""
    host, peer = request.param
    return host, peer


@pytest.fixture(scope="module")
def kind(kinds: Tuple[str, str]) -> str:
    """A kind of Klipper that is set up."""
    return kinds[0]


@pytest.fixture(scope="module")
def pair(kinds: Tuple[str, str]) -> Tuple[str, str]:
    """(kind of the host, kind of the peers)."""
    return kinds


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A lab for this test alone."""
    with Lab() as own:
        yield own


@pytest.fixture(scope="module")
def shared_lab(kinds: Tuple[str, str]) -> Iterator[Lab]:
    """A lab for all tests of a module: starting printers takes most of a test's time."""
    with Lab(*kinds) as shared:
        yield shared


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: "pytest.CallInfo[Any]"
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for live in list(LIVE):
            report.sections.append(("printers", live.tail()))
    return report
