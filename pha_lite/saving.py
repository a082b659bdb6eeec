"""A trained model as two files: weights with their own description, and a readable copy of it.

``model.safetensors`` holds the trained tensors only and, in its header, the configuration (task
order included), the backbone's name and fingerprint, and a digest of it all: it is complete by
itself, so one rename replaces an old model by a new one. ``config.json`` repeats the description
for readers and for the hub.

``instances.safetensors`` stands beside them where a model has an index of instances. It names the
encoder and retriever that made its embeddings by their digest, so an index is never used with a
model of another space, whichever of the files a dying process got to write.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError
from safetensors.torch import save as to_bytes
from torch import Tensor

from .checkpoint import digest, read_tensors, write_atomic, write_json
from .config import PHAConfig
from .errors import PHAError
from .hub import check_hub, reason
from .inference import embedder_digest
from .retriever import InstanceIndex

if TYPE_CHECKING:
    from .model import PHAModel

FORMAT = "pha_lite.model.1"
WEIGHTS, CONFIG = "model.safetensors", "config.json"
INSTANCES, INSTANCES_FORMAT = "instances.safetensors", "pha_lite.instances.1"


def save(model: PHAModel, folder: str | Path) -> None:
    """`PHAModel.save_pretrained`."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PHAError(f"{folder}: cannot be made ({error}); choose another folder.") from error
    tensors = {k: v.detach().cpu().contiguous() for k, v in model.trained.state_dict().items()}
    about = {
        "format": FORMAT,
        "backbone": model.backbone_name,
        "fingerprint": model.fingerprint(),
        "method": model.method,
        "config": model.config.to_dict(),
    }
    about["digest"] = _digest(tensors, about)
    write_atomic(folder / WEIGHTS, to_bytes(tensors, metadata={"about": json.dumps(about)}))
    write_json(folder / CONFIG, about)
    save_instances(model, folder / INSTANCES)


def load(cls: type[PHAModel], folder: str | Path, backbone=None) -> PHAModel:
    """`PHAModel.from_pretrained`."""
    weights, readable = _files(folder)
    tensors, about = _read(weights, FORMAT)
    _check_readable(readable, about)
    config = PHAConfig.from_dict(about["config"])
    if about.get("method", cls.method) != cls.method:
        from .baselines import CLASSES  # they are models, too, and know this module

        cls = CLASSES.get(about["method"], cls)
    if backbone is None:
        if not about["backbone"]:
            raise PHAError(f"{folder} names no backbone: pass from_pretrained(..., backbone=...).")
        backbone = about["backbone"]
    model = cls.from_backbone(backbone, config)
    model.backbone_name = model.backbone_name or about["backbone"]
    if model.fingerprint() != about["fingerprint"]:
        raise PHAError(
            f"{folder} was trained on another backbone ({about['backbone'] or 'unnamed'}): its "
            "adapters mean nothing on this one; pass the backbone it was trained on."
        )
    wanted = {name: tuple(t.shape) for name, t in model.trained.state_dict().items()}
    found = {name: tuple(t.shape) for name, t in tensors.items()}
    if wanted != found:
        odd = sorted(set(wanted.items()) ^ set(found.items()))[0][0]
        raise PHAError(f"{weights}: tensor {odd!r} does not fit the configuration in the file.")
    model.trained.load_state_dict(tensors)
    model.instances = load_instances(model, weights.with_name(INSTANCES))
    return model


def save_instances(model: PHAModel, path: Path) -> None:
    """Writes the model's index of instances; without one, removes that of an older model."""
    if model.instances is None:
        return path.unlink(missing_ok=True)
    tensors, about = model.instances.state()
    about |= {"format": INSTANCES_FORMAT, "embedder": about["embedder"] or embedder_digest(model)}
    about["digest"] = _digest(tensors, about)
    write_atomic(path, to_bytes(tensors, metadata={"about": json.dumps(about)}))


def load_instances(model: PHAModel, path: Path) -> InstanceIndex | None:
    """The index beside a model's weights. None if there is none, or another model embedded it.

    Raises:
        PHAError: the file is damaged.
    """
    if not path.is_file():
        return None
    tensors, about = _read(path, INSTANCES_FORMAT)
    if about["embedder"] != embedder_digest(model):
        warnings.warn(
            f"{path} is left aside: its instances were embedded by another encoder or retriever "
            "than this model's; call index_instances again.",
            stacklevel=4,  # the caller of from_pretrained
        )
        return None
    return InstanceIndex.restore(tensors, about)


def push(model: PHAModel, repo_id: str, private=None, token=None, **commit) -> str:
    """`PHAModel.push_to_hub`."""
    from huggingface_hub import HfApi

    check_hub()
    api = HfApi(token=token)
    with tempfile.TemporaryDirectory() as folder:
        save(model, folder)
        (Path(folder) / INSTANCES).unlink(missing_ok=True)  # private texts may speak from them
        try:
            repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
            (Path(folder) / "README.md").write_text(_card(model, repo_id), encoding="utf-8")
            commit.setdefault("commit_message", "Upload a pha_lite model")
            return str(api.upload_folder(repo_id=repo_id, folder_path=folder, **commit))
        except Exception as error:  # network and hub fail in their own many ways
            raise PHAError(f"{repo_id}: could not be uploaded ({reason(error)})") from error


def _files(folder: str | Path) -> tuple[Path, Path | None]:
    path = Path(folder)
    if path.is_dir():
        if not (path / WEIGHTS).is_file():
            raise PHAError(f"{path} holds no {WEIGHTS}: give a folder that save_pretrained wrote.")
        return path / WEIGHTS, path / CONFIG if (path / CONFIG).is_file() else None
    if path.exists() or str(folder).count("/") != 1 or str(folder).startswith((".", "/")):
        raise PHAError(f"{folder}: no such folder; give one that save_pretrained wrote.")
    from huggingface_hub import hf_hub_download

    check_hub()
    try:
        return tuple(Path(hf_hub_download(str(folder), name)) for name in (WEIGHTS, CONFIG))
    except Exception as error:  # network and hub fail in their own many ways
        raise PHAError(
            f"{folder}: neither a folder nor a model on the hub ({reason(error)})"
        ) from error


def _read(path: Path, form: str) -> tuple[dict[str, Tensor], dict]:
    try:
        tensors, about = read_tensors(path, form)
        intact = about["digest"] == _digest(tensors, about)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise PHAError(
            f"{path} is cut off, or not written by save_pretrained ({error})."
        ) from error
    if not intact:
        raise PHAError(f"{path} was changed after it was saved: its digest does not match.")
    return tensors, about


def _check_readable(path: Path | None, about: dict) -> None:
    if path is None:
        return
    try:
        copy = json.loads(path.read_text(encoding="utf-8"))
        # Another digest: the process died between the two renames; the weights are the newer.
        same = copy["digest"] != about["digest"] or copy == about
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PHAError(
            f"{path} is damaged ({error}); delete it, the weights hold a copy."
        ) from error
    if not same:
        raise PHAError(
            f"{path} was edited after it was saved and contradicts {WEIGHTS}; delete it to use "
            "what was saved."
        )


def _digest(tensors: dict[str, Tensor], about: dict) -> str:
    rest = {key: value for key, value in about.items() if key != "digest"}
    return digest(tensors, json.dumps(rest, sort_keys=True))


def _card(model: PHAModel, repo_id: str) -> str:
    tasks = "\n".join(f"- {task}" for task in model.config.tasks)
    return (
        "---\nlibrary_name: pha_lite\ntags: [adapter, t5]\n---\n\n"
        f"# {repo_id}\n\nAdapters, prototypes and hypernetwork for the frozen T5 "
        f"`{model.backbone_name or 'unnamed'}`, trained with `pha_lite`. Load with\n\n"
        "```python\nfrom pha_lite import PHAModel\n"
        f'model = PHAModel.from_pretrained("{repo_id}")\n```\n\nTasks, in order:\n\n{tasks}\n'
    )
