"""Files that are whole or absent: a run survives `kill -9` at any moment.

A checkpoint is ONE safetensors file: tensors (weights, optimiser moments, random states) with a
JSON text in its header (step, sampler, history). It is written beside its destination, flushed to
the disk and renamed over the old one, so that a single rename leads from the old state to the new:
a process that dies earlier leaves the old checkpoint untouched, and so does a full disk. A digest
in the header tells a file that was damaged afterwards. Nothing is pickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from .errors import PHAError, WriteError


def write_atomic(path: Path, content: bytes | str) -> None:
    """Replace `path` by `content`, wholly or not at all.

    The file beside it has a fixed name, so that a killed process leaves at most one, which the next
    write takes over.

    Raises:
        WriteError: the disk is full, or the folder can no longer be written to.
    """
    try:
        _write(path, content)
    except OSError as error:
        with suppress(OSError):
            _beside(path).unlink(missing_ok=True)  # on a full disk every byte counts
        raise WriteError(
            f"{path}: cannot be written ({error.strerror or error}); nothing is half written, "
            "what was there before is still there"
        ) from error


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _write(path: Path, content: bytes | str) -> None:
    beside = _beside(path)
    with open(beside, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
    if os.name == "posix":  # the rename itself must reach the disk too: flush the folder's entry
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def read_tensors(path: str | Path, form: str) -> tuple[dict[str, torch.Tensor], dict]:
    """Tensors of a safetensors file, and the JSON description `about` in its header.

    Args:
        form: the value that `about["format"]` must have.

    Raises:
        SafetensorError, OSError, KeyError, TypeError, ValueError: the file is damaged or of another
            form; the caller, who knows what the file should be, tells the user.
    """
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["about"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}
    if about["format"] != form:
        raise ValueError(f"format {about['format']!r}")
    return tensors, about


def digest(tensors: Mapping[str, torch.Tensor], text: str) -> str:
    """SHA-256 of some tensors (names, shapes, types, bits) and a text, in hexadecimal."""
    found = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        found.update(tensor.contiguous().flatten().view(torch.uint8).numpy())
    return found.hexdigest()


def check_writable(folder: Path) -> None:
    """Raises PHAError when files could not be written to `folder`, which need not exist yet.

    Called before hours of work, not after them. Nothing is made.
    """
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise PHAError(f"{folder}: {there} is a file, not a folder; choose another place")
    if not os.access(there, os.W_OK | os.X_OK):
        raise PHAError(f"{folder}: no permission to write to {there}; choose another place")


def write_json(path: Path, value: object) -> None:
    """`value` as indented JSON, written atomically."""
    write_atomic(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def load_json(path: Path) -> object:
    """The value in a JSON file.

    Raises:
        PHAError: the file is not there, or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise PHAError(f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise PHAError(f"{path}: cannot be read ({error})") from error
    except json.JSONDecodeError as error:
        raise PHAError(f"{path}: not valid JSON ({error})") from error


def save_checkpoint(path: Path, tensors: dict[str, torch.Tensor], state: dict) -> None:
    """Tensors and a JSON-able state in one file, atomically. Floats survive JSON bit for bit."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(state)
    write_atomic(path, save(tensors, metadata={"state": text, "digest": digest(tensors, text)}))


def load_checkpoint(path: Path) -> tuple[dict[str, torch.Tensor], dict]:
    """What `save_checkpoint` wrote.

    Raises:
        PHAError: the file is not one of ours, cut off, or changed after it was written.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        state = json.loads(about["state"])
        intact = digest(tensors, about["state"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        message = f"{path}: not a readable checkpoint ({error}); delete it to start again"
        raise PHAError(message) from error
    if about.get("digest", intact) != intact:  # older ones have none
        raise PHAError(
            f"{path}: changed after it was written, its digest does not match; delete it to start "
            "again"
        )
    return tensors, state


def random_state() -> tuple[dict[str, torch.Tensor], dict]:
    """State of every generator a step may draw from: torch (all devices), numpy, Python."""
    tensors = {"rng.cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states = torch.cuda.get_rng_state_all()
        tensors |= {f"rng.cuda.{index}": state for index, state in enumerate(states)}
    kind, keys, *rest = np.random.get_state()
    return tensors, {"numpy": [kind, keys.tolist(), *rest], "python": random.getstate()}


def set_random_state(tensors: dict[str, torch.Tensor], state: dict) -> None:
    """Undo of `random_state`; a GPU that is not there any more is passed over."""
    torch.set_rng_state(tensors["rng.cpu"])
    for index in range(torch.cuda.device_count()):
        if f"rng.cuda.{index}" in tensors:
            torch.cuda.set_rng_state(tensors[f"rng.cuda.{index}"], index)
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), *rest))
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
