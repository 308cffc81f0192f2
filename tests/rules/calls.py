"""Rule functions about sizes and calls; each returns ``path:line: what`` per breach."""

from __future__ import annotations

import ast

from .house import Source, dotted, keyword

MODULE_LINES, NODE_LINES, FUNCTION_LINES = 500, 200, 60
FORBIDDEN = {
    "pickle.load": "never pickle", "pickle.loads": "never pickle", "pickle.dump": "never pickle",
    "pickle.dumps": "never pickle", "dill.load": "never pickle", "joblib.load": "never pickle",
    "torch.load": "safetensors only", "torch.save": "safetensors only", "torch.jit.load": "safetensors only",
    "torch.hub.load": "never code from elsewhere", "np.load": "safetensors only", "np.save": "safetensors only",
    "onnx.load": "onnx.load_from_string: one file", "cv2.imread": "store.pictures.read_picture",
    "cv2.imdecode": "store.pictures.decoded", "yaml.safe_load": "store.files.parse_yaml",
    "yaml.load": "store.files.parse_yaml", "yaml.unsafe_load": "store.files.parse_yaml",
    "yaml.full_load": "store.files.parse_yaml", "eval": "no eval", "exec": "no exec",
    "input": "nobody is there to answer", "os.system": "subprocess with a list", "os.popen": "subprocess with a list",
    "time.time": "contract.clock", "time.time_ns": "contract.clock", "rclpy.spin": "a bounded spin_once loop",
    "__import__": "import statements",
}  # fmt: skip
CODE_IN_DATA = frozenset(("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"))
AT_HOME = {"armtune_policies.contract.clock": ("time.time", "time.time_ns"),
           "armtune_policies.store.files": ("yaml.safe_load",),
           "armtune_policies.store.pictures": ("cv2.imdecode",)}  # fmt: skip
"""The one module in which a call stands that all others make through it."""
WRITERS = frozenset(("shutil.copy", "shutil.copy2", "shutil.copyfile", "shutil.copytree", "shutil.move",
                     "shutil.rmtree", "cv2.imwrite", "os.rename", "os.replace"))  # fmt: skip
# name -> number of positional arguments from which a time bound is among them; None: by keyword only
WAITS: dict[str, int | None] = {
    "wait": 1, "wait_for": 2, "communicate": 2, "wait_for_service": 1, "wait_for_server": 1, "spin_once": None,
    "spin_until_future_complete": 2, "check_call": None, "check_output": None, "urlopen": None, "recv_bytes": None,
}  # fmt: skip
TIMEOUTS = ("timeout", "timeout_s", "timeout_sec")
STORE = "policies/armtune_policies/store/"


def sizes(source: Source) -> list[str]:
    """A module at most 500 lines, a node 200, a function 60."""
    lines, limit = (
        source.text.count("\n"),
        NODE_LINES if source.is_node and source.name != "managed_node.py" else MODULE_LINES,
    )
    found = [f"{source.path}:{limit}: {lines} lines; at most {limit}"] if lines > limit else []
    for node in ast.walk(source.tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or 0) - node.lineno + 1
            if length > FUNCTION_LINES:
                found.append(source.at(node, f"{node.name} has {length} lines; at most {FUNCTION_LINES}"))
    return found


def forbidden_calls(source: Source) -> list[str]:
    """No pickle, eval, input, shell, wall clock; no unsafe loads; no assert, no bare except."""
    found = [
        source.at(call, f"{name}(): {FORBIDDEN[name]}")
        for call, name in source.calls()
        if name in FORBIDDEN and name not in AT_HOME.get(source.module, ())
    ]
    found += [
        source.at(node, f"imports {name}: data never run code")
        for node, name in source.imports()
        if name.split(".")[0] in CODE_IN_DATA
    ]
    for call, name in source.calls():
        if _is_true(keyword(call, "shell")):
            found.append(source.at(call, f"{name}(shell=True): pass a list"))
        if _is_true(keyword(call, "allow_pickle")):
            found.append(source.at(call, f"{name}(allow_pickle=True): never pickle"))
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Assert):
            found.append(source.at(node, "assert outside tests: raise, with expected against got"))
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            found.append(source.at(node, "bare except: name what may be raised"))
    return found


def _is_true(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is True


def waits_are_bounded(source: Source) -> list[str]:
    """Every wait, receive, spin and join has a timeout."""
    found = []
    for call, name in source.calls():
        last = name.rpartition(".")[2]
        is_run = name in ("subprocess.run", "subprocess.call")
        bare_join = last == "join" and "." in name and not call.args
        if not (is_run or bare_join or last in WAITS) or keyword(call, *TIMEOUTS):
            continue
        bound = WAITS.get(last)
        if is_run or bare_join or bound is None or len(call.args) < bound:
            found.append(source.at(call, f"{name}() without a timeout"))
    return found


def writes_only_in_store(source: Source) -> list[str]:
    """Files are written by ``store``, whole or not at all; what it is handed to fill is called ``part``."""
    if source.path.startswith(STORE):
        return []
    found = []
    for call, name in source.calls():
        last = name.rpartition(".")[2]
        if last in ("write_text", "write_bytes", "tofile") or name in WRITERS:
            found.append(source.at(call, f"{name}(): use store.files.write_whole"))
        elif last == "open" and name not in ("os.open", "Image.open", "av.open") and not _fills_part(call):
            place = 1 if name in ("open", "io.open", "tarfile.open", "gzip.open", "lzma.open", "bz2.open") else 0
            mode = keyword(call, "mode") or (call.args[place] if len(call.args) > place else None)
            if isinstance(mode, ast.Constant) and isinstance(mode.value, str) and set(mode.value) & set("wax+"):
                found.append(source.at(call, f"{name}(..., {mode.value!r}): use store.files.write_whole"))
    return found


def _fills_part(call: ast.Call) -> bool:
    return bool(call.args) and dotted(call.args[0]).split(".")[0] == "part"


def names_are_constants(source: Source) -> list[str]:
    """Topic and service names come from ``contract.topics``, never from a literal in a node."""
    makers = {"create_publisher": 1, "create_subscription": 1, "create_service": 1, "create_client": 1,
              "create_lifecycle_publisher": 1, "ActionClient": 2, "ActionServer": 2}  # fmt: skip
    found = []
    for call, name in source.calls():
        place = makers.get(name.rpartition(".")[2])
        if place is not None and len(call.args) > place and isinstance(call.args[place], (ast.Constant, ast.JoinedStr)):
            found.append(source.at(call, f"{name} with a literal name; take it from contract.topics"))
    return found


def all_is_true(source: Source) -> list[str]:
    """``__all__`` names what exists, and all that a facade (an ``__init__`` without code) takes in."""
    listed = [
        n for n in source.tree.body if isinstance(n, ast.Assign) and [dotted(t) for t in n.targets] == ["__all__"]
    ]
    if not listed:
        return []
    value = listed[0].value
    names = [e.value for e in getattr(value, "elts", []) if isinstance(e, ast.Constant)]
    defined = _defined(source)
    found = [
        source.at(listed[0], f"__all__ names {name!r}, which does not exist") for name in names if name not in defined
    ]
    is_facade = not any(isinstance(node, (ast.FunctionDef, ast.ClassDef)) for node in source.tree.body)
    if source.name == "__init__.py" and is_facade:
        public = {name for name in defined if not name.startswith("_") and name != "annotations"}
        found += [source.at(listed[0], f"__all__ lacks {name!r}") for name in sorted(public - set(names))]
    return found


def _defined(source: Source) -> set[str]:
    names: set[str] = set()
    for node in source.tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {dotted(target) for target in targets}
    return names - {"__all__"}


def annotated(source: Source) -> list[str]:
    """Public functions are annotated in full, and annotations are lazy."""
    found = []
    for node in ast.walk(source.tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_"):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            bare = [a.arg for a in arguments if a.annotation is None and a.arg not in ("self", "cls")]
            if bare or node.returns is None:
                found.append(source.at(node, f"{node.name}: not annotated: {', '.join(bare) or 'what it returns'}"))
    return found
