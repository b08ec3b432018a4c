# Every chore has one name; each recipe also works typed by hand.

TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
SALUR := $(TARGET_DIR)/release/salur
# What a planted bug needs to get into a build.
PLANTED := profile.release.package.salur.debug-assertions=true
DEMO := sqlite://salur-data/demo.db

.PHONY: help run web web-test web-journeys phone picture test check torture bless nation bench bench-claims bench-index

help: ## List the chores
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' Makefile | expand -t 14

# The page is built into the program: its packages anew when the lock changed, itself when a source did.
web/node_modules/.stamp: web/package-lock.json web/.npmrc
	cd web && npm ci --no-fund --no-audit
	@touch $@

web/dist/index.html: web/node_modules/.stamp web/index.html web/package.json web/vite.config.ts $(shell find web/src web/public web/scripts -type f)
	cd web && npm run build

web: web/dist/index.html ## Build the page

run: web/dist/index.html ## Build, fill the demo city (kept in salur-data/) and serve it
	cargo build --release
	@mkdir -p salur-data
	$(SALUR) demo --database $(DEMO) --print-guide
	exec $(SALUR) serve --database $(DEMO) --print-messages

web-test: web/dist/index.html ## Check the page: types, unit tests, sizes
	cd web && npm run check && npm test && npm run sizes

web-journeys: web/dist/index.html ## Walk through the page in a browser, with the released program
	cargo build --release
	cd web && SALUR_BIN=$(abspath $(SALUR)) ../scripts/with-chromium.sh npm run journeys -- $(args)

picture: ## Take the README's picture anew from the demo city
	$(MAKE) web-journeys args='-t "the map is drawn"'
	cp web/shots/map-desk.png docs/map.png

# One profile with `run`, so that build scripts and dependencies compile once.
test: web-test ## Check format and lints, then run all tests on both databases and in a browser
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets -- -D warnings
	cargo clippy --release --all-targets --features planted --config $(PLANTED) -- -D warnings
	scripts/node-modules.sh tests/node
	scripts/with-postgres.sh cargo test --release --workspace
	$(MAKE) web-journeys

check: test ## What CI runs (.ci/run asserts a clean tree, too)

# For one: make torture rig=model n=1000000 seed=1 db=sqlite; make torture help=1 lists them.
torture: ## Run the rigs, as long as one likes (docs/promises.md)
	scripts/torture.sh $(if $(help),help,rig=$(rig) n=$(n) seed=$(seed) db=$(db) plant=$(plant) other=$(other))

bless: ## Renew schema.graphql from the code
	cargo build --release
	$(SALUR) schema > $(TARGET_DIR)/schema.graphql
	mv $(TARGET_DIR)/schema.graphql schema.graphql

# For a small one: make nation out=/tmp/nation scale=1000
nation: ## Write a made-up nation's files, as import reads them
	cargo run --release -p salur-nation -- out=$(or $(out),$(TARGET_DIR)/nation) scale=$(or $(scale),1)

# For a part: make bench args='kinds=view4km,nearest connections=16 rounds=9'
bench: ## Measure the map beside PostGIS and PostGraphile; size=nation: 1.2 million RT (docs/benchmarks.md)
	scripts/node-modules.sh benches/map/node
	scripts/with-postgis.sh cargo bench --profile release --bench map -- size=$(or $(size),jakarta) $(args)

# For a part: make bench-claims args='connections=16 rounds=9 only=ours-postgres'. As on a disk whose flushes take a
# millisecond longer: make bench-claims flush=1000
bench-claims: ## Measure claims beside hand-written SQL (docs/benchmarks.md)
	cargo bench --profile release --bench claims --no-run
	SALUR_TEST_POSTGRES_FSYNC=on scripts/with-slow-disk.sh $(or $(flush),0) scripts/with-postgres.sh \
	    cargo bench --profile release --bench claims -- $(args)

bench-index: ## Measure the map's index beside rstar and a packed tree (docs/decisions/0027)
	cargo bench --profile release --bench index -- $(args)

phone: web/dist/index.html ## Measure how soon a plain phone shows the demo city (docs/benchmarks.md)
	cargo build --release
	cd web && SALUR_BIN=$(abspath $(SALUR)) ../scripts/with-chromium.sh npx vitest run --config vitest.phone.ts
