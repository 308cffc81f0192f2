"""F21: a safety parameter is changed while the arm moves."""

from __future__ import annotations

import pytest
from casebook import Case
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, ListParameters, SetParameters
from rig import FaultStack

pytestmark = [pytest.mark.slow, pytest.mark.fault("F21")]


def looser(value: ParameterValue) -> ParameterValue:
    """Another value of the same type: each number doubled."""
    changed = {
        ParameterType.PARAMETER_DOUBLE: {"double_value": 2.0 * value.double_value},
        ParameterType.PARAMETER_INTEGER: {"integer_value": 2 * value.integer_value + 1},
        ParameterType.PARAMETER_DOUBLE_ARRAY: {"double_array_value": [2.0 * v for v in value.double_array_value]},
        ParameterType.PARAMETER_STRING: {"string_value": value.string_value + "x"},
        ParameterType.PARAMETER_STRING_ARRAY: {"string_array_value": [*value.string_array_value, "x"]},
        ParameterType.PARAMETER_BOOL: {"bool_value": not value.bool_value},
    }
    return ParameterValue(type=value.type, **changed[value.type])


@pytest.mark.parametrize("node", ("gate_node", "supervisor_node", "sim_node"))
def test_no_parameter_can_be_set_while_armed(graph: FaultStack, case: Case, node: str) -> None:
    case.by("each parameter of the gate, the supervisor and the controller set by its service while the arm moves")
    listed = graph.call(ListParameters, f"{node}/list_parameters", ListParameters.Request()).result.names
    names = [name for name in listed if not name.startswith("use_sim_time") and "qos_overrides" not in name]
    assert any(name.startswith("safety.") for name in names) or node == "sim_node"
    asked = GetParameters.Request(names=names)
    before = graph.call(GetParameters, f"{node}/get_parameters", asked).values
    assert graph.gate.last.armed
    wanted = [Parameter(name=name, value=looser(value)) for name, value in zip(names, before) if value.type]
    answers = graph.call(SetParameters, f"{node}/set_parameters", SetParameters.Request(parameters=wanted)).results
    after = graph.call(GetParameters, f"{node}/get_parameters", asked).values
    case.nothing("a limit changed at run time", [p.name for p, a in zip(wanted, answers) if a.successful])
    case.nothing("a value other than before", [n for n, a, b in zip(names, before, after) if a != b])
