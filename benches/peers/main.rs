//! Pushes manifests to `serve` and to other registries, in turn, and prints how long each takes.
//! `scripts/peers` builds and installs what this needs:
//!
//! ```sh
//! scripts/peers compare   # a table: 3.4 KB, 4 MiB, one connection and four
//! scripts/peers growth    # by images in the repository; scripts/plot draws it
//! ```
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark stops at anything unexpected"
)]

mod compare;
mod growth;
mod http;
mod image;
mod load;
mod registry;
mod stack;

use std::io;

const HELP: &str = "Usage: cargo bench --bench peers -- compare | growth (see scripts/peers)";

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("compare") => compare::run(),
        Some("growth") => growth::run(),
        _ => {
            println!("{HELP}");
            Ok(())
        }
    }
}
