"""The one place that imports torchaudio: its wheel may be built for a CUDA that is not here.

Its transforms, Conv-TasNet and resampling are plain Python and need none of its compiled
libraries, so where loading those fails, a stand-in says "no extension" and the rest works.
"""

import importlib
import sys
import types


def load() -> types.ModuleType:
    """The torchaudio module.

    Raises: ImportError in one line when it is not installed or does not fit this torch.
    """
    try:
        return importlib.import_module("torchaudio")
    except ModuleNotFoundError:
        raise ImportError("torchaudio is not installed: pip install torchaudio==2.11.0") from None
    except OSError:  # a library that the compiled extension wants is missing
        return _load_without_extension()


def _load_without_extension() -> types.ModuleType:
    for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
        del sys.modules[name]  # what the failed import left half made
    sys.modules["torchaudio._extension"] = _no_extension()
    try:
        return importlib.import_module("torchaudio")
    except Exception as error:
        del sys.modules["torchaudio._extension"]
        raise ImportError(f"torchaudio does not fit this torch ({error}): "
                          "install the pair that requirements.txt names") from error


def _no_extension() -> types.ModuleType:
    stub = types.ModuleType("torchaudio._extension")
    stub._IS_TORCHAUDIO_EXT_AVAILABLE = stub._IS_ALIGN_AVAILABLE = False
    stub._check_cuda_version = lambda: None
    stub.fail_if_no_align = lambda function: function
    return stub
