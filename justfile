# The verbs of this project; continuous integration uses the same.

# List them.
default:
    @just --list

# Optimised programs in target/fast.
build:
    cargo build --profile fast -p vnf -p pktgen

# Everything, as CI does.
test:
    scripts/test

# Style: format, clippy, documentation, shell scripts, dependencies.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items
    shellcheck -x scripts/* .ci/run
    command -v cargo-deny >/dev/null && cargo deny check || echo "cargo-deny is not installed"

# Real traffic through two namespaces.
smoke:
    scripts/demo

# Cycles per packet on one core.
bench *ARGS:
    cargo run --release -p vnf -- bench {{ARGS}}

# Every fuzz target for a number of seconds.
fuzz SECONDS="20":
    cd fuzz && for target in fuzz_targets/*.rs; do cargo +nightly fuzz run "$(basename "$target" .rs)" -- -max_total_time={{SECONDS}}; done

# The documentation of the crates.
doc:
    cargo doc --workspace --no-deps --document-private-items --open
