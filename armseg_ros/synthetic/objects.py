# SPDX-License-Identifier: Apache-2.0
"""The families of products and how often each turns up."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from armseg_ros.synthetic import boxes, film, soft
from armseg_ros.synthetic.products import Product

_Maker = Callable[[np.random.Generator], Product]

# Shares are by eye from the public examples of mixed-object totes: boxes and bags dominate.
_FAMILIES: dict[str, tuple[float, _Maker]] = {
    "carton": (0.08, partial(boxes.make_box, family="carton")),
    "white_box": (0.10, partial(boxes.make_box, family="white_box")),
    "print_box": (0.13, partial(boxes.make_box, family="print_box")),
    "book": (0.10, partial(boxes.make_box, family="book")),
    "card": (0.04, partial(boxes.make_box, family="card")),
    "tin": (0.02, partial(boxes.make_box, family="tin")),
    "mailer": (0.08, soft.make_mailer),
    "pouch": (0.09, soft.make_pouch),
    "garment": (0.04, soft.make_garment),
    "clear_bag": (0.11, film.make_clear_bag),
    "bundle": (0.04, film.make_bundle),
    "blister": (0.05, film.make_blister),
    "bagged_thing": (0.04, film.make_bagged_thing),
    "bagged_strap": (0.02, partial(film.make_bagged_thing, kind="strap")),
    "bagged_cable": (0.015, partial(film.make_bagged_thing, kind="cable")),
    "strap": (0.01, partial(soft.make_bare, family="strap")),
    "cable": (0.015, partial(soft.make_bare, family="cable")),
    "tangle": (0.01, partial(soft.make_bare, family="tangle")),
    "bottle": (0.04, partial(soft.make_bare, family="bottle")),
    "tube": (0.01, partial(soft.make_bare, family="tube")),
    "jar": (0.015, partial(soft.make_bare, family="jar")),
    "ball": (0.01, partial(soft.make_bare, family="ball")),
    "plush": (0.015, partial(soft.make_bare, family="plush")),
    "tool": (0.02, partial(soft.make_bare, family="tool")),
    "sticks": (0.01, partial(soft.make_bare, family="sticks")),
    "slab": (0.01, partial(soft.make_bare, family="slab")),
    "lump": (0.01, partial(soft.make_bare, family="lump")),
}
FAMILIES = tuple(_FAMILIES)


def make_product(rng: np.random.Generator, family: str | None = None) -> Product:
    """Return a new product of `family`, or of one drawn by its share in a warehouse."""
    if family is None:
        shares = np.array([share for share, _ in _FAMILIES.values()])
        family = FAMILIES[int(rng.choice(len(FAMILIES), p=shares / shares.sum()))]
    return _FAMILIES[family][1](rng)
