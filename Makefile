# Shorthands. Everything they do can be typed by hand: see README.md.
PYTHON ?=
CORES ?= all
EXPERIMENT ?=
PROFILE ?= slurm
BASE ?=
ARGS ?=
BIN := .venv/bin
READY := .venv/.ready
DOCS := .cache/docs

.PHONY: demo test test-cluster setup image resume lint lock reference record site clean

demo: setup  ## run the default experiment on all cores, or another one of config/examples: EXPERIMENT=neon-trees
	$(BIN)/snakemake --cores $(CORES) $(if $(EXPERIMENT),--configfile config/examples/$(EXPERIMENT).yaml)

test: setup  ## the unit and workflow tests: a quarter of an hour on two cores
	tests/run

test-cluster: setup  ## those on a real SLURM cluster and in the container, and long ones: .ci/run installs what they need
	tests/run cluster

setup: $(READY)  ## install everything, pinned, into .venv; PYTHON=python3.13 for another Python than python3
	@test -z "$(PYTHON)" || test "$$($(PYTHON) -V)" = "$$($(BIN)/python -V)" || \
		{ echo ".venv holds $$($(BIN)/python -V), $$($(PYTHON) -V) is asked for: make clean, then the same again"; exit 1; }

$(READY): envs/requirements.lock
	@sh envs/setup.sh $(PYTHON)

image:  ## build envs/swath.sif, in which every step can run; BASE=path/to/python.sif where there is no registry
	apptainer build --force --mksquashfs-args "-comp zstd -Xcompression-level 3" \
		$(if $(BASE),--build-arg bootstrap=localimage --build-arg base=$(BASE)) envs/swath.sif envs/swath.def

resume: setup  ## go on after anything; ARGS="--configfile my.yaml" and what else the first command had
	$(BIN)/snakemake --profile $(PROFILE) $(ARGS)

lint: setup  ## ruff, mypy, snakefmt, snakemake --lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow/Snakefile rules
	$(BIN)/snakemake --lint
	$(BIN)/snakemake --lint --configfile config/examples/own-pipeline.yaml

lock: setup  ## pin what envs/requirements.in asks for, the same for all Pythons; ARGS=--upgrade for new versions
	$(BIN)/python -m pip install --quiet --requirement envs/installer.in
	set -e; for what in installer requirements docs; do \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
		--no-emit-find-links --output-file envs/$$what.lock $(ARGS) envs/$$what.in; \
	done

reference: setup  ## write the schema, config/config.yaml and docs/reference.md from the models
	SWATH_DESCRIBED=1 PYTHONPATH=scripts:tools $(BIN)/python -m reference

site: $(DOCS)/.ready  ## the documentation as a site, .cache/site/README.html; a broken link is an error
	$(DOCS)/bin/sphinx-build --quiet --fail-on-warning --keep-going -c docs/site . .cache/site
	@! grep -rE --include=*.html '<(script|link|img)[^>]*(src|href)="?https?:' .cache/site || \
		{ echo "the site asks the network for these"; exit 1; }

$(DOCS)/.ready: envs/docs.lock
	@sh envs/setup.sh "$(PYTHON)" $(DOCS) docs

record: setup  ## record the code behind every stage, and what stages make of tiny inputs; see docs/architecture.md
	PYTHONPATH=scripts:tools:tests $(BIN)/python -m stage_code
	PYTHONPATH=scripts:tools:tests $(BIN)/python -m recorded_results

clean:  ## remove the environment and caches; results and resources stay
	rm -rf .venv .cache/uv .cache/docs .cache/site .snakemake .pytest_cache .mypy_cache .ruff_cache .coverage*
