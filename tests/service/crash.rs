//! A push that is cut off anywhere: at each await, and at each request to another service before it
//! is sent, in transit and after it was applied. Either nothing or the whole push is stored, and
//! the same push sent again ends in the state that an uninterrupted push reaches.

use std::collections::{BTreeSet, HashMap};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::{Either, select};
use local_aws::Fault;
use serde_json::Value;
use tokio::sync::Notify;

use crate::encryption::{encrypted, open};
use crate::harness::*;
use crate::large::{body, image_of_bytes};

/// A push, and the state that it finds.
struct Situation {
    name: &'static str,
    service: Service,
    manifest: String,
    tag: Option<&'static str>,
    /// A fault of the first request of an operation, in addition to the cut.
    trouble: Option<(&'static str, Fault)>,
}

/// Where a push is cut off.
#[derive(Debug, Clone, Copy)]
enum Cut {
    Nowhere,
    /// After this many polls.
    Polled(usize),
    /// Before request number n is sent.
    Before(usize),
    /// While the request is in transit. The client sends the push again without waiting for it.
    During(usize),
    /// After the request was applied, and before its response arrived.
    After(usize),
}

impl Situation {
    fn new(
        name: &'static str,
        service: Service,
        manifest: &str,
        tag: Option<&'static str>,
    ) -> Self {
        Self { name, service, manifest: manifest.to_owned(), tag, trouble: None }
    }

    fn meets(mut self, operation: &'static str, fault: Fault) -> Self {
        self.trouble = Some((operation, fault));
        self
    }

    /// Puts the image in a new process that meets the fault. `None` if the push was cut off.
    async fn put(&self, cut: Cut) -> Option<Response> {
        let service = self.service.restarted();
        let left = Arc::new(Notify::new());
        service.faults.on_call({
            let (left, trouble) = (Arc::clone(&left), self.trouble.clone());
            let (calls, troubled) = (AtomicUsize::new(0), AtomicBool::new(false));
            move |call| {
                let nth = calls.fetch_add(1, Ordering::Relaxed) + 1;
                match cut {
                    Cut::Before(n) if n == nth => return Some(Fault::Hang),
                    Cut::After(n) if n == nth => return Some(Fault::HangAfter),
                    Cut::During(n) if n == nth => left.notify_one(),
                    _ => {}
                }
                let (operation, fault) = trouble.as_ref()?;
                let first = call.operation == *operation && !troubled.swap(true, Ordering::Relaxed);
                first.then(|| fault.clone())
            }
        });
        let put = Box::pin(service.put(request("app", &self.manifest, self.tag)));
        let there = async {
            match cut {
                Cut::During(_) => left.notified().await,
                _ => service.faults.hung().await,
            }
        };
        match cut {
            Cut::Polled(polls) => poll(put, polls).await,
            _ => match select(pin!(there), put).await {
                Either::Left(_) => None,
                Either::Right((response, _)) => Some(response),
            },
        }
    }

    /// Puts the image in another new process, without faults.
    async fn put_again(&self) -> Response {
        let service = self.service.restarted();
        service.faults.on_call(|_| None);
        service.put(request("app", &self.manifest, self.tag)).await
    }

    /// Cuts the push off at every point. Returns the number of cuts by polls and by requests.
    #[expect(clippy::print_stdout, reason = "the figures of docs/PROOF.md")]
    async fn cut_everywhere(self) -> [usize; 2] {
        let Self { name, service, .. } = &self;
        let before = service.items().await;
        let nothing = self.settled().await;
        let uncut = self.put(Cut::Nowhere).await.unwrap();
        assert_eq!(uncut.digest(), sha256(&self.manifest), "{name}");
        let all = self.settled().await;
        assert_ne!(nothing, all, "{name}");

        let mut cuts = [0, 0];
        let kinds = [Cut::Polled, Cut::Before, Cut::During, Cut::After];
        for kind in kinds {
            for cut in (1..).map(kind) {
                service.restore(&before).await;
                // The transaction takes so long that the next call conflicts with it.
                service.faults.conflicts(Duration::from_millis(10)..Duration::from_millis(20));
                let was_cut = self.put(cut).await.is_none();
                let found = match cut {
                    Cut::During(_) => None,
                    _ => Some(self.settled().await),
                };
                let again = self.put_again().await;
                let is_stored = || again.text == uncut.text;
                let was_stored = || {
                    let message = already_exists(&sha256(&self.manifest), self.tag);
                    again.json["message"] == message && again.status == 400
                };
                match found {
                    None => assert!(is_stored() || was_stored(), "{name} {cut:?}: {}", again.text),
                    Some(found) if found == all => assert!(was_stored(), "{name} {cut:?}"),
                    Some(found) => {
                        assert_eq!(found, nothing, "{name} {cut:?}");
                        assert!(is_stored(), "{name} {cut:?}: {}", again.text);
                    }
                }
                assert_eq!(self.settled().await, all, "{name} {cut:?}, sent again");
                if !was_cut {
                    break;
                }
                cuts[usize::from(!matches!(cut, Cut::Polled(_)))] += 1;
            }
        }
        println!("{name}: cut {} times by polls, {} times by calls", cuts[0], cuts[1]);
        cuts
    }

    /// What is stored after all requests have arrived, without ids, times and ciphertexts. Asserts
    /// that the state is complete: each image has a readable manifest, and every count is exact.
    async fn settled(&self) -> Vec<Item> {
        self.service.faults.settle().await;
        let items = self.service.items().await;
        counts_are_exact(&items, "app");
        let images = items.iter().filter(|item| s(item, "SK").starts_with("IMAGE#"));
        let (mut references, mut big) = (HashMap::<String, usize>::new(), BTreeSet::new());
        for image in images.clone() {
            let children = children_in(&self.manifest_of(image, &items).await);
            if children.len() > 90 {
                big.insert(s(image, "digest"));
            } else {
                for child in children {
                    *references.entry(child).or_default() += 1;
                }
            }
        }
        for image in images.clone() {
            let referring = references.remove(&s(image, "digest")).unwrap_or_default();
            assert_eq!(n(image, "refCount"), referring, "refCount of {}", s(image, "digest"));
        }
        assert!(references.is_empty(), "children that are not there: {references:?}");
        let meta = items.iter().find(|item| s(item, "SK") == "#META").unwrap();
        let listed = meta.get("bigIndexes").map(|set| set.as_ss().unwrap().clone());
        assert_eq!(BTreeSet::from_iter(listed.unwrap_or_default()), big);

        lasting(items)
    }

    /// The manifest of a stored image, as the client sent it.
    async fn manifest_of(&self, image: &Item, items: &[Item]) -> String {
        let digest = s(image, "digest");
        let inline = format!("MANIFEST#{digest}");
        let inline = items.iter().find(|item| s(item, "SK") == inline);
        let bytes = match (image.get("bodyKey"), inline) {
            (Some(key), None) => body(&self.service, key.as_s().unwrap()).await,
            (None, Some(item)) => item["body"].as_b().unwrap().as_ref().to_vec(),
            (key, item) => panic!("{digest} has its body at {key:?} and in {item:?}"),
        };
        let bytes = match s(image, "encryption").as_str() {
            "AES256" => bytes,
            _ => open(&self.service, &bytes, &digest, n(image, "manifestBytes")).await,
        };
        let manifest = String::from_utf8(bytes).unwrap();
        assert_eq!(sha256(&manifest), digest);
        manifest
    }
}

/// Polls a call at most `polls` times, and drops it.
async fn poll(
    mut call: Pin<Box<impl Future<Output = Response>>>,
    polls: usize,
) -> Option<Response> {
    let mut polled = 0;
    poll_fn(|context| {
        polled += 1;
        match call.as_mut().poll(context) {
            Poll::Ready(response) => Poll::Ready(Some(response)),
            Poll::Pending if polled == polls => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

fn children_in(manifest: &str) -> BTreeSet<String> {
    let json: Value = serde_json::from_str(manifest).unwrap();
    let children = json["manifests"].as_array().into_iter().flatten();
    children.map(|child| child["digest"].as_str().unwrap().to_owned()).collect()
}

/// A service with these images, and with the layers of `manifest`.
async fn with(stored: &[(&str, Option<&str>)], manifest: &str) -> Service {
    let service = Service::start().await;
    for (manifest, tag) in stored {
        service.push("app", manifest, *tag).await;
    }
    service.upload_layers_of("app", manifest).await;
    service
}

/// A service whose repository encrypts, and the layers of this image.
async fn sealing(manifest: &str) -> Service {
    let (service, _) = encrypted("KMS").await;
    service.upload_layers_of("app", manifest).await;
    service
}

/// A service with 91 images, and an index of them.
async fn with_children_of_a_big_index() -> (Service, String) {
    let service = Service::start().await;
    let child = index(&[]);
    let children: Vec<String> = (0..91).map(|n| child.clone() + &" ".repeat(n)).collect();
    service.push("app", &children[0], None).await;
    let first = service.image_item("app", &sha256(&children[0])).await.unwrap();
    let table = &service.stack.options().table;
    for child in &children[1..] {
        let mut image = first.clone();
        image.insert("digest".into(), AttributeValue::S(sha256(child)));
        image.insert("SK".into(), AttributeValue::S(format!("IMAGE#{}", sha256(child))));
        let mut manifest = HashMap::from([("PK".to_owned(), first["PK"].clone())]);
        manifest.insert("SK".into(), AttributeValue::S(format!("MANIFEST#{}", sha256(child))));
        manifest.insert("body".into(), AttributeValue::B(Blob::new(child.as_bytes())));
        for item in [image, manifest] {
            let put = service.dynamodb.put_item().table_name(table);
            put.set_item(Some(item)).send().await.unwrap();
        }
    }
    service.change_repository("app", "imageCount", AttributeValue::N("91".into())).await;
    let children: Vec<&str> = children.iter().map(String::as_str).collect();
    (service, index(&children))
}

#[tokio::test]
async fn a_push_that_is_cut_off_is_stored_whole_or_not_at_all() {
    let (a, b) = (image("a"), image("b"));
    let large = image_of_bytes(70 * 1024);
    let of_both = index(&[&a, &b]);
    let both = [(&*a, Some("v1")), (&*b, None)];
    let conflict = || Fault::Cancelled(vec!["TransactionConflict", "None", "None", "None"]);
    let (big_service, big) = with_children_of_a_big_index().await;
    let commit = "TransactWriteItems";

    let new = Situation::new;
    let situations = [
        new("a new image", with(&[], &a).await, &a, Some("v1")),
        new("without a tag", with(&[], &a).await, &a, None),
        new("another tag", with(&both, &a).await, &a, Some("v2")),
        new("a move to a new image", with(&both[..1], &b).await, &b, Some("v1")),
        new("a move to a stored image", with(&both, &b).await, &b, Some("v1")),
        new("an index", with(&both, &a).await, &of_both, Some("v2")),
        new("an index takes a child's tag", with(&both, &a).await, &of_both, Some("v1")),
        new("a big index", big_service, &big, Some("v1")),
        new("a body in S3", with(&[], &large).await, &large, Some("v1")),
        new("a body in S3 takes a tag", with(&both, &large).await, &large, Some("v1")),
        new("encrypted", sealing(&a).await, &a, Some("v1")),
        new("encrypted in S3", sealing(&large).await, &large, Some("v1")),
        new("a conflict", with(&[], &a).await, &a, Some("v1")).meets(commit, conflict()),
        new("a lost response", with(&[], &a).await, &a, Some("v1")).meets(commit, Fault::DropAfter),
        new("a move, a conflict", with(&both, &b).await, &b, Some("v1")).meets(commit, conflict()),
        new("a move, a lost response", with(&both, &b).await, &b, Some("v1"))
            .meets(commit, Fault::DropAfter),
        new("encrypted, a conflict", sealing(&large).await, &large, Some("v1"))
            .meets(commit, conflict()),
        new("a lost body", with(&[], &large).await, &large, Some("v1"))
            .meets("PutObject", Fault::DropAfter),
    ];
    let mut cuts = [0, 0];
    for situation in situations {
        let [polls, calls] = situation.cut_everywhere().await;
        cuts = [cuts[0] + polls, cuts[1] + calls];
    }
    println!("in all: {} times by polls, {} times by calls", cuts[0], cuts[1]);
    assert!(cuts[0] + cuts[1] >= 360, "{cuts:?}");
}
