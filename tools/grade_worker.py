"""The process in which one submission runs. `tools/grade.py` starts it and decides what it scores.

It runs the cells first and gets the tests only afterwards, so that while a student's code has its
turn no hidden test is in this process or in its folder. A fence (Python's audit hooks) refuses
files outside of what the notebook needs, the network and other programs; what the cells replaced
in torch, pha_lite or Python's own modules is put back before the tests run. This stops mishaps and
curiosity. It is no prison: who grades submissions of strangers does it in a container.
"""

from __future__ import annotations

import ast
import builtins
import io
import json
import os
import re
import resource
import signal
import site
import sys
import types
from dataclasses import dataclass
from pathlib import Path

from pha_lite.check import cases
from pha_lite.paths import PACKAGE, data_dir

# Loaded once, before any submission: a process for a submission then starts in no time.
PRELOAD = [
    "torch",
    "numpy",
    "transformers.models.t5.modeling_t5",
    "tokenizers",
    "pha_lite.check",
    "pha_lite.backbone",
    "pha_lite.hypernet",
    "pha_lite.losses",
    "pha_lite.retriever",
    "pha_lite.suite",
]
READABLE = (
    *{sys.prefix, sys.base_prefix, sys.exec_prefix, *site.getsitepackages()},
    *{str(PACKAGE), str(data_dir())},
    *("/usr", "/lib", "/lib64", "/etc", "/dev/null", "/dev/urandom", "/sys/fs/cgroup"),
    *("/proc/cpuinfo", "/proc/meminfo", "/sys/devices"),
)
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {"os.remove", "os.rename", "os.rmdir", "os.truncate", "os.link", "os.symlink"} | {
    "os.chmod",
    "os.chown",
    "os.mkdir",
    "shutil.rmtree",
    "shutil.move",
}
REFUSED = {
    "socket.connect": "the network",
    "socket.bind": "the network",
    "socket.sendto": "the network",
    "socket.getaddrinfo": "the network",
    "subprocess.Popen": "another program",
    "os.system": "another program",
    "os.exec": "another program",
    "os.posix_spawn": "another program",
    "os.fork": "another process",
    "os.forkpty": "another process",
    "os.kill": "a signal to a process",
    "os.killpg": "a signal to a process",
    "ctypes.dlopen": "a library of another language",
    "gc.get_objects": "the grader's own objects",
    "gc.get_referrers": "the grader's own objects",
}
# What answers and tests are made of.
GUARDED = re.compile(
    r"builtins|math|inspect|json|numpy|pha_lite(\..+)?|torch|torch\.(_tensor|functional|linalg)"
    r"|torch\.nn(\.(functional|init|parameter|modules(\..+)?))?|torch\.testing(\..+)?"
)


@dataclass(frozen=True)
class Limits:
    """What a submission may use.

    Attributes:
        cell: seconds for one cell, and for one test.
        total: seconds for all of it.
        memory: GiB.
        output: characters that are kept of what it prints; the rest is dropped.
    """

    cell: float = 60.0
    total: float = 300.0
    memory: float = 6.0
    output: int = 100_000


class TimeUp(BaseException):
    """A cell or a test took too long. No `except Exception` of a submission catches it."""


# ---- the fence -----------------------------------------------------------------------------------


def fence(folder: str, noted: list[str]):
    """An audit hook that refuses what a notebook does not need, and notes that it was tried."""
    realpath, readable = os.path.realpath, tuple(realpath_all(READABLE))

    def within(path: str, places) -> bool:
        return any(path == place or path.startswith(place + os.sep) for place in places)

    def refuse(what: str):
        # Libraries look around in /proc, which says nothing about a student.
        if what not in noted and len(noted) < 5 and not what.startswith("reading /proc/"):
            noted.append(what)
        raise PermissionError(f"not open to a submission: {what}")

    def hook(event: str, args: tuple) -> None:
        if event == "open" and isinstance(args[0], str | bytes):
            path = realpath(os.fsdecode(args[0]))
            if within(path, (folder,)) or path == os.devnull:
                return
            if args[2] & WRITES:
                refuse(f"writing {path}")
            if not within(path, readable):
                refuse(f"reading {path}")
        elif event in CHANGES:
            for path in args:
                if isinstance(path, str | bytes) and not within(
                    realpath(os.fsdecode(path)), (folder,)
                ):
                    refuse(f"changing {os.fsdecode(path)}")
        elif event in REFUSED:
            refuse(REFUSED[event])

    return hook


def realpath_all(paths) -> list[str]:
    return [os.path.realpath(path) for path in paths]


class Guard:
    """Remembers what modules and classes hold, and puts it back."""

    def __init__(self):
        self.modules = {
            name: module
            for name, module in list(sys.modules.items())
            if GUARDED.fullmatch(name) and isinstance(module, types.ModuleType)
        }
        owners = list(self.modules.items())
        kinds = {t for _, m in owners for t in vars(m).values() if issubclass(type(t), type)}
        owners += [
            (f"{kind.__module__}.{kind.__qualname__}", kind)
            for kind in kinds
            if kind.__module__.split(".")[0] in ("torch", "pha_lite") and kind.__name__[0] != "_"
        ]
        self.held = [(name, owner, dict(vars(owner))) for name, owner in owners]
        self.code = [
            (f"{name}.{key}", thing, thing.__code__)
            for name, _, held in self.held
            for key, thing in held.items()
            if type(thing) is types.FunctionType
        ]

    def restore(self) -> list[str]:
        """Undoes what was replaced; gives its names."""
        found = []
        for name, module in self.modules.items():
            if sys.modules.get(name) is not module:
                sys.modules[name] = module
                found.append(name)
        for name, owner, held in self.held:
            now = vars(owner)
            wrong = [
                key
                for key, old in held.items()
                if now.get(key, ...) is not old
                and (callable(old) or isinstance(old, types.ModuleType))
            ]
            # A new name can stand in front of an inherited one, or of a builtin.
            behind = owner.__mro__[1:] if isinstance(owner, type) else (builtins,)
            new = now.keys() - held.keys()
            wrong += [key for key in new if any(key in vars(other) for other in behind)]
            for key in wrong:
                try:
                    setattr(owner, key, held[key]) if key in held else delattr(owner, key)
                except (AttributeError, TypeError):
                    continue
                found.append(f"{name}.{key}")
        for name, function, code in self.code:
            if function.__code__ is not code:
                function.__code__ = code
                found.append(name)
        # What torch changes inside itself has an underscore in its name, and is no one's doing.
        return sorted({n for n in found if not re.search(r"(^|\.)_[a-z]", n)})


# ---- cells ---------------------------------------------------------------------------------------


class Capped(io.TextIOBase):
    """Takes what is printed, and drops it; knows whether it was too much."""

    def __init__(self, most: int):
        self.most, self.count = most, 0

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.count += len(text)
        return len(text)


class Shell:
    """Stands in for IPython: magics do nothing."""

    user_ns: dict = {}

    def __getattr__(self, name: str):
        return lambda *args, **kwargs: None


def plain(source: str) -> str:
    """A cell without lines of magic, if it has any; as it is, if it is Python."""
    try:
        ast.parse(source)
        return source
    except (SyntaxError, ValueError):
        pass
    if source.lstrip().startswith("%%"):
        source = source.lstrip().partition("\n")[2]
    return re.sub(r"^(\s*)(?:[%!].*|\w[\w.]*\?\??\s*)$", r"\1pass", source, flags=re.MULTILINE)


def timed(seconds: float, action):
    """Calls, and raises TimeUp after so many seconds, then every second again."""

    def ring(signum, frame):
        raise TimeUp

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        return action()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def in_words(error: BaseException, limits: Limits) -> str:
    if isinstance(error, TimeUp):
        return f"stopped after {limits.cell:g} seconds"
    text = " ".join(str(error).split())
    if isinstance(error, SyntaxError):
        text = f"{error.msg} (line {error.lineno})"
    return f"{type(error).__name__}: {text}"[:300]


def run_cells(sources: list[str], space: dict, limits: Limits) -> list[str]:
    """Runs the cells in order; one that fails does not stop the next. Gives what went wrong."""
    found = []
    for number, source in enumerate(sources, start=1):
        try:
            code = compile(plain(source), f"<code cell {number}>", "exec")
            timed(limits.cell, lambda code=code: exec(code, space))
        except BaseException as error:
            found.append(f"code cell {number}: {in_words(error, limits)}")
    return found


def run_case(case, space: dict, limits: Limits) -> str | None:
    try:
        return timed(limits.cell, lambda: case.run(space))
    except BaseException as error:
        return in_words(error, limits)


# ---- the process ---------------------------------------------------------------------------------


def confine(folder: str, limits: Limits) -> Capped:
    """Own process group, own folder, limits, no terminal, almost no environment."""
    os.setsid()
    os.chdir(folder)
    ceiling = int(limits.memory * 2**30)
    for kind, value in ((resource.RLIMIT_AS, ceiling), (resource.RLIMIT_FSIZE, 2**26)):
        try:
            resource.setrlimit(kind, (value, value))
        except (ValueError, OSError):
            pass  # a system without this limit
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "OMP_NUM_THREADS")}
    os.environ.clear()
    os.environ.update(kept, HOME=folder, TMPDIR=folder, HF_HUB_OFFLINE="1")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    sys.stdin = io.StringIO()
    sys.stdout = sys.stderr = printed = Capped(limits.output)
    sys.argv, sys.dont_write_bytecode = ["notebook"], True
    return printed


def work(connection, sources: list[str], folder: str, limits: Limits) -> None:
    """Runs a submission: cells, then the tests that arrive, one verdict at a time.

    Args:
        connection: a pipe to the grader. Only JSON passes it, in both directions.
        sources: the code cells.
        folder: an empty folder.
    """
    import torch

    def say(**what) -> None:
        connection.send_bytes(json.dumps(what).encode())

    folder = os.path.realpath(folder)
    printed = confine(folder, limits)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    space = vars(main)
    space.update(get_ipython=Shell, display=lambda *things, **_: None)
    noted: list[str] = []
    guard = Guard()
    sys.addaudithook(fence(folder, noted))
    errors = run_cells(sources, space, limits)
    say(
        errors=errors,
        replaced=guard.restore(),
        refused=noted,
        printed=printed.count if printed.count > printed.most else 0,
    )
    job = json.loads(connection.recv_bytes())
    for question, text in job["tests"].items():
        guard.restore()
        for number, case in enumerate(cases(text, question)):
            message = run_case(case, space, limits)
            say(token=job["token"], question=question, case=number, message=message)
    say(token=job["token"], end=True)
    connection.close()
    os._exit(0)


def code_cells(notebook: dict) -> list[str]:
    """The sources of a notebook's code cells, whatever else it holds."""
    found = []
    for cell in notebook.get("cells", []):
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            source = cell.get("source", "")
            found.append("".join(source) if isinstance(source, list) else str(source))
    return found


def read(path: Path) -> dict:
    """A notebook as JSON. Raises ValueError in words where it is none."""
    try:
        notebook = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ValueError(f"not a notebook: {type(error).__name__}") from None
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise ValueError("not a notebook: it has no cells")
    return notebook
