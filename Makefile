# The course's commands; `make` lists them. Everything is installed into .venv, nothing elsewhere.

PRESET ?= auto
PYTHON ?=
BIN    := .venv/bin

PRESETS := auto smoke laptop t4 full
ifeq ($(filter $(PRESET),$(PRESETS)),)
$(error unknown preset '$(PRESET)': choose one of $(PRESETS))
endif
ifneq ($(CORPUS),)
ifeq ($(shell test -d "$(CORPUS)" && echo yes),)
$(error no folder '$(CORPUS)': CORPUS is a folder of recordings, one folder a speaker)
endif
endif

.PHONY: help course test lab notebooks site bench studies voices sounds music
.DELETE_ON_ERROR:

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

course: .venv/installed  ## run every notebook, write site/   [PRESET=smoke|laptop|t4|full] [CORPUS=folder]
	@$(BIN)/python notebooks/course.py --preset $(PRESET) $(if $(CORPUS),--corpus "$(CORPUS)")

test: .venv/installed-tests  ## the whole test suite   [ARGS="-k name"]
	@$(BIN)/python -m pytest $(ARGS)

lab: .venv/installed  ## JupyterLab on the notebooks   [ARGS=--allow-root]
	@cd notebooks && ../$(BIN)/jupyter lab $(ARGS)

notebooks: .venv/installed  ## build the notebooks from notebooks/src   [REPO=owner/name stamps another repository]
	@$(BIN)/python notebooks/build.py $(if $(REPO),--repo "$(REPO)")
	@$(BIN)/python notebooks/results.py

site: .venv/installed  ## write site/ again from the last run, without running anything
	@$(BIN)/python notebooks/course.py --pages-only

bench: .venv/installed-tests  ## the benches of tests/bench   [ONLY=name]
	@$(call each,tests/bench)

studies: .venv/installed  ## the sweeps of notebooks/studies   [ONLY=name] [PRESET=...]
	@SEP_PRESET=$(PRESET) && export SEP_PRESET && $(call each,notebooks/studies)

voices: .venv/installed  ## render the embedded corpus again (espeak-ng, flite, festival)
	@$(BIN)/python assets/render_voices.py

sounds: .venv/installed  ## render the embedded sound categories again
	@$(BIN)/python assets/render_sounds.py

music: .venv/installed  ## render the embedded music again (fluidsynth)
	@$(BIN)/python assets/render_music.py

# Every script of a folder, or the one that ONLY names.
define each
files=$$(ls $(1)/$(or $(ONLY),[a-z]*).py 2>/dev/null) || \
  { echo "no $(1)/$(or $(ONLY),*).py: ONLY is one of" $$(cd $(1) 2>/dev/null && ls | sed -n 's/^\([a-z].*\)\.py$$/\1/p'); exit 1; }; \
for file in $$files; do $(BIN)/python $$file || exit 1; done
endef

# The first Python from 3.11 to 3.13 that really runs and can make an environment.
.venv/bin/python:
	@for python in $(PYTHON) python3.11 "$$HOME"/.pyenv/versions/3.11.*/bin/python python3.12 python3.13 \
	    python3 "$$HOME"/.pyenv/versions/3.1[23].*/bin/python; do \
	  if "$$python" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then \
	    echo "making .venv with $$("$$python" -V)"; "$$python" -m venv --clear .venv; exit; \
	  fi; \
	done; echo "no Python 3.11, 3.12 or 3.13 that can make an environment: install one, or say make PYTHON=/path/to/python"; exit 1

.venv/installed: requirements.txt | .venv/bin/python
	@echo "installing requirements.txt into .venv (a few minutes the first time)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements.txt
	@touch $@

.venv/installed-tests: tests/requirements.txt tests/requirements-optional.txt .venv/installed
	@$(BIN)/python -m pip install -q --disable-pip-version-check -r tests/requirements.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check -r tests/requirements-optional.txt || \
	  echo "pesq could not be installed (no C compiler?): its tests will skip"
	@touch $@
