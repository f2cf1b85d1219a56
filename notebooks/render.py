"""A notebook with its outputs, as HTML that needs nothing from anywhere else.

Markdown and colours are nbconvert's; formulas become MathML instead of a script's work, pictures
and sounds are in the page, a widget is shown as it stood when the notebook had run.
"""

import re
from html import escape
from pathlib import Path

from latex2mathml import converter
from nbconvert.filters import Highlight2HTML, ansi2html
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

WIDGET = "application/vnd.jupyter.widget-view+json"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
LATEX = re.compile(r"^\s*\$+(.*?)\$+\s*$", re.DOTALL)


class Markdown(IPythonRenderer):
    """nbconvert's renderer, with MathML for formulas and no picture from another site."""

    def block_math(self, body: str) -> str:
        return f'<div class="formula">{mathml(body, "block")}</div>'

    def inline_math(self, body: str) -> str:
        return mathml(body, "inline")

    def latex_environment(self, name: str, body: str) -> str:
        return self.block_math(f"\\begin{{{name}}}{body}\\end{{{name}}}")

    def _html_embed_images(self, html: str) -> str:
        # nbconvert parses html to find pictures, and so closes a <details> before its content
        return super()._html_embed_images(html) if "<img" in html else html

    def image(self, text: str, url: str, title: str | None = None) -> str:
        return text if url.startswith("http") else super().image(text, url, title)


def mathml(latex: str, display: str) -> str:
    """A formula as MathML."""
    return converter.convert(latex.strip(), display=display)


def markdown(source: str, folder: Path) -> str:
    """Markdown as HTML; pictures are found from `folder` and embedded; links lead to pages."""
    renderer = Markdown(escape=False, embed_images=True, path=str(folder), anchor_link_text="#")
    html = MarkdownWithMath(renderer=renderer).render(source)
    return re.sub(r'href="([\w-]+)\.ipynb(#[^"]*)?"', r'href="\1.html\2"', html)


def body(notebook, folder: Path) -> str:
    """Every cell of an executed notebook."""
    widgets = widget_models(notebook)
    return "\n".join(cell_html(cell, folder, widgets) for cell in notebook.cells)


def cell_html(cell, folder: Path, widgets: dict) -> str:
    """Text; or code, the seconds it took and what came out. A form's code is folded."""
    if cell.cell_type == "markdown":
        return f'<section class="text">{markdown(cell.source, folder)}</section>'
    if cell.cell_type != "code" or not cell.source.strip():
        return ""
    code = Highlight2HTML(pygments_lexer="ipython3")(cell.source)
    if cell.metadata.get("cellView") == "form":
        named = re.match(r"# @title (.*)", cell.source)
        title = escape(named[1]) if named else "Form"
        code = f"<details><summary>{title}</summary>{code}</details>"
    seconds = cell.metadata.get("seconds", 0)
    took = f'<p class="took">{seconds:.0f} s</p>' if seconds >= 1 else ""
    outputs = "".join(output_html(output, folder, widgets) for output in cell.outputs)
    outputs = f'<div class="outputs">{outputs}</div>' if outputs else ""
    return f'<section class="code">{code}{took}{outputs}</section>'


def output_html(output, folder: Path, widgets: dict) -> str:
    """One output: printed text, an error, or the richest form of a displayed object."""
    kind = output["output_type"]
    if kind == "stream":
        return f'<pre class="{output["name"]}">{ansi2html(settled(output["text"]))}</pre>'
    if kind == "error":
        return f'<pre class="error">{ansi2html(chr(10).join(output["traceback"]))}</pre>'
    data = output["data"]
    if WIDGET in data:
        return f'<div class="widget">{widget(data[WIDGET]["model_id"], folder, widgets)}</div>'
    if "text/html" in data:
        return f'<div class="html">{data["text/html"]}</div>'
    if "text/markdown" in data:
        return markdown(data["text/markdown"], folder)
    if "image/svg+xml" in data:
        return f'<div class="picture">{data["image/svg+xml"]}</div>'
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            return f'<img alt="a figure" src="data:{kind};base64,{data[kind].strip()}">'
    if "text/latex" in data:
        formula = LATEX.sub(r"\1", data["text/latex"])
        return f'<div class="formula">{mathml(formula, "block")}</div>'
    return f"<pre>{ansi2html(data['text/plain'])}</pre>" if "text/plain" in data else ""


def settled(text: str) -> str:
    """What a terminal would show at the end: progress bars rewrite their line."""
    return "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n"))


def widget_models(notebook) -> dict:
    """{model id: its name and state} of the notebook's widgets."""
    return notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})


def widget_outputs(notebook) -> list[list]:
    """What each Output widget holds."""
    models = widget_models(notebook).values()
    return [model["state"]["outputs"] for model in models if model["state"].get("outputs")]


def widget(model_id: str, folder: Path, widgets: dict) -> str:
    """A widget as it stood: its controls with their values, and its output."""
    model = widgets.get(model_id.removeprefix("IPY_MODEL_"))
    if model is None:
        return ""
    name, state = model["model_name"], model["state"]
    if "children" in state:
        return "".join(widget(child, folder, widgets) for child in state["children"])
    if name == "OutputModel":
        return "".join(output_html(output, folder, widgets) for output in state["outputs"])
    if name in ("HTMLModel", "HTMLMathModel"):
        return f'<div class="html">{state.get("value", "")}</div>'
    value = state.get("value", "")
    if "_options_labels" in state and isinstance(state.get("index"), int):
        value = state["_options_labels"][state["index"]]
    words = " ".join(str(word) for word in (state.get("description", ""), value) if word != "")
    return f'<span class="control">{escape(words)}</span>' if words else ""
