# The list of commands. Each recipe works without just, too: type what it runs.

# The list.
default:
    @just --list

# Push the API reference's sample in memory, or an OCI image layout: just push DIR app:v1
push *arguments:
    cargo run --example push -- {{ arguments }}

# Run the stack for AWS's own clients: just serve --port 4567 --data ./data > stack.env
serve *arguments:
    @cargo run --example serve -- {{ arguments }}

# Check format, lints and documentation.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings
    RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --document-private-items --locked

# All tests but crash, contention and histories.
test-fast:
    cargo test --workspace --exclude histories -- --skip crash:: --skip contention::

# All tests.
test:
    cargo test --workspace

# The tests whose names contain FILTER in one file of tests/service: just service layers::
service filter:
    cargo test --test service {{ filter }}

# Random histories under faults, the long run: just histories 10000
histories count="10000":
    cargo run --release -p histories -- --count {{ count }}

# The protocol's model: its tables, and a trace for each mutant.
model:
    cargo run -p push-model --release

# Fuzz every target a little, or one for RUNS: just fuzz put_image 10000000
fuzz *target-and-runs:
    scripts/fuzz {{ target-and-runs }}

# Instructions and time of a push beside the floor. Needs valgrind.
bench:
    cargo bench --bench cpu

# Every client's suite against serve.
clients:
    clients/test

# Every way to build and run the function without an account.
local-ways:
    scripts/local-ways

# Everything that must pass before a change lands.
ci:
    .ci/run
