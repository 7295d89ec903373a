# What a developer can run here. `make demo` and `make test` are all the set-up that a fresh machine needs, beside the
# Rust toolchain.

CARGO ?= cargo
PYTHON ?= python3
FUZZ_SECONDS ?= 60
# cargo-fuzz needs flags that are not stable: those of a nightly compiler, or of the one that there is.
FUZZ ?= $(shell $(CARGO) +nightly --version >/dev/null 2>&1 && echo $(CARGO) +nightly fuzz || echo RUSTC_BOOTSTRAP=1 $(CARGO) fuzz)

# Tests wait for peers, files and each other more than they compute: twice as many at once as there are cores.
TEST_THREADS ?= $(shell expr 2 '*' $$(nproc))

# Where `make install` puts what is built, and what it puts there.
PREFIX ?= /usr/local
DESTDIR ?=
BINARY ?= target/release/ocibake

.PHONY: help build tool install demo check test test-rust test-class test-vendored test-odd-path \
	test-faults test-faults-sample test-bitbake screenshots lint lint-rust lint-crates lint-yocto bench bench-updates fuzz crates clean

help:
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t16

build: ## the release binary, target/release/ocibake
	$(CARGO) build --release --locked

install: $(BINARY) ## binary, man pages and completions, below DESTDIR and PREFIX (/usr/local)
	install -D -m 755 $(BINARY) $(DESTDIR)$(PREFIX)/bin/ocibake
	install -d $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/bash-completion/completions \
		$(DESTDIR)$(PREFIX)/share/zsh/site-functions $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	$(BINARY) man $(DESTDIR)$(PREFIX)/share/man/man1
	$(BINARY) completions bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/ocibake
	$(BINARY) completions zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_ocibake
	$(BINARY) completions fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/ocibake.fish

target/release/ocibake:
	$(CARGO) build --release --locked

demo: ## bake a real rootfs, verify it, run a command in it
	tests/demo

check: ## what takes no peers and little time: formatting, clippy, unit tests, and the tests of the tool by itself
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	OCIBAKE_PEERS=none RUST_TEST_THREADS=$(TEST_THREADS) $(CARGO) test --locked
	@echo 'Peers were left out: `make test` asks them too.'

test: ## install the peers that the tests need, and run all tests
	tests/peers
	$(MAKE) test-rust test-class test-vendored test-odd-path test-faults-sample

test-rust:
	RUST_TEST_THREADS=$(TEST_THREADS) $(CARGO) test --locked

# The tool as the tests have it: `cargo build` alone takes other features of crates, and builds half of them anew.
tool:
	$(CARGO) build --locked --bin ocibake --test it

test-class: tool ## the Yocto class with a datastore of its own, and the recipe against Cargo.lock
	OCIBAKE=$(CURDIR)/target/debug/ocibake PYTHON=$(PYTHON) tests/class/run
	$(PYTHON) -m unittest tests/recipe/test_crates.py

test-vendored: ## the crates that the recipe fetches are enough, without network
	$(CARGO) fetch --locked
	$(PYTHON) -m unittest tests/recipe/test_vendored_build.py

test-odd-path: ## some tests again, from a clone with a capital letter and a blank in its path where others may not look
	tests/odd-path

test-faults-sample: tool ## a minute of test-faults
	tests/faults/run --sample
	tests/faults/mutations --count 300
	tests/faults/writers --quick

test-faults: tool ## every verb with every call failing, killed and interrupted (FAULT_FLAGS=--quick for a sample)
	tests/faults/run $(FAULT_FLAGS)
	tests/faults/mutations
	tests/faults/writers
	OCIBAKE_TAR_MUTATIONS=2500 $(CARGO) test --locked --test it readers::

test-bitbake: build ## real BitBake builds; BITBAKE, OECORE and META_VIRT name trees
	tests/bitbake/run

lint: lint-rust lint-crates lint-yocto ## formatting, clippy with the house's rules, documentation, crates, the layer

lint-rust:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --lib --no-default-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items

# cargo-deny takes minutes to build and its advisories come from the network, so neither is forced on anybody.
lint-crates: ## licences, sources, bans and known faults of the crates, where cargo-deny is installed
	@$(CARGO) deny --version >/dev/null 2>&1 || \
		{ echo 'MISSING cargo-deny (cargo install cargo-deny): deny.toml was not checked' >&2; exit 0; }; \
	$(CARGO) deny --locked check licenses bans sources || exit 1; \
	if $(CARGO) deny --locked fetch db; then $(CARGO) deny --locked check --disable-fetch advisories; \
	else echo 'MISSING the advisory database: no crate was looked up in it' >&2; fi

lint-yocto: build/lint/bin/oelint-adv
	cd tests/lint && OELINT_CONFIG=oelint.cfg ../../build/lint/bin/oelint-adv \
		../../classes/*.bbclass ../../conf/layer.conf ../../recipes-devtools/ocibake/*.bb ../../recipes-devtools/ocibake/*.inc

build/lint/bin/oelint-adv:
	$(PYTHON) -m venv build/lint
	build/lint/bin/pip install --quiet --disable-pip-version-check 'oelint-adv==9.11.2'

crates: ## write the recipe's list of crates from Cargo.lock
	recipes-devtools/ocibake/update-crates

bench: build ## ocibake beside umoci, buildah, skopeo and tar | pigz (ROOTFS=DIR for another tree), and at scale
	benches/compare $(if $(ROOTFS),--rootfs $(ROOTFS)) $(BENCH_FLAGS)
	benches/scale

screenshots: build ## the pictures of docs/report.md, of a Debian image (root; ROOTFS=DIR for another tree)
	tests/browser/screenshots $(ROOTFS)

bench-updates: build ## what updates cost under plans, with histories of Debian and made-up ones (needs root and debootstrap)
	benches/updates $(BENCH_FLAGS)

# libdeflate includes one table in several of its C files, which is no fault; nor is it one that gcc takes a static table of
# zstd for one of the stack.
fuzz: ## every fuzz target for FUZZ_SECONDS (needs cargo-fuzz)
	fuzz/seed
	export ASAN_OPTIONS=detect_odr_violation=0 CFLAGS=-fno-sanitize-address-use-after-scope; \
	for target in $$($(FUZZ) list); do \
		$(FUZZ) run "$$target" -- -max_total_time=$(FUZZ_SECONDS) -max_len=16384 -rss_limit_mb=1024 \
			|| exit 1; done

clean: ## remove everything that was made
	$(CARGO) clean
	rm -rf build "$${OCIBAKE_TEST_DIR:-/var/tmp}/ocibake-tests-$$(id -u)/$$(stat -c %d-%i .)"
