//! The memory that an input may cost: a call takes a small multiple of its input's bytes, however
//! they are arranged.

use ecr_registry::{Event, handle};
use lambda_runtime::{Context, LambdaEvent};
use peak_alloc::PeakAlloc;
use serde_json::{Value, json};
use testing::Canned;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Lambda's limit on an event, and the API's on a manifest, in bytes.
const MAX_EVENT: usize = 6_291_456;
const MAX_MANIFEST: usize = 4_194_304;

/// JSON with as many elements as fit.
struct Hostile {
    name: &'static str,
    start: String,
    /// `{n}` is replaced by a different number each time.
    element: String,
    end: &'static str,
}

impl Hostile {
    fn of((name, start, element, end): (&'static str, &str, &str, &'static str)) -> Self {
        Self { name, start: start.to_owned(), element: element.to_owned(), end }
    }

    fn text(&self, bytes: usize) -> String {
        let mut text = self.start.clone();
        let mut n = 0_usize;
        let longest = self.element.len() + 64;
        while text.len() + longest + self.end.len() < bytes {
            if n > 0 {
                text.push(',');
            }
            text.push_str(&self.element.replace("{n}", &format!("{n:064x}")));
            n += 1;
        }
        text.push_str(self.end);
        text
    }

    /// The largest event with this content that Lambda would accept.
    fn event(&self, of: impl Fn(&str) -> String) -> String {
        let event = of(&self.text(MAX_MANIFEST));
        if event.len() <= MAX_EVENT {
            return event;
        }
        // Quotes and backslashes grow when they are escaped.
        of(&self.text(MAX_MANIFEST / 100 * (MAX_EVENT * 99 / event.len())))
    }
}

fn event(action: &str, body: &str) -> String {
    testing::event(action, testing::ACCOUNT, body).to_string()
}

fn manifests() -> Vec<Hostile> {
    const OCI: &str = "application/vnd.oci.image";
    let digest = format!("sha256:{}", "0".repeat(64));
    let blob = format!(r#"{{"mediaType":"","digest":"{digest}","size":0}}"#);
    let other_blob = r#"{"mediaType":"","digest":"sha256:{n}","size":0}"#;
    let image =
        format!(r#"{{"schemaVersion":2,"mediaType":"{OCI}.manifest.v1+json","config":{blob},"#);
    let layers = format!(r#"{image}"layers":["#);
    let index = format!(r#"{{"schemaVersion":2,"mediaType":"{OCI}.index.v1+json","manifests":["#);
    let urls = format!(r#"{layers}{{"mediaType":"foreign","digest":"{digest}","size":0,"urls":["#);
    let schema_1 = |member: &str| format!(r#"{{"schemaVersion":1,{member}":["#);
    [
        ("layers of one digest", &*layers, &*blob, "]}"),
        ("layers of many digests", &layers, other_blob, "]}"),
        ("layers of another type", &layers, "0", "]}"),
        ("layers without members", &layers, "{}", "]}"),
        ("children of one digest", &index, &blob, "]}"),
        ("children of many digests", &index, other_blob, "]}"),
        ("a layer's urls", &urls, r#""""#, "]}]}"),
        ("a layer's urls of another type", &urls, "0", "]}]}"),
        ("schema 1's layers", &schema_1("\"fsLayers"), r#"{"blobSum":"sha256:{n}"}"#, "]}"),
        ("signatures", &schema_1("\"fsLayers\":[],\"signatures"), "0", "]}"),
        ("an unknown member", r#"{"schemaVersion":2,"x":["#, "0", "]}"),
        ("unknown members", r#"{"schemaVersion":2"#, r#""{n}":0"#, "}"),
        ("annotations", &format!(r#"{layers}{blob}],"annotations":{{"#), r#""{n}":"b""#, "}}"),
        ("depth", "", "[[[[[[[[[[[[[[[[", ""),
        ("no JSON", "", "\u{1}", ""),
    ]
    .map(Hostile::of)
    .into()
}

fn repositories() -> Vec<Hostile> {
    let filters = r#"{"repositoryName":"app","imageTagMutabilityExclusionFilters":["#;
    let tags = r#"{"repositoryName":"app","tags":["#;
    [
        ("filters", filters, "{}", "]}"),
        ("filters of another type", filters, "0", "]}"),
        ("resource tags", tags, "{}", "]}"),
        ("resource tags with names", tags, r#"{"Key":"{n}","Value":""}"#, "]}"),
        ("an unknown array", r#"{"repositoryName":"app","x":["#, "0", "]}"),
        ("a name", r#"{"repositoryName":""#, "aaaaaaaaaaaaaaaa", r#""}"#),
    ]
    .map(Hostile::of)
    .into()
}

#[test]
fn no_input_takes_more_than_a_small_multiple_of_itself() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let canned = Canned::default();
    let app = canned.app();
    let pushes = manifests().into_iter().map(|manifest| {
        let body = |manifest: &str| {
            let push = json!({
                "repositoryName": "app", "imageTag": "v1", "imageManifest": manifest,
            });
            event("PutImage", &push.to_string())
        };
        ("PutImage", manifest.name, manifest.event(body))
    });
    let creations = repositories().into_iter().map(|body| {
        ("CreateRepository", body.name, body.event(|body| event("CreateRepository", body)))
    });
    for (action, name, event) in pushes.chain(creations) {
        assert!((4_000_000..=MAX_EVENT).contains(&event.len()), "{name}: {}", event.len());
        MEMORY.reset_peak_usage();
        let before = MEMORY.current_usage();
        let request = serde_json::from_str::<Event>(&event).unwrap();
        let invocation = LambdaEvent::new(request, Context::default());
        let Ok(response) = runtime.block_on(handle(&app, invocation));
        let response = serde_json::to_vec(&response).unwrap();
        let times = (MEMORY.peak_usage() - before).div_ceil(event.len());

        let response: Value = serde_json::from_slice(&response).unwrap();
        let status = response["statusCode"].as_u64().unwrap();
        let body: Value = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
        println!("{action}, {name}: {} bytes, {times} times: {}", event.len(), body["__type"]);
        assert!(status < 500, "{name}");
        assert_eq!(canned.writes(), usize::from(status == 200), "{name}");
        assert!(times <= 6, "{name}: {times} times its {} bytes", event.len());
    }
}
