//! Pushes over kept-alive connections, and the time each takes.

use std::io;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::http::{Connection, Request};
use crate::image::Manifests;
use crate::registry::Registry;

/// The times of a block of pushes.
#[derive(Default)]
pub(crate) struct Times {
    /// The time of each push, from the first byte that is sent to the last that is received.
    pub(crate) pushes: Vec<Duration>,
    /// The time from the first push to the end of the last.
    pub(crate) wall: Duration,
}

impl Times {
    pub(crate) fn add(&mut self, other: Times) {
        self.pushes.extend(other.pushes);
        self.wall += other.wall;
    }

    /// In milliseconds, the time within which `percent` of the pushes end.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.pushes.clone();
        sorted.sort_unstable();
        sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)].as_secs_f64() * 1e3
    }

    pub(crate) fn pushes_per_second(&self) -> f64 {
        f64::from(u32::try_from(self.pushes.len()).unwrap()) / self.wall.as_secs_f64()
    }
}

/// Pushes new images to `repository`: on each of `connections`, `warm` untimed pushes and then
/// `pushes` timed ones.
pub(crate) fn push(
    registry: &Registry,
    repository: &str,
    manifests: &Manifests,
    connections: usize,
    warm: usize,
    pushes: usize,
) -> io::Result<Times> {
    let ready = Barrier::new(connections + 1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|_| {
                let requests =
                    (0..warm + pushes).map(|_| registry.push(repository, &manifests.next()));
                let requests: Vec<Request> = requests.collect();
                let ready = &ready;
                scope.spawn(move || on_one(registry, &requests, warm, ready))
            })
            .collect();
        ready.wait();
        let start = Instant::now();
        let mut times = Times::default();
        for thread in threads {
            times.pushes.extend(thread.join().unwrap()?);
        }
        times.wall = start.elapsed();
        Ok(times)
    })
}

fn on_one(
    registry: &Registry,
    requests: &[Request],
    warm: usize,
    ready: &Barrier,
) -> io::Result<Vec<Duration>> {
    let mut connection = Connection::new(registry.address);
    let mut push = |request: &Request| {
        let start = Instant::now();
        let answer = connection.call(request)?;
        let time = start.elapsed();
        registry.expect(&answer)?;
        Ok(time)
    };
    let (warm, timed) = requests.split_at(warm);
    let warmed: io::Result<Vec<Duration>> = warm.iter().map(&mut push).collect();
    ready.wait();
    warmed?;
    timed.iter().map(push).collect()
}
