"""How large trials' networks are: built as a training builds them, once each, and only where a limit asks for it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue

from swath.config.imagery import Imagery
from swath.config.model import Model
from swath.config.records import of_json, to_json
from swath.config.sweep import Limits
from swath.config.tasks import DETECTION
from swath.errors import UserError
from swath.files import short_hash
from swath.networks.definition import ARCHITECTURES, publish_definition
from swath.networks.not_built import not_built
from swath.scenes.manifest import check_imagery, read_manifests
from swath.search.limits import Network, over_limits


def judge_networks(
    limits: Limits, network: Mapping[str, JsonValue], manifests: Sequence[str]
) -> Callable[[Mapping[str, JsonValue]], str]:
    """Make a function that says which limits the network of a trial is over, by its values.

    Args:
        limits: The setting; without limits of networks, none is built.
        network: That of the config's own values: the fields of a :class:`swath.search.limits.Network`.
        manifests: Where the scenes are described: how many bands they have.
    """
    if not limits.are_of_networks:
        return lambda values: ""
    own, known = of_json(Network, network), dict[str, str]()

    def judge(values: Mapping[str, JsonValue]) -> str:
        wanted = own.of(values)
        key = short_hash(to_json(wanted))
        if key not in known:
            bands = len(wanted.bands) if wanted.bands else check_imagery(read_manifests(manifests), Imagery())
            known[key] = over_limits(limits, size_of(wanted, bands))
        return known[key]

    return judge


def size_of(network: Network, bands: int) -> dict[str, float]:
    """Build a network, and say how large it is.

    Args:
        network: The network.
        bands: Number of bands that it sees.

    Returns:
        ``parameters``, and ``model_mb``: megabytes of all its values, which is what a bundle holds.

    Raises:
        UserError: If it cannot be built.
    """
    from swath.rv.networks import NETWORKS, NetworkShape  # imports Raster Vision, which takes seconds

    model = Model.model_validate(network.model)
    with tempfile.TemporaryDirectory() as folder:
        definition = Path(folder) / "architecture"
        publish_definition(Path(model.definition) if model.definition else ARCHITECTURES, definition)
        shape = NetworkShape(bands, network.classes, network.chip_size)
        config = NETWORKS[network.task].describe(model, shape, str(definition), None)
        more = {"img_sz": network.chip_size} if network.task == DETECTION else {}
        try:
            built = config.build(network.classes, bands, save_dir=folder, hubconf_dir=str(definition), **more)
        except Exception as error:  # of any kind: it can be the user's own
            raise UserError(not_built(model, error)) from error
    parameters = sum(one.numel() for one in built.parameters())
    tensors = [*built.parameters(), *built.buffers()]
    return {"parameters": parameters, "model_mb": sum(one.numel() * one.element_size() for one in tensors) / 1e6}
