//! Many concurrent calls on one tag or at a quota. Transactions conflict as they do in DynamoDB.
//!
//! `cargo test --release --test service a_thousand_rounds -- --ignored --nocapture`

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::join_all;
use serde_json::Value;

use crate::harness::*;
use crate::limits::{self, full, too_many_tags};

/// Concurrent calls, each by a process that shares nothing with the others.
const RACERS: usize = 32;
/// The number of calls that a quota leaves room for.
const LEFT: usize = 5;
/// The quotas of images and of tags.
const QUOTA: usize = 8;
/// Services that race concurrently, because most of a race is waiting.
const LANES: usize = 8;

/// What the calls race for.
#[derive(Debug, Clone, Copy)]
enum Race {
    ImmutableTag,
    MutableTag,
    LastImages,
    LastTags,
}

/// The outcomes of a number of rounds.
#[derive(Debug, Default)]
struct Tally {
    stored: usize,
    rejected: usize,
    /// Every attempt met another writer.
    given_up: usize,
    conflicts: usize,
}

/// An image that needs the one uploaded layer.
fn racer(n: usize) -> String {
    image("shared") + &" ".repeat(n)
}

fn digests(responses: &[&Response]) -> BTreeSet<String> {
    responses.iter().map(|response| response.digest()).collect()
}

impl Race {
    async fn service(self) -> Service {
        let quota = QUOTA as u64;
        let service = match self {
            Self::ImmutableTag | Self::MutableTag => Service::start().await,
            Self::LastImages => Service::with_quotas(quota, 1000, 500).await,
            Self::LastTags => Service::with_quotas(100_000, quota, 500).await,
        };
        service.upload_layers_of("app", &racer(0)).await;
        match self {
            Self::MutableTag => {}
            Self::ImmutableTag => {
                let value = AttributeValue::S("IMMUTABLE".into());
                service.change_repository("app", "mutability", value).await;
            }
            Self::LastImages => {
                for n in 0..QUOTA - LEFT {
                    service.put(request("app", &racer(RACERS + n), None)).await.digest();
                }
            }
            Self::LastTags => {
                for n in 0..QUOTA - LEFT {
                    service.put(request("app", &racer(0), Some(&format!("old{n}")))).await.digest();
                }
            }
        }
        service
    }

    fn push(self, n: usize) -> Value {
        match self {
            Self::ImmutableTag | Self::MutableTag => request("app", &racer(n), Some("v1")),
            Self::LastImages => request("app", &racer(n), Some(&format!("t{n}"))),
            Self::LastTags => request("app", &racer(0), Some(&format!("t{n}"))),
        }
    }

    async fn rounds(self, rounds: usize) -> Tally {
        let service = self.service().await;
        let before = service.items().await;
        let racers: Vec<Service> = (0..RACERS).map(|_| service.restarted()).collect();
        service.faults.conflicts(Duration::from_millis(1)..Duration::from_millis(10));
        let mut tally = Tally::default();
        for _ in 0..rounds {
            service.faults.reset_calls();
            let race = racers.iter().enumerate().map(|(n, racer)| racer.put(self.push(n)));
            let responses = join_all(race).await;
            self.judge(&service, &responses, &mut tally).await;
            service.restore(&before).await;
        }
        tally.conflicts = service.faults.conflicted();
        tally
    }

    async fn judge(self, service: &Service, responses: &[Response], tally: &mut Tally) {
        let items = service.items().await;
        counts_are_exact(&items, "app");
        let holding: Vec<&Item> =
            items.iter().filter(|item| s(item, "SK").starts_with("TAG#")).collect();
        let images: BTreeSet<String> = items
            .iter()
            .filter_map(|item| Some(s(item, "SK").strip_prefix("IMAGE#")?.to_owned()))
            .collect();
        let stored: Vec<&Response> =
            responses.iter().filter(|response| response.status == 200).collect();
        let failed = responses.iter().filter(|response| response.status == 500).count();
        tally.stored += stored.len();
        tally.given_up += failed;
        tally.rejected += RACERS - stored.len() - failed;

        let rejections =
            responses.iter().enumerate().filter(|(_, response)| response.status == 400);
        for response in responses.iter().filter(|response| response.status == 500) {
            response.is_server_exception();
        }
        if !matches!(self, Self::MutableTag) {
            assert_eq!(failed, 0, "the race is over long before the attempts are");
        }
        match self {
            Self::ImmutableTag => {
                assert_eq!(stored.len(), 1);
                for (_, response) in rejections {
                    response.is_error(400, "ImageTagAlreadyExistsException", &tag_immutable("v1"));
                }
                assert_eq!(images, digests(&stored));
                assert_eq!(s(holding[0], "digest"), stored[0].digest());
            }
            Self::MutableTag => {
                assert_eq!(rejections.count(), 0);
                assert_eq!(images, digests(&stored), "a call that gave up wrote nothing");
                assert_eq!(holding.len(), 1);
                assert_eq!(s(holding[0], "digest"), last_committed(service, &images));
            }
            Self::LastImages => {
                assert_eq!(stored.len(), LEFT);
                for (_, response) in rejections {
                    response.is_error(400, limits::CODE, &full(QUOTA));
                }
                assert_eq!(images.len(), QUOTA);
                assert!(images.is_superset(&digests(&stored)));
            }
            Self::LastTags => {
                assert_eq!(stored.len(), LEFT);
                for (n, response) in rejections {
                    let message = too_many_tags(&format!("t{n}"), QUOTA);
                    response.is_error(400, limits::CODE, &message);
                }
                assert_eq!((images.len(), holding.len()), (1, QUOTA));
            }
        }
    }
}

/// Which of these images was committed last. All commits write the repository's item, so no two
/// applied commits overlapped. They were applied in the order in which they were sent, and a call's
/// last commit is the applied one.
fn last_committed(service: &Service, stored: &BTreeSet<String>) -> String {
    let calls = service.faults.calls().into_iter().rev();
    let mut digests = calls.filter(|call| call.operation == "TransactWriteItems").map(|call| {
        let body: Value = serde_json::from_slice(&call.body).unwrap();
        let mut actions = body["TransactItems"].as_array().unwrap().iter();
        let tag = actions.find(|action| action["Put"]["Item"]["SK"]["S"] == "TAG#v1").unwrap();
        tag["Put"]["Item"]["digest"]["S"].as_str().unwrap().to_owned()
    });
    digests.find(|digest| stored.contains(digest)).unwrap()
}

#[expect(clippy::print_stdout, reason = "the figures of docs/PROOF.md")]
async fn race(rounds: usize, lanes: usize) {
    for race in [Race::ImmutableTag, Race::MutableTag, Race::LastImages, Race::LastTags] {
        let began = std::time::Instant::now();
        let tallies = join_all((0..lanes).map(|_| race.rounds(rounds / lanes))).await;
        let sum = |count: fn(&Tally) -> usize| -> usize { tallies.iter().map(count).sum() };
        println!(
            "{race:?}: {rounds} rounds of {RACERS}: {} stored, {} rejected, {} given up, {} \
             conflicts, in {:.0} s",
            sum(|tally| tally.stored),
            sum(|tally| tally.rejected),
            sum(|tally| tally.given_up),
            sum(|tally| tally.conflicts),
            began.elapsed().as_secs_f64(),
        );
        assert!(sum(|tally| tally.conflicts) > rounds, "{race:?}");
    }
}

#[tokio::test]
async fn a_few_rounds_have_one_winner_or_as_many_as_the_quota_leaves() {
    race(2, 1).await;
}

#[tokio::test]
#[ignore = "minutes"]
async fn a_thousand_rounds_have_one_winner_or_as_many_as_the_quota_leaves() {
    race(1000, LANES).await;
}
