"""The house: who may import whom, and how large things may grow."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "sep_helpers"
ORDER = [   # from the ground up: a module imports only what stands before it
    "_torchaudio",
    "logs",
    "audio",
    "streams",
    "downloads",
    "archives",
    "manifests",
    "conversion",
    "own_folder",
    "corpora",
    "joining",
    "corpus_statistics",
    "augmentation",
    "recipes",
    "rooms",
    "corpus_layouts",
    "public_corpora",
    "drive_files",
    "stems",
    "view_table",
    "ledger",
    "pools",
    "drawing",
    "views",
    "librimix",
    "segments",
    "view_check",
    "course_views",
    "standard_views",
    "stft",
    "masks",
    "losses",
    "fast_pit",
    "permutation",
    "spectral_losses",
    "models",
    "bss_eval",
    "metrics",
    "bss_images",
    "amplitude",
    "perceptual",
    "measuring",
    "systems",
    "intervals",
    "evaluation",
    "slices",
    "long_audio",
    "song_separation",
    "song_evaluation",
    "separating",
    "cards",
    "checkpoints",
    "trained",
    "run_files",
    "run_lock",
    "drive_mirror",
    "runs",
    "settings",
    "randomness",
    "objectives",
    "optimisers",
    "hardware",
    "sitting",
    "trainer",
    "feeding",
    "memory",
    "loop",
    "training",
    "sweep_plan",
    "sweeps",
    "events",
    "search",
    "search_work",
    "storage_ways",
    "storage",
    "plots_style",
    "plots_training",
    "plots_search",
    "plots_results",
    "plots_evaluation",
    "plots_sweeps",
    "plots_views",
    "plots_corpus",
    "plots_mixtures",
    "plots_music",
    "plots",
    "separation_pictures",
    "progress",
    "player",
    "stem_player",
    "worst_cases",
    "listening",
    "listening_scores",
    "widgets",
    "quick_pictures",
    "mask_playground",
    "listening_widgets",
    "artifacts",
    "workspace",
    "own_recording",
    "experiment",
    "shipping",
    "checks",
    "commands",
    "__main__",
]
FILES = sorted(PACKAGE.rglob("*.py"))


def module_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """The package's modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            raise AssertionError(f"{path.name}, line {node.lineno}: import by the full name")
        if isinstance(node, ast.ImportFrom) and node.module == "sep_helpers":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sep_helpers."):
            found.add(node.module.split(".")[1])
    return found - {module_of(path), "__version__"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_a_module_imports_only_what_stands_above_it(path):
    if path == PACKAGE / "__init__.py":
        assert not imports(path)
        return
    above = ORDER[: ORDER.index(module_of(path))]
    assert imports(path) <= set(above)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_files_and_functions_stay_small(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 250
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 50, f"{path.name}: {node.name} is too long"


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_public_things_have_a_docstring(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{path.name} does not say what it is for"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            exempt = isinstance(node, ast.FunctionDef) and len(node.body) == 1   # says it itself
            assert ast.get_docstring(node) or exempt, f"{path.name}: {node.name}"
