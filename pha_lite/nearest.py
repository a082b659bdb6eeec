"""Nearest neighbours among vectors of length 1: exact, or nearly and much faster. faiss does it.

Three kinds of index, all by inner product, which between such vectors is the cosine:

- ``"flat"`` compares a query with every vector. Exact, nothing to tune.
- ``"ivf"`` puts every vector into the nearest of `nlist` cells (k-means) and compares a query with
  those in its `nprobe` nearest cells (inverted file).
- ``"hnsw"`` links every vector to some near ones and walks along the links (hierarchical navigable
  small world, Malkov and Yashunin 2018).

Which kind and which default is our choice; the paper and its release search nothing.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from .errors import PHAError, unknown

if TYPE_CHECKING:
    import faiss

OPTIONS: dict[str, dict[str, int | None]] = {
    "flat": {},
    "ivf": {"nlist": None, "nprobe": None},
    "hnsw": {"M": 32, "ef_construction": 40, "ef_search": 64},
}
FULL_CELL = 39  # rows per cell from which faiss itself trusts its k-means
PROBES = 16  # cells looked at, of however many; our choice


def nearest_index(vectors: Tensor, kind: str = "flat", **options: int | None) -> faiss.Index:
    """An index of some vectors, ready for `search`.

    Args:
        vectors: (n, e), normalised by the caller.
        kind: ``"flat"``, ``"ivf"`` or ``"hnsw"``.
        nlist: (ivf) cells; by default about sqrt(n), and less where cells would be nearly empty.
        nprobe: (ivf) cells looked at per query; by default 16, or all if there are fewer.
        M: (hnsw) links per vector, twice as many in the lowest layer.
        ef_construction: (hnsw) candidates kept while a vector is being linked.
        ef_search: (hnsw) candidates kept while a query walks; also the most that it can find.

    Raises:
        PHAError: an unknown kind, an option of another kind or out of its range, vectors that are
            not finite, or more cells than vectors.

    >>> index = nearest_index(torch.eye(3), "hnsw", ef_search=8)
    >>> search(index, torch.eye(3)[1:2], k=1)[1].tolist()
    [[1]]
    """
    options = check_options(kind, len(vectors), options)
    if not vectors.isfinite().all():
        raise PHAError("vectors: not all of them are finite numbers.")
    faiss, width = _faiss(), vectors.shape[1]
    recipe = {"flat": "Flat", "ivf": "IVF{nlist},Flat", "hnsw": "HNSW{M},Flat"}[kind]
    index = faiss.index_factory(width, recipe.format(**options), faiss.METRIC_INNER_PRODUCT)
    data = np.ascontiguousarray(vectors.detach().float().cpu().numpy())
    if kind == "ivf":
        index.cp.min_points_per_centroid = 1  # no warning on the terminal: the caller chose
        index.nprobe = options["nprobe"]
        index.train(data)
    if kind == "hnsw":
        index.hnsw.efConstruction = options["ef_construction"]
        index.hnsw.efSearch = options["ef_search"]
    index.add(data)
    return index


def check_options(kind: str, rows: int, given: dict[str, int | None]) -> dict[str, int]:
    """All options of a kind of index over so many rows: those given, else the defaults."""
    if kind not in OPTIONS:
        raise PHAError(unknown("kind of index", kind, OPTIONS))
    for name in given:
        if name not in OPTIONS[kind]:
            raise PHAError(unknown(f"option of kind={kind!r}", name, OPTIONS[kind]))
    options = {**OPTIONS[kind], **{name: v for name, v in given.items() if v is not None}}
    if kind == "ivf":
        most = max(1, min(round(sqrt(rows)), rows // FULL_CELL))
        options["nlist"] = most if options["nlist"] is None else options["nlist"]
        if options["nprobe"] is None and isinstance(options["nlist"], int):
            options["nprobe"] = min(PROBES, options["nlist"])
    for name, value in options.items():
        least = 2 if name == "M" else 1  # links to one other make no net
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise PHAError(f"{name}={value!r}: give a whole number of at least {least}.")
    if kind == "ivf" and options["nlist"] > rows:
        raise PHAError(
            f"nlist={options['nlist']} cells for {rows} vectors: give at most as many cells as "
            "vectors, or leave nlist out."
        )
    if kind == "ivf" and options["nprobe"] > options["nlist"]:
        raise PHAError(
            f"nprobe={options['nprobe']}: there are only {options['nlist']} cells to look at."
        )
    return options


def search(index: faiss.Index, z: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k best of every query: cosines (n, k) in falling order, and rows (n, k).

    Where an approximate index meets fewer than k vectors, rows end in -1.
    """
    cosines, rows = index.search(z.detach().float().cpu().numpy(), k)
    return torch.from_numpy(cosines), torch.from_numpy(rows)


def to_tensor(index: faiss.Index) -> Tensor:
    """An index, its vectors included, as bytes."""
    return torch.from_numpy(_faiss().serialize_index(index))


def from_tensor(content: Tensor) -> faiss.Index:
    """The index that `to_tensor` wrote: the same cells or links, hence the same answers.

    Raises:
        PHAError: this faiss cannot read it.
    """
    try:
        return _faiss().deserialize_index(content.numpy())
    except RuntimeError as error:  # faiss's own
        reason = str(error).splitlines()[0]
        raise PHAError(
            f"the index cannot be read by this faiss ({reason}); index again."
        ) from error


def _faiss():
    try:
        import faiss
    except ImportError as error:
        raise PHAError("retrieval needs faiss: pip install faiss-cpu.") from error
    return faiss
