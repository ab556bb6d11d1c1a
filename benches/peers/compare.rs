//! One table that compares `serve` with the other registries.

use std::io;

use crate::image::Manifests;
use crate::load::{self, Times};
use crate::registry::Registry;

const ROUNDS: usize = 8;
const SMALL: usize = 3400;
const LARGE: usize = 4 * 1024 * 1024;

struct Row {
    registry: Registry,
    small: Times,
    four: Times,
    large: Times,
}

/// Each round goes to every registry, with a repository of its own, so that noise affects all of
/// them and no repository grows.
pub(crate) fn run() -> io::Result<()> {
    let registries = [
        Registry::serve("serve", false)?,
        Registry::serve("serve on disk", true)?,
        Registry::moto()?,
        Registry::ministack()?,
        Registry::distribution("distribution in memory", false)?,
        Registry::distribution("distribution on disk", true)?,
    ];
    let (small, large) = (Manifests::of_size(SMALL), Manifests::of_size(LARGE));
    let mut rows = registries.map(|registry| Row {
        registry,
        small: Times::default(),
        four: Times::default(),
        large: Times::default(),
    });
    // The first round warms up.
    for round in 0..=ROUNDS {
        for row in &mut rows {
            let registry = &row.registry;
            let repository = format!("round/{round}");
            registry.create(&repository)?;
            let one = load::push(registry, &repository, &small, 1, 5, 60)?;
            let four = load::push(registry, &repository, &small, 4, 5, 40)?;
            let four_mebibytes = load::push(registry, &repository, &large, 1, 1, 4)?;
            if round > 0 {
                row.small.add(one);
                row.four.add(four);
                row.large.add(four_mebibytes);
            }
        }
    }
    print(&rows);
    Ok(())
}

fn print(rows: &[Row]) {
    println!("p50 and p99 in ms; manifests of 3.4 KB with 15 layers, and of 4 MiB\n");
    println!(
        "| registry | 3.4 KB p50 | 4 MiB p50 | pushes/s, 1 connection | 4 connections | × | p50 | p99 | p99/p50 |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for Row { registry, small, four, large } in rows {
        let (one, many) = (small.pushes_per_second(), four.pushes_per_second());
        let (p50, p99) = (four.percentile(50), four.percentile(99));
        println!(
            "| {} | {:.2} | {:.1} | {one:.0} | {many:.0} | {:.2} | {p50:.2} | {p99:.2} | {:.1} |",
            registry.name,
            small.percentile(50),
            large.percentile(50),
            many / one,
            p99 / p50,
        );
    }
}
