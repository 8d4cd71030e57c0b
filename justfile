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

# Every fuzz target, or those named, for a number of seconds.
fuzz SECONDS="20" *TARGETS:
    scripts/fuzz {{SECONDS}} {{TARGETS}}

# The documentation of the crates.
doc:
    cargo doc --workspace --no-deps --document-private-items --open
