"""How large a TasNet is, counted from its config alone, before anything is built.

Every formula takes a full config; the letters are the papers'. The tests hold them against the
networks themselves.
"""

import math


def parameters(c: dict) -> dict[str, int]:
    """Trainable values of each part, in the order in which a mixture meets them."""
    N, L, S = c["N"], c["L"], c["n_sources"]
    if c["name"] in ("lstm_tasnet", "blstm_tasnet"):
        ways = 1 if c["causal"] else 2
        return {"encoder": 2 * N * L, "norm": 2 * N,
                "layers": recurrent(N, c["H"], ways)
                + (c["layers"] - 1) * recurrent(ways * c["H"], c["H"], ways),
                "to_masks": (ways * c["H"] + 1) * S * N, "decoder": N * L}
    L *= c.get("channels", 1)
    B, deep = c["B"], c.get("depth", 0) * (c.get("taps", 0) * N * N + 1)
    sizes = {"encoder": N * L, "deep_encoder": deep, "norm": 2 * N, "bottleneck": (N + 1) * B,
             "tcn": _separator(c), "activation": 1, "to_masks": ((c.get("Sc") or B) + 1) * S * N,
             "deep_decoder": deep, "decoder": N * L}
    return {part: size for part, size in sizes.items() if size}


def _separator(c: dict) -> int:
    B, H, R = c["B"], c["H"], c["R"]
    if c["name"] == "dprnn_tasnet":
        return R * 2 * (recurrent(B, H, 2) + (2 * H + 1) * B + 2 * B)
    block = (B + 1) * H + (c["P"] + 1) * H + (H + 1) * (B + c["Sc"]) + 2 * (1 + 2 * H)
    return c["X"] * R * block


def recurrent(inputs: int, H: int, ways: int) -> int:
    """Parameters of one LSTM layer: four gates, each with two biases, as in torch."""
    return ways * 4 * ((inputs + H) * H + 2 * H)


def frame_hop(c: dict) -> int:
    """Samples from one frame to the next: L / 2, or L where frames do not overlap."""
    return c["L"] if c["name"] in ("lstm_tasnet", "blstm_tasnet") else c["L"] // 2


def receptive_field(c: dict) -> float:
    """Samples of input that one frame of masks can see; math.inf for recurrent networks.

    A TCN sees R (P - 1) (2^X - 1) hops and one frame of L; every layer of a deep encoder adds
    `taps` - 1 hops. (Statistics of a norm see further, and are not counted, as in the paper.)
    """
    if "X" not in c:
        return math.inf
    hops = c["R"] * (c["P"] - 1) * (2 ** c["X"] - 1)
    return (hops + c.get("depth", 0) * (c.get("taps", 1) - 1)) * frame_hop(c) + c["L"]


def latency(c: dict) -> float:
    """Samples that must have come in before an output sample is final; math.inf: all of them.

    Causal: the L samples of the last frame that touches it. Otherwise half of the TCN's view
    lies ahead (the deep encoder's and decoder's halves, too), unless gLN or a network that
    reads backwards wants the end of the utterance.
    """
    if c["causal"]:
        return c["L"]
    if "X" not in c or c["norm"] == "gLN":
        return math.inf
    hops = c["R"] * (c["P"] - 1) * (2 ** c["X"] - 1) // 2
    return (hops + c.get("depth", 0) * (c.get("taps", 1) - 1)) * frame_hop(c) + c["L"]


def multiply_adds(c: dict) -> dict[str, float]:
    """Multiply-adds a second of sound, of each part's convolutions and matrix products.

    What is left out (norms, activations, the masking itself) is a few per cent of the sum.
    """
    N, L, S = c["N"], c["L"] * c.get("channels", 1), c["n_sources"]
    each = {"encoder": N * L, "decoder": S * N * L}
    if c["name"] in ("lstm_tasnet", "blstm_tasnet"):
        ways = 1 if c["causal"] else 2
        each |= {"encoder": 2 * N * L, "to_masks": ways * c["H"] * S * N,
                 "layers": _steps(N, c["H"], ways)
                 + (c["layers"] - 1) * _steps(ways * c["H"], c["H"], ways)}
    else:
        B, H = c["B"], c["H"]
        each |= {"bottleneck": N * B, "to_masks": (c.get("Sc") or B) * S * N}
        if c["name"] == "dprnn_tasnet":      # every frame lies in two chunks
            each["tcn"] = 2 * c["R"] * 2 * (_steps(B, H, 2) + 2 * H * B)
        else:
            each["tcn"] = c["X"] * c["R"] * (B * H + c["P"] * H + H * (B + c["Sc"]))
        if deep := c.get("depth", 0) * c.get("taps", 0) * N * N:
            each |= {"deep_encoder": deep, "deep_decoder": S * deep}
    rate = c["sample_rate"] / frame_hop(c)
    return {part: each[part] * rate for part in parameters(c) if part in each}


def _steps(inputs: int, H: int, ways: int) -> int:
    """Multiply-adds of an LSTM layer for one frame."""
    return ways * 4 * (inputs + H) * H
