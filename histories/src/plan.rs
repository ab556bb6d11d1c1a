//! The plan of a history, drawn from a seed: its clients' calls, and faults.

use std::time::Duration;

use fastrand::Rng;
use local_aws::Fault;

use crate::spec::{Image, Op, Tag};

/// The plan of a history.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// The number of images; the last is an index of the first.
    pub(crate) images: usize,
    /// The calls before the clients start, one after another.
    pub(crate) first: Vec<Op>,
    /// The calls of each client, one after another.
    pub(crate) clients: Vec<Vec<Op>>,
    /// How many of a hundred calls to a service meet a fault.
    pub(crate) fault_percent: u8,
    /// Whether manifests are large enough for S3, and a sweeper runs.
    pub(crate) swept: bool,
    /// The longest that a client waits before a call, in milliseconds.
    pub(crate) pause: u64,
    /// Whether clients may let all others go first before they change or read the table.
    pub(crate) crowded: bool,
}

impl Plan {
    /// 4–12 calls of 3–6 clients, on 1–3 tags and 2–4 images. One plan in four has a sweeper.
    pub(crate) fn draw(seed: u64) -> Self {
        if seed % 4 == 3 {
            return Self::draw_swept(seed);
        }
        let mut rng = Rng::with_seed(seed);
        let (images, tags) = (rng.usize(2..=4), rng.usize(1..=3));
        let (clients, calls) = (rng.usize(3..=6), rng.usize(4..=12));
        Self::fill(seed, rng, (images, tags), (clients, calls), [64, 10, 12, 4])
    }

    /// The same, with more deletions, and slower, because S3 gives times in whole seconds.
    pub(crate) fn draw_swept(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let (images, tags) = (rng.usize(2..=4), rng.usize(1..=3));
        let (clients, calls) = (rng.usize(3..=6), rng.usize(4..=12));
        let plan = Self::fill(seed, rng, (images, tags), (clients, calls), [64, 4, 24, 4]);
        Self { swept: true, pause: 600, ..plan }
    }

    /// A few calls that collide, of one of six kinds, with reads in between: these show a bug most
    /// often.
    pub(crate) fn draw_crowded(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let images = if matches!(seed % 6, 2 | 3) { 4 } else { rng.usize(2..=4) };
        let put = |image, tag| Op::Put { image, tag: Some(tag) };
        let (first, clients) = match seed % 6 {
            // More tags than an image may have.
            0 => (vec![], (0..4).map(|tag| vec![put(0, tag)]).collect()),
            // An image that is deleted directly after its push.
            1 => (vec![], vec![vec![put(0, 0), Op::DeleteImage(0), Op::Read], vec![Op::Read]]),
            // More images than a repository may have.
            2 => {
                let first = [0, 1].map(|image| Op::Put { image, tag: None });
                (first.into(), vec![vec![put(2, 0)], vec![put(3, 1)], vec![Op::Read]])
            }
            // One tag that moves twice, or is created twice.
            3 => {
                let first = if rng.bool() { vec![put(0, 0)] } else { vec![put(0, 1)] };
                (first, vec![vec![put(1, 0)], vec![put(2, 0)], vec![Op::Read]])
            }
            // A tag that moves, while it becomes immutable.
            4 => {
                let mut first = vec![put(0, 0)];
                first.extend(rng.bool().then_some(Op::Put { image: 1, tag: None }));
                let set = vec![Op::SetMutability { immutable: true }, Op::Read];
                (first, vec![vec![put(1, 0)], set])
            }
            // A tag that moves, while an image is deleted.
            _ => {
                let plan = Self::fill(seed, rng.fork(), (images, 1), (2, 3), [60, 0, 0, 0]);
                let mut clients = plan.clients;
                clients.push(vec![put(1, 0)]);
                clients.push(vec![Op::DeleteImage(rng.usize(0..images)), Op::Read]);
                (vec![put(0, 0)], clients)
            }
        };
        let fault_percent = 5;
        Self { seed, images, first, clients, fault_percent, swept: false, pause: 12, crowded: true }
    }

    fn fill(
        seed: u64,
        mut rng: Rng,
        (images, tags): (usize, usize),
        (clients, calls): (usize, usize),
        weights: [u8; 4],
    ) -> Self {
        let mut clients = vec![Vec::new(); clients];
        for call in 0..calls {
            let op = draw_op(&mut rng, images, tags, weights);
            // The first calls go to different clients, so that each client has one.
            let client = if call < clients.len() { call } else { rng.usize(0..clients.len()) };
            if let Some(client) = clients.get_mut(client) {
                client.push(op);
            }
        }
        clients.retain(|calls| !calls.is_empty());
        let first = Vec::new();
        let fault_percent = 20;
        Self {
            seed,
            images,
            first,
            clients,
            fault_percent,
            swept: false,
            pause: 12,
            crowded: false,
        }
    }

    /// Every plan with one call fewer.
    pub(crate) fn smaller(&self) -> Vec<Self> {
        let mut plans = Vec::new();
        for (client, calls) in self.clients.iter().enumerate() {
            for call in 0..calls.len() {
                let mut plan = self.clone();
                if let Some(calls) = plan.clients.get_mut(client) {
                    calls.remove(call);
                }
                plan.clients.retain(|calls| !calls.is_empty());
                plans.push(plan);
            }
        }
        plans
    }
}

/// `weights`, of a hundred: puts, changes of mutability, deletions of images, of tags. The rest
/// are reads.
fn draw_op(rng: &mut Rng, images: usize, tags: usize, weights: [u8; 4]) -> Op {
    let image: Image = rng.usize(0..images);
    let tag: Tag = rng.usize(0..tags);
    let [put, set, delete, untag] = weights;
    match rng.u8(0..100) {
        draw if draw < put => Op::Put { image, tag: (rng.u8(0..5) > 0).then_some(tag) },
        draw if draw < put + set => Op::SetMutability { immutable: rng.bool() },
        draw if draw < put + set + delete => Op::DeleteImage(image),
        draw if draw < put + set + delete + untag => Op::DeleteTag(tag),
        _ => Op::Read,
    }
}

/// The fault of one call to a service, with its name for the counts, if the call meets one.
pub(crate) fn draw_fault(
    rng: &mut Rng,
    percent: u8,
    operation: &str,
) -> Option<(&'static str, Fault)> {
    if rng.u8(0..100) >= percent {
        return None;
    }
    let time = Duration::from_millis(rng.u64(0..25));
    let error = |status, code| Fault::Answer { status, code, message: "a fault" };
    let faults = [
        ("drop before", Fault::DropBefore),
        ("drop after", Fault::DropAfter),
        ("delayed request", Fault::Delay(time)),
        ("delayed response", Fault::DelayAnswer(time)),
        ("duplicate", Fault::Duplicate),
        ("500", error(500, "InternalServerError")),
        ("500 after", Fault::AnswerAfter { status: 500, code: "InternalServerError", message: "" }),
        ("throttled", error(400, "ThrottlingException")),
        ("truncated", Fault::TruncateBody),
        // From here on only for commits.
        ("late copy", Fault::LateCopy(time * 4)),
        ("conflict", Fault::Cancelled(vec!["TransactionConflict", "None", "None", "None"])),
        ("in progress", error(400, "TransactionInProgressException")),
    ];
    let choices = match operation {
        "TransactWriteItems" => faults.len(),
        // The response to S3's HEAD has no body to truncate, and so no code for throttling.
        "HeadObject" => 6,
        _ => 9,
    };
    faults.into_iter().take(choices).nth(rng.usize(0..choices))
}
