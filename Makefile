# make test   everything that CI checks: lint, format, types, tests
# make demo   make pictures, segment them through the real node and measure the result
# make curation  measure what choosing pictures is worth, and write it into docs/curation.md
# make browser  install Chromium for the tests of pages, where apt and root are there
# make flags  fit the quality flags to the shipped detector anew and refresh docs/quality.md:
#             FIT="totes it was not trained on, labelled ..." TEST="others"
# make venv   only set up .venv (PYTHON=python3.12 chooses the interpreter)
#
# The environment is made anew only when something that is compiled or installed changes; Python
# modules are always taken from this source tree, from wherever .venv/bin/armseg is called.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip --disable-pip-version-check --quiet
TORCH := torch==2.13.0
TORCH_CPU_INDEX := https://download.pytorch.org/whl/cpu
BUILD_TOOLS := 'setuptools>=77,<80' wheel 'cmake>=3.20' ninja
COMPILED_FROM := package.xml CMakeLists.txt $(wildcard cmake/* msg/*.msg launch/* config/*)

# A sourced ROS installation or another environment must not leak into this one.
unexport PYTHONPATH PYTHONHOME LD_LIBRARY_PATH AMENT_PREFIX_PATH CMAKE_PREFIX_PATH
unexport COLCON_PREFIX_PATH ROS_DISTRO _ROS_WHEELS_BOOTSTRAP_COMPLETE VIRTUAL_ENV

.PHONY: venv venv-test test lint types pytest browser demo curation flags clean
.DELETE_ON_ERROR:

venv: $(VENV)/package
venv-test: $(VENV)/test-tools $(VENV)/package

$(RUN):
	$(PYTHON) -m venv $(VENV)

# Building in the environment itself saves a second copy of the ROS wheels for each build.
$(VENV)/build-tools: setup.py pyproject.toml | $(RUN)
	$(PIP) install $(BUILD_TOOLS)
	$(RUN) setup.py print_build_requirements | xargs $(PIP) install
	touch $@

$(VENV)/package: $(VENV)/build-tools $(COMPILED_FROM)
	$(PIP) install --no-build-isolation .
	$(RUN) -c "import sysconfig; print(sysconfig.get_path('purelib'))" | \
		xargs -I{} sh -c 'echo "import sys; sys.path.insert(0, \"$(CURDIR)\")" >{}/armseg_source_tree.pth'
	touch $@

# Plain torch from PyPI brings gigabytes of CUDA: a CPU build that pip's own configuration finds
# on disk comes first, then the index of CPU builds.
$(VENV)/torch: | $(RUN)
	$(PIP) install --no-index --no-deps "$(TORCH)" 2>/dev/null || \
		$(PIP) install --extra-index-url $(TORCH_CPU_INDEX) "$(TORCH)"
	touch $@

$(VENV)/test-tools: pyproject.toml $(VENV)/torch $(VENV)/package
	$(PIP) install "armseg_ros[train,dev]"  # already there: this adds what the extras name
	touch $@

test: lint types pytest

lint: venv-test
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

types: venv-test
	$(RUN) -m mypy

pytest: venv-test
	$(RUN) -m pytest

# Without a browser the tests of pages are skipped, with the reason.
browser:
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || \
		{ apt-get update && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y chromium chromium-driver; } || \
		echo "no browser: it could not be installed here"

demo: venv
	$(RUN) -m armseg_ros.cli.main demo --output demo_output

curation: venv-test
	$(RUN) -m armseg_ros.latent.proof curation_output --page docs/curation.md

ARMSEG := $(RUN) -m armseg_ros.cli.main
FLAGS := flags_output
MODEL_OF_FLAGS := armseg_ros/quality/yolov5s_seg_totes.json

flags: venv-test
	rm -rf $(FLAGS)
	for source in $(FIT); do \
		$(ARMSEG) quality collect $$source -o $(FLAGS)/$$(basename $$source) || exit; done
	$(ARMSEG) quality fit $(foreach source,$(FIT),$(FLAGS)/$(notdir $(source))) -o $(MODEL_OF_FLAGS)
	for precision in fp32 int8; do \
		$(ARMSEG) evaluate $(TEST) --backend onnxruntime --precision $$precision \
			-o $(FLAGS)/run_$$precision --overlays 0 || exit; done
	$(ARMSEG) quality accept $(FLAGS)/run_fp32 $(FLAGS)/run_int8 --flags $(MODEL_OF_FLAGS) \
		-o $(MODEL_OF_FLAGS)
	$(ARMSEG) quality check $(FLAGS)/run_fp32 --flags $(MODEL_OF_FLAGS) -o $(FLAGS)/sheet \
		--page docs/quality.md
	$(ARMSEG) quality examples $(FLAGS)/run_fp32 -o docs/quality_examples.jpg

clean:
	rm -rf build dist install log demo_output curation_output $(FLAGS) *.egg-info
