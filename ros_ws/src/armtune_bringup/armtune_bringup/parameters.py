"""Each node's parameters as a file, the same for the runner and for launch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from armtune_policies.store.files import write_whole

from .spec import NodeSpec


def parameter_path(run_folder: Path, spec: NodeSpec) -> Path:
    """Where the parameters of one node of a run are."""
    return run_folder.resolve() / "logs" / f"{spec.name}.yaml"


def again_path(run_folder: Path, spec: NodeSpec) -> Path:
    """Where the Fast DDS profile of a node that was started again is."""
    return parameter_path(run_folder, spec).with_suffix(".again.xml")


def write_parameters(specs: Sequence[NodeSpec], run_folder: Path) -> None:
    """Write one ``--params-file`` per node into ``logs/`` of the run's folder."""
    for spec in specs:
        write_whole(parameter_path(run_folder, spec), parameter_file(spec))


class _Dumper(yaml.SafeDumper):
    """Quotes every string: ROS takes more of them for numbers than PyYAML does, the hash 0866014268888211 for one."""


_Dumper.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


def parameter_file(spec: NodeSpec) -> bytes:
    """Return a node's parameters as the YAML that ``--params-file`` reads."""
    tree = {"/**": {"ros__parameters": dict(spec.parameters)}} if spec.parameters else {}
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=True, allow_unicode=True, default_flow_style=None).encode()
