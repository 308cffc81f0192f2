"""Images, services, device rules and package manifests: read strictly, without a container engine or systemd."""

from __future__ import annotations

import configparser
import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from packaging.requirements import Requirement
from rules.arrows import LAUNCH, is_ros, top
from rules.house import ROOT, product

from armtune_bringup.compose import compose
from armtune_safety.punctual import NICE


def loaded(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


steps = loaded("docker/steps.py")
DOCKERFILE = steps.parse((ROOT / "Dockerfile").read_text())
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
UNITS = sorted((ROOT / "deploy").glob("*.service"))

GOOD = """
FROM debian:13 AS robot
RUN apt-get update && apt-get install -y --no-install-recommends gcc && rm -rf /var/lib/apt/lists/*
USER armtune
HEALTHCHECK CMD ["true"]
CMD ["true"]
"""


def test_dockerfile_has_nothing_to_object_to() -> None:
    assert steps.objections(DOCKERFILE) == []
    assert list(DOCKERFILE.stages) == ["ros", "robot", "workstation", "inference"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("debian:13", "debian", "DL3006"),
        ("debian:13", "debian:latest", "DL3007"),
        ("apt-get update && ", "", "DL3009"),
        ("--no-install-recommends ", "", "DL3015"),
        ("RUN apt-get update", "RUN sudo apt-get update", "DL3004"),
        ("USER armtune", "USER root", "DL3002"),
        ("USER armtune\n", "", "DL3002"),
        ('HEALTHCHECK CMD ["true"]\n', "", "no HEALTHCHECK"),
        ('\nCMD ["true"]', "\nCMD true", "DL3025"),
        ("USER", "WORKDIR data\nUSER", "DL3000"),
        ("USER", "RUN curl http://x/y | sh\nUSER", "DL4006"),
    ],
)
def test_image_is_objected_to_when_it_is_unsound(old: str, new: str, says: str) -> None:
    assert steps.objections(steps.parse(GOOD)) == []
    found = steps.objections(steps.parse(GOOD.replace(old, new)))
    assert says in " ".join(found)


@pytest.mark.parametrize(
    "text", ["ADD a b", "RUN true", "FROM a:1", "FROM a:1 AS b\nRUN x \\", "FROM a:1 AS b\nADD x y"]
)
def test_dockerfile_is_refused_when_it_is_not_understood(text: str) -> None:
    with pytest.raises(ValueError, match=r"line [12]: "):
        steps.parse(text)


def test_everything_copied_into_an_image_exists() -> None:
    for name, stage in DOCKERFILE.stages.items():
        for step in stage.steps:
            if step.name == "COPY" and "from" not in step.flags:
                assert all((ROOT / source).exists() for source in step.words[:-1]), f"{name}: line {step.line}"


def required(files: Iterable[str]) -> set[str]:
    """Names of all packages that requirement files ask for, theirs included, as far as they are installed here."""
    found: set[str] = set()
    todo = [line for file in files for line in (ROOT / "constraints" / file).read_text().splitlines()]
    while todo:
        line = todo.pop().split("  #")[0].split(" #")[0].strip()
        if not line or line.startswith("#"):
            continue
        wanted = Requirement(line)
        name = re.sub(r"[-_.]+", "-", wanted.name).lower()
        if name in found or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        try:
            todo += importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            assert name in ("onnxruntime-gpu",), f"{name} is not installed here, so what it asks for is not known"
    return found


def test_robot_image_has_no_training_library_and_the_workstation_has() -> None:
    installs = [step.text for step in DOCKERFILE.stages["robot"].steps if "pip install" in step.text]
    files = re.findall(r"constraints/(\S+\.txt)", " ".join(installs))
    assert files == ["robot.txt", "${ONNXRUNTIME}.txt"]
    for runtime in ("cpu.txt", "gpu.txt"):
        assert not required(["robot.txt", runtime]) & steps.TRAINS
    more = [step.text for step in DOCKERFILE.stages["workstation"].steps if "pip install" in step.text]
    assert "constraints/workstation.txt" in more[0] and required(["workstation.txt"]) & steps.TRAINS >= {"torch"}


def test_containers_are_made_from_our_targets_and_hold_no_more_rights_than_they_need() -> None:
    services = COMPOSE["services"]
    for name, service in services.items():
        build = service.get("build")
        assert build is None or build["target"] in DOCKERFILE.stages, name
        assert not service.get("privileged") and service.get("user") != "root", name
    for name in ("discovery", "robot", "workstation", "thinks"):
        service = services[name]
        assert service["cap_drop"] == ["ALL"] and service["network_mode"] == service["ipc"] == "host", name
    assert services["robot"]["ulimits"] == {"nice": 20 - NICE} and "cap_add" not in services["robot"]
    assert "/dev/bus/usb:/dev/bus/usb" in services["robot"]["volumes"]
    assert services["workstation"]["profiles"] == ["workstation"] != services["robot"]["profiles"]


@pytest.mark.parametrize("service", ("robot", "thinks"))
@pytest.mark.parametrize("worker", ("", "/run/armtune/inference.sock"))
def test_what_a_container_is_started_with_is_a_config(service: str, worker: str) -> None:
    """With the defaults of ``.env``, and on a Jetson with the worker that the profile starts."""
    words = [re.sub(r"\$\{WORKER:-\}", worker, word) for word in COMPOSE["services"][service]["command"]]
    words = [re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", word) for word in words]
    config = compose(words[3:])
    if service == "robot":
        listens = next(step.text for step in DOCKERFILE.stages["inference"].steps if step.name == "CMD")
        assert config.policy.worker == config.reward.worker == worker and worker in listens


def test_service_may_be_as_punctual_as_the_gate_asks_and_sees_the_lock_of_a_domain() -> None:
    unit = configparser.ConfigParser(strict=True, interpolation=None)
    unit.read(ROOT / "deploy/armtune.service")
    assert unit["Service"]["LimitNICE"] == str(NICE) and unit["Service"]["ReadWritePaths"] == "/tmp"


DIRECTIVES = {
    "Unit": {"Description", "After", "Wants", "StartLimitIntervalSec", "StartLimitBurst"},
    "Service": {
        "User", "SupplementaryGroups", "WorkingDirectory", "StateDirectory", "EnvironmentFile", "ExecStartPre",
        "ExecStart", "KillMode", "TimeoutStopSec", "Restart", "RestartSec", "LimitNICE", "LimitNOFILE",
        "NoNewPrivileges", "ProtectSystem", "ProtectHome", "PrivateDevices", "ReadWritePaths",
    },
    "Install": {"WantedBy"},
}  # fmt: skip


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_unit_says_only_what_systemd_knows_and_is_not_root(path: Path) -> None:
    unit = configparser.ConfigParser(strict=True, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(path)
    assert set(unit.sections()) == set(DIRECTIVES)
    for section in unit.sections():
        assert set(unit[section]) <= DIRECTIVES[section]
    assert unit["Service"]["User"] == "armtune" and unit["Service"]["NoNewPrivileges"] == "true"
    if shutil.which("systemd-analyze"):
        done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, timeout=60)
        said = [line for line in done.stderr.splitlines() if path.name in line and "is not executable" not in line]
        assert not said, said


def test_every_device_rule_is_grammatical() -> None:
    for line in (ROOT / "deploy/99-armtune.rules").read_text().splitlines():
        if line and not line.startswith("#"):
            words = [re.fullmatch(r'(\w+)(?:\{(\w+)\})?(==|=|\+=)"[^"]+"', word) for word in line.split(", ")]
            assert all(words), line
            matches = [word for word in words if word and word[3] == "=="]
            sets = [word for word in words if word and word[3] != "=="]
            assert matches and sets and {word[1] for word in sets} <= {"MODE", "GROUP", "SYMLINK", "ATTR"}, line


FOLDERS = ("ros_ws/src/*", "policies", "calibration")
MANIFESTS = sorted(path for folder in FOLDERS for path in ROOT.glob(f"{folder}/package.xml"))


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.parent.name)
def test_package_manifest_names_every_ros_package_that_is_imported(path: Path) -> None:
    tree = ElementTree.parse(path).getroot()
    name = tree.findtext("name")
    declared = {e.text for e in tree if e.tag in ("depend", "exec_depend")}
    own = [s for s in product() if s.package == name or (s.is_launch and f"/{name}/" in s.path)]
    imported = {top(what) for source in own for _, what in source.imports()}
    wanted = {what for what in imported if is_ros(what) or what in LAUNCH or what.startswith("armtune_")} - {name}
    assert wanted <= declared, f"{path.relative_to(ROOT)}: add <exec_depend> for {', '.join(sorted(wanted - declared))}"
    ours = {what for what in declared if what and what.startswith("armtune_")}
    assert ours <= {ElementTree.parse(other).getroot().findtext("name") for other in MANIFESTS}
