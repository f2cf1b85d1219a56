"""Conv-TasNets trained elsewhere: their weights in this package's network, their outputs equal.

    libri2mix()                 torchaudio's published separator of two voices, downloaded
    from_torchaudio(network)    a torchaudio.models.ConvTasNet, or its state dict
    from_asteroid(package)      what asteroid's `serialize` gives, or a file of it, or its model

Nothing is unpickled but tensors and plain values. Save the result with `models.save`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from sep_helpers.models.config import check
from sep_helpers.models.conv_tasnet import ConvTasNet

LIBRI2MIX = "https://download.pytorch.org/torchaudio/models/conv_tasnet_base_libri2mix.pt"
STEPS = ("expand", "act1", "norm1", "depthwise", "act2", "norm2")     # of a block, in their order


class PretrainedError(ValueError):
    """Weights that cannot be fetched, or are not this network's, in one line with the remedy."""


@dataclass(frozen=True)
class Layout:
    """What another package calls the parts of a Conv-TasNet."""

    package: str
    parts: dict[str, str]      # our name -> theirs
    block: str                 # where block i of the TCN lies
    steps: str                 # where step n of a block lies, in the block
    residual: str
    skip: str


TORCHAUDIO = Layout("torchaudio", {
    "encoder": "encoder", "decoder": "decoder", "norm": "mask_generator.input_norm",
    "bottleneck": "mask_generator.input_conv", "activation": "mask_generator.output_prelu",
    "to_masks": "mask_generator.output_conv",
}, "mask_generator.conv_layers.{}", "conv_layers.{}", "res_out", "skip_out")
ASTEROID = Layout("asteroid", {
    "encoder": "encoder.filterbank", "decoder": "decoder.filterbank",
    "norm": "masker.bottleneck.0", "bottleneck": "masker.bottleneck.1",
    "activation": "masker.mask_net.0", "to_masks": "masker.mask_net.1",
}, "masker.TCN.{}", "shared_block.{}", "res_conv", "skip_conv")
OTHER_WORDS = {"_filters": "weight", "gamma": "weight", "beta": "bias"}      # asteroid's
ASTEROID_NORMS = {"gLN": "gLN", "cgLN": "cLN", "bN": "BN", "BN": "BN"}


def libri2mix() -> nn.Module:
    """torchaudio's published Conv-TasNet, trained on Libri2Mix: two voices at 8 kHz, 20 MB.

    Downloaded into torch's hub folder the first time (SI-SDRi 15.3 dB on Libri2Mix's test set).
    Raises PretrainedError without a network, or for a damaged download.
    """
    kept = Path(torch.hub.get_dir()) / "checkpoints" / Path(LIBRI2MIX).name
    try:
        weights = torch.hub.load_state_dict_from_url(LIBRI2MIX, map_location="cpu",
                                                     weights_only=True, progress=False)
    except OSError as error:         # URLError, HTTPError and a full disk are of this kind
        raise PretrainedError(f"{LIBRI2MIX}: could not be fetched ({error}): check the connection "
                              f"and the space in {kept.parent}") from error
    except Exception as error:       # whatever a damaged file makes the reader stumble over
        raise PretrainedError(f"{kept}: is damaged: delete it and call again") from error
    return from_torchaudio(weights)


def from_torchaudio(network: nn.Module | Mapping, X: int = 8, mask: str = "relu",
                    sample_rate: int = 8000) -> nn.Module:
    """The separator, in evaluation mode, that does what torchaudio's does.

    network: a torchaudio.models.ConvTasNet, which tells its own X and mask, or a state dict,
    which does not: the values given are those of the published pipeline.
    """
    if isinstance(network, nn.Module):
        layers = getattr(getattr(network, "mask_generator", None), "conv_layers", [])
        if not len(layers):
            raise PretrainedError(f"a {type(network).__name__} is no torchaudio Conv-TasNet: give "
                                  "a torchaudio.models.ConvTasNet or its state dict")
        X = max(layer.conv_layers[3].dilation[0] for layer in layers).bit_length()
        mask = type(network.mask_generator.mask_activate).__name__
        network = network.state_dict()
    sizes = _sizes(network, TORCHAUDIO, X)
    return _filled(network, TORCHAUDIO, {**sizes, "norm": "gLN", "causal": False, "mask": mask,
                                         "sample_rate": sample_rate})


def from_asteroid(package: nn.Module | Mapping | str | Path) -> nn.Module:
    """The separator, in evaluation mode, that does what asteroid's Conv-TasNet does.

    package: asteroid's model, the dict that its `serialize` gives, or a file of that dict. Its
    frames have no zeros around them (`ends: bare`). Its cgLN is the paper's cLN; its cLN, one
    norm a frame, is not, and is refused, as are filters that are not free and other strides.
    """
    if isinstance(package, str | Path):
        package = _read(Path(package))
    if isinstance(package, nn.Module):
        package = {"state_dict": package.state_dict(), "model_args": package.get_model_args()}
    if not isinstance(package, Mapping) or not {"state_dict", "model_args"} <= set(package):
        raise PretrainedError("this is no asteroid package: it needs 'state_dict' and 'model_args'"
                              ", as asteroid's serialize() writes them")
    weights, told = package["state_dict"], package["model_args"]
    norm, causal = told.get("norm_type", "gLN"), bool(told.get("causal", False))
    if norm not in ASTEROID_NORMS:
        raise PretrainedError(f"asteroid's norm {norm!r} is none of this package's (its cLN "
                              f"normalises every frame alone): {', '.join(ASTEROID_NORMS)} will do")
    if told.get("fb_name", "FreeFB") not in ("free", "FreeFB"):
        raise PretrainedError(f"filters of the kind {told['fb_name']!r} are not learnt freely: "
                              "only asteroid's FreeFB can be taken over")
    sizes = _sizes(weights, ASTEROID, told.get("n_blocks", 8))
    if told.get("stride", sizes["L"] // 2) not in (None, sizes["L"] // 2):
        raise PretrainedError(f"a stride of {told['stride']} with filters of {sizes['L']} samples:"
                              " this network's hop is half a filter")
    options = {"encoder": told.get("encoder_activation") or "linear", "ends": "bare",
               "mask": told.get("mask_act", "sigmoid"), "causal": causal,
               "norm": ASTEROID_NORMS[norm], "sample_rate": int(told.get("sample_rate") or 8000)}
    return _filled(weights, ASTEROID, {**sizes, **options})


def _sizes(weights: Mapping, layout: Layout, X: int) -> dict:
    """N, L, B ... as the shapes of the weights tell them."""
    weights = _in_our_words(weights)
    first = layout.block.format(0) + "."

    def shape(name: str, axis: int) -> int:
        if name not in weights:
            raise PretrainedError(f"these are no weights of {layout.package}'s Conv-TasNet: there "
                                  f"is no {name!r} among them")
        return weights[name].shape[axis]

    N = shape(f"{layout.parts['encoder']}.weight", 0)
    pattern = re.compile(re.escape(layout.block).replace(r"\{\}", r"(\d+)") + r"\.")
    blocks = 1 + max((int(m[1]) for name in weights if (m := pattern.match(name))), default=0)
    if not isinstance(X, int) or X < 1 or blocks % X:
        raise PretrainedError(f"{blocks} blocks are not repeats of X={X!r}: give the number of "
                              "blocks in a repeat")
    skip = f"{first}{layout.skip}.weight"
    return {
        "name": "conv_tasnet", "N": N, "L": shape(f"{layout.parts['encoder']}.weight", 2),
        "B": shape(f"{layout.parts['bottleneck']}.weight", 0),
        "H": shape(first + layout.steps.format(0) + ".weight", 0),
        "Sc": weights[skip].shape[0] if skip in weights else 0,
        "P": shape(first + layout.steps.format(3) + ".weight", 2), "X": X, "R": blocks // X,
        "n_sources": shape(f"{layout.parts['to_masks']}.weight", 0) // N,
    }


def _in_our_words(weights: Mapping) -> dict[str, Tensor]:
    """gamma -> weight and so on; a causal convolution of asteroid's lies one level deeper."""
    named = {}
    for name, value in weights.items():
        stem, _, last = str(name).rpartition(".")
        stem = re.sub(r"(shared_block\.3)\.0$", r"\1", stem)
        named[f"{stem}.{OTHER_WORDS.get(last, last)}"] = value
    return named


def _filled(weights: Mapping, layout: Layout, config: dict) -> nn.Module:
    """A separator of that config with those weights. Raises ConfigError, PretrainedError."""
    separator = ConvTasNet(check(config))
    theirs, taken, state = _in_our_words(weights), set(), {}
    for name, own in separator.state_dict().items():
        pieces = []
        for source in _sources(name, layout):
            if source in theirs:
                taken.add(source)
                pieces.append(theirs[source].flatten())
            elif layout.residual in source:     # of the last block, which nothing ever reads
                pieces.append(own.new_zeros(own[: config["B"]].numel()))
        value = torch.cat(pieces) if pieces else own.new_zeros(0)
        if value.numel() != own.numel():
            raise PretrainedError(f"{layout.package}'s {' and '.join(_sources(name, layout))}: "
                                  f"{value.numel()} values for {own.numel()}: not this network's")
        state[name] = value.view_as(own)
    if extra := sorted(set(theirs) - taken):
        raise PretrainedError(f"{layout.package}'s {extra[0]!r} has no place in this network: it "
                              "is another one, or of another version")
    separator.load_state_dict(state)
    return separator.eval()


def _sources(name: str, layout: Layout) -> list[str]:
    """Where the other package keeps what is `name` here; two places for the joined last layer."""
    stem, _, last = name.rpartition(".")
    if stem in layout.parts:
        return [f"{layout.parts[stem]}.{last}"]
    number, step = re.fullmatch(r"tcn\.blocks\.(\d+)\.(\w+)", stem).groups()
    block = layout.block.format(number)
    if step == "contract":
        return [f"{block}.{layout.residual}.{last}", f"{block}.{layout.skip}.{last}"]
    return [f"{block}.{layout.steps.format(STEPS.index(step))}.{last}"]


def _read(path: Path) -> dict:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise PretrainedError(f"{path}: there is no such file: check the path") from error
    except Exception as error:     # whatever a damaged file makes the reader stumble over
        raise PretrainedError(f"{path}: is no file of tensors and plain values, or a damaged one: "
                              "not loaded; fetch it again") from error
