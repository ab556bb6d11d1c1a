//! The time of a push to `serve` and the other registries, by images in the repository.

use std::fs::File;
use std::io::{self, Write as _};

use crate::image::Manifests;
use crate::load::{self, Times};
use crate::registry::Registry;

/// Images in the repository, at which pushes are timed.
const SIZES: [usize; 4] = [100, 500, 2000, 5000];
/// Only `serve` reaches these, by copies in its table.
const LARGE_SIZES: [usize; 2] = [20_000, 100_000];
const TAGS: u64 = 1000;
/// Rounds of timed pushes at each size. Each round goes to every registry.
const ROUNDS: usize = 5;
const WARM: usize = 2;
const PUSHES: usize = 20;
/// Rounds of pushes to the small repository and the large one in turn.
const TURNS: usize = 40;

struct Growing {
    registry: Registry,
    images: usize,
}

/// Writes `target/latency.csv`: registry, images, p50 in ms.
pub(crate) fn run() -> io::Result<()> {
    let manifests = Manifests::of_size(3400);
    let mut all = [
        Registry::serve("serve", false)?,
        Registry::moto()?,
        Registry::ministack()?,
        Registry::distribution("distribution in memory", false)?,
        Registry::distribution("distribution on disk", true)?,
    ]
    .map(|registry| Growing { registry, images: 0 });
    let mut csv = File::create(concat!(env!("CARGO_MANIFEST_DIR"), "/target/latency.csv"))?;
    writeln!(csv, "registry,images,p50_ms")?;

    for growing in &all {
        growing.registry.create("growing")?;
    }
    for images in SIZES {
        for growing in &mut all {
            growing.grow(images, &manifests)?;
        }
        measure(&mut all, images, &manifests, &mut csv)?;
    }
    // The other registries stop here.
    let [serve, ..] = &mut all;
    for images in LARGE_SIZES {
        serve.grow(images, &manifests)?;
        measure(std::slice::from_mut(serve), images, &manifests, &mut csv)?;
    }
    small_and_large(serve, &manifests)
}

impl Growing {
    /// Fills the repository up to `images` images: `serve`'s by copies, the others' by pushes.
    fn grow(&mut self, images: usize, manifests: &Manifests) -> io::Result<()> {
        // Half of the timed pushes come before this size, and half after it.
        let images = images - ROUNDS * (WARM + PUSHES) / 2;
        let missing = images - self.images;
        if let Some(stack) = self.registry.stack() {
            load::push(&self.registry, "growing", manifests, 1, 0, 1)?;
            stack.fill("growing", u64::try_from(images).unwrap(), TAGS);
        } else {
            load::push(&self.registry, "growing", manifests, 1, 0, missing)?;
        }
        self.images = images;
        Ok(())
    }
}

fn measure(
    all: &mut [Growing],
    images: usize,
    manifests: &Manifests,
    csv: &mut File,
) -> io::Result<()> {
    let mut times: Vec<Times> = all.iter().map(|_| Times::default()).collect();
    for _ in 0..ROUNDS {
        for (growing, times) in all.iter_mut().zip(&mut times) {
            times.add(load::push(&growing.registry, "growing", manifests, 1, WARM, PUSHES)?);
            growing.images += WARM + PUSHES;
        }
    }
    for (growing, times) in all.iter().zip(&times) {
        let (name, p50) = (growing.registry.name, times.percentile(50));
        println!("{images} images: {name} {p50:.2} ms");
        writeln!(csv, "{name},{images},{p50:.3}")?;
    }
    Ok(())
}

/// Compares a push among 100,000 images with a push among 100, in one `serve`.
fn small_and_large(large: &Growing, manifests: &Manifests) -> io::Result<()> {
    let registry = &large.registry;
    registry.create("small")?;
    load::push(registry, "small", manifests, 1, 0, 100)?;
    let (mut among_few, mut among_many) = (Times::default(), Times::default());
    for _ in 0..TURNS {
        among_few.add(load::push(registry, "small", manifests, 1, WARM, PUSHES)?);
        among_many.add(load::push(registry, "growing", manifests, 1, WARM, PUSHES)?);
    }
    let (few, many) = (among_few.percentile(50), among_many.percentile(50));
    println!("\nin turn, {} pushes each:", TURNS * PUSHES);
    println!("p50 at 100 images {few:.3} ms, at 100,000 images and {TAGS} tags {many:.3} ms");
    println!("ratio {:.3}", many / few);
    Ok(())
}
