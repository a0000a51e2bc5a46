# Shorthands. Everything they do can be typed by hand: see README.md.
PYTHON ?= python3
CORES ?= all
EXPERIMENT ?=
PROFILE ?= slurm
BASE ?=
ARGS ?=
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test test-cluster setup image resume lint lock reference clean

demo: setup  ## run the default experiment on all cores, or another one of config/examples: EXPERIMENT=neon-trees
	$(BIN)/snakemake --cores $(CORES) $(if $(EXPERIMENT),--configfile config/examples/$(EXPERIMENT).yaml)

test: setup  ## the unit and workflow tests: a quarter of an hour on two cores
	tests/run

test-cluster: setup  ## the tests on a real SLURM cluster and in the container: .ci/run installs what they need
	tests/run cluster

setup: $(READY)  ## install everything, pinned, into .venv

$(READY): envs/requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "Swath needs Python 3.11; name it with PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	@echo "Installing PyTorch, Raster Vision and the rest into .venv: 7 GB, about five minutes"
	$(BIN)/python -m pip install --quiet --require-hashes -r envs/requirements.lock
	touch $@

image:  ## build envs/swath.sif, in which every step can run; BASE=path/to/python.sif where there is no registry
	apptainer build --force --mksquashfs-args "-comp zstd -Xcompression-level 3" \
		$(if $(BASE),--build-arg bootstrap=localimage --build-arg base=$(BASE)) envs/swath.sif envs/swath.def

resume: setup  ## go on after anything; ARGS="--configfile my.yaml" and what else the first command had
	$(BIN)/snakemake --profile $(PROFILE) $(ARGS)

lint: setup  ## ruff, mypy, snakefmt, snakemake --lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint
	$(BIN)/snakemake --lint --configfile config/examples/own-pipeline.yaml

lock: setup  ## pin what envs/requirements.in asks for
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
		--python-version 3.11 --output-file envs/requirements.lock envs/requirements.in

reference: setup  ## write the schema, config/config.yaml and docs/reference.md from the models
	SWATH_DESCRIBED=1 PYTHONPATH=scripts $(BIN)/python -m swath.config.reference

clean:  ## remove the environment and caches; results and resources stay
	rm -rf .venv .snakemake .pytest_cache .mypy_cache .ruff_cache .coverage*
